"""A run killed again and again ends in the weights of one that was left alone, bit for bit."""

import json
import pathlib
import random
import re
import shutil
import signal
import time

import numpy as np
import pytest

from sjft_tf.workspace import RunFolder

TRAIN = "from sjft_tf.cli import main; main()"
SETTINGS = (
    "training: {steps_per_round: 12, batch_size: 8, iter_size: 2, learning_rate: 0.05, checkpoint_every: 1, probe_steps: 2, "
    "ema_momentum: 0.5}"
)


@pytest.fixture(scope="module")
def config(tmp_path_factory, config_text):
    path = tmp_path_factory.mktemp("killed") / "config.yaml"
    path.write_text(re.sub(r"training: .*", SETTINGS, config_text))
    return path


@pytest.fixture(scope="module")
def searched(config, sjft):
    """A run whose neighbor table is there."""
    assert sjft("search", config, "--out", config.parent / "searched").exit_code == 0
    return config.parent / "searched"


@pytest.fixture(scope="module")
def unharmed(config, searched, sjft):
    out = shutil.copytree(searched, config.parent / "unharmed")
    assert sjft("train", config, "--out", out).exit_code == 0
    return out


def assert_same_training(one: pathlib.Path, other: pathlib.Path, trained_weights) -> None:
    for number in range(2):
        first, second = trained_weights(one, number), trained_weights(other, number)
        assert first.keys() == second.keys() and len(first) > 50
        for name, values in first.items():
            np.testing.assert_array_equal(values, second[name], err_msg=name)
        record = f"selection/round-{number}.npz"
        with np.load(one / record) as a, np.load(other / record) as b:
            for name in ("counts", "entropies", "correct"):
                np.testing.assert_array_equal(a[name], b[name])


def run_and_kill(training, checkpoint: pathlib.Path, dice: random.Random) -> int:
    """Kill it at a random moment after its first or second checkpoint; the exit status."""

    def changed() -> int:
        return checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0

    seen, left = changed(), dice.randint(1, 2)
    while left and training.wait(0.001) is None:
        if changed() != seen:
            seen, left = changed(), left - 1
    if not left:
        training.wait(dice.random() * 0.1)
        training.process.kill()
    return training.wait()


def test_ten_kills_at_random_moments_change_no_bit(config, searched, unharmed, forked, trained_weights):
    out, dice, statuses = shutil.copytree(searched, config.parent / "killed"), random.Random(7), []
    while statuses.count(-signal.SIGKILL) < 10:
        training = forked(TRAIN, "train", config, "--out", out)
        statuses.append(run_and_kill(training, RunFolder(out).checkpoint, dice))
        assert statuses[-1] == -signal.SIGKILL, training.errors[-3000:]
    last = forked(TRAIN, "train", config, "--out", out)
    assert last.wait() == 0, last.errors[-3000:]
    assert_same_training(unharmed, out, trained_weights)
    # the history, too: each loss is a mean over the steps since the last checkpoint
    histories = [[{**entry, "seconds": 0} for entry in RunFolder(path).read_history()] for path in (unharmed, out)]
    assert histories[0] == histories[1]
    assert [path.name for path in (out / "checkpoints").glob("*.npz")] == ["probe.npz"] and not list(
        out.rglob(".*.tmp-*")
    )


def test_sigterm_saves_the_steps_done_and_ends_with_its_own_code(config, forked):
    out = config.parent / "preempted"
    checkpoint = RunFolder(out).checkpoint
    settings = ("training.steps_per_round=1000000", "training.checkpoint_every=5", "selection.mode=none")
    sets = (part for setting in settings for part in ("--set", setting))
    training = forked(TRAIN, "train", config, "--out", out, *sets)
    while not checkpoint.exists() and training.wait(0.01) is None:
        pass
    asked = time.time_ns()
    training.process.terminate()
    assert training.wait(300) == 75
    assert training.errors.splitlines()[-1] == "sjft-tf: stopped by SIGTERM; the same command resumes from here"
    assert checkpoint.stat().st_mtime_ns > asked
    with np.load(checkpoint) as saved:
        position = json.loads(str(saved["position"]))
    assert position["round"] == 0 and position["step"] >= 5
