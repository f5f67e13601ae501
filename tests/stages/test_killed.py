"""A run killed again and again ends in the weights of one that was left alone, bit for bit."""

import json
import pathlib
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from sjft_tf.workspace import RunFolder

# Imports once and forks for each start, which saves ten times the import of TensorFlow.
KILLER = """
import os, pathlib, random, signal, sys, time
import sjft_tf.pipeline
from sjft_tf.cli import main

config, out, kills = sys.argv[1], sys.argv[2], int(sys.argv[3])
checkpoint, dice = pathlib.Path(out, "checkpoints", "latest.npz"), random.Random(7)

def changed():
    try:
        return checkpoint.stat().st_mtime_ns
    except FileNotFoundError:
        return 0

killed = 0
while True:
    child = os.fork()
    if child == 0:
        sys.stdout = sys.stderr
        try:
            main(["train", config, "--out", out])
        except SystemExit as ended:
            os._exit(ended.code or 0)
    seen, left = changed(), dice.randint(1, 2)
    while killed < kills and os.waitpid(child, os.WNOHANG) == (0, 0):
        if changed() != seen:
            seen, left = changed(), left - 1
        if left == 0:
            time.sleep(dice.random() * 0.1)
            os.kill(child, signal.SIGKILL)
            break
        time.sleep(0.001)
    status = os.waitpid(child, 0)[1]
    if not os.WIFSIGNALED(status):
        break
    killed += 1
print(killed, os.waitstatus_to_exitcode(status))
"""
SETTINGS = "training: {steps_per_round: 12, batch_size: 8, iter_size: 2, learning_rate: 0.05, checkpoint_every: 1}"


@pytest.fixture(scope="module")
def config(tmp_path_factory, config_text):
    path = tmp_path_factory.mktemp("killed") / "config.yaml"
    path.write_text(re.sub(r"training: .*", SETTINGS, config_text))
    return path


@pytest.fixture(scope="module")
def unharmed(config, sjft):
    out = config.parent / "unharmed"
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


@pytest.mark.arithmetic
def test_ten_kills_at_random_moments_change_no_bit(config, unharmed, trained_weights):
    out = config.parent / "killed"
    command = [sys.executable, "-c", KILLER, config, out, "10"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    assert result.stdout.split() == ["10", "0"], result.stderr[-3000:]
    assert_same_training(unharmed, out, trained_weights)
    # the history, too: each loss is a mean over the steps since the last checkpoint
    histories = [[{**entry, "seconds": 0} for entry in RunFolder(path).read_history()] for path in (unharmed, out)]
    assert histories[0] == histories[1]
    assert not list((out / "checkpoints").glob("*.npz")) and not list(out.rglob(".*.tmp-*"))


def test_sigterm_saves_the_steps_done_and_ends_with_its_own_code(config):
    out = config.parent / "preempted"
    checkpoint = out / "checkpoints" / "latest.npz"
    settings = ("training.steps_per_round=1000000", "training.checkpoint_every=50")
    command = [sys.executable, "-m", "sjft_tf.cli", "train", config, "--out", out]
    process = subprocess.Popen(
        [*command, *(part for setting in settings for part in ("--set", setting))],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not checkpoint.exists() and process.poll() is None:
        time.sleep(0.01)
    asked = time.time_ns()
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 75
    assert said.splitlines()[-1] == "sjft-tf: stopped by SIGTERM; the same command resumes from here"
    assert checkpoint.stat().st_mtime_ns > asked
    with np.load(checkpoint) as saved:
        position = json.loads(str(saved["position"]))
    assert position["round"] == 0 and position["step"] >= 50
