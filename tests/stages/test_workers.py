"""Two workers on this machine: they train like one process with two replicas, and go on after one of them was killed."""

import json
import re
import shutil
import socket

import numpy as np
import pytest

ONE = "from sjft_tf.cli import main; main()"
TWO_REPLICAS = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from sjft_tf.cli import main
main()
"""
# Replicas and workers add sums in another order, which moves each by some units in the last place, and batch normalization
# passes that on enlarged by 1 / deviation. So: a shallow net whose normalizations take their statistics over 32 values or
# more, and a small rate, by which gradients that differ by 1e-3 of their size, which is about 1, move weights by 6 x 1e-6 in
# six updates. Statistics move with activations, of size 1. Each replica's own statistics would move them by 1e-2.
SETTINGS = {
    r"training: .*": "training: {steps_per_round: 3, batch_size: 8, learning_rate: 0.001, checkpoint_every: 1, "
    "probe_steps: 2, ema_momentum: 0.5}",
    r"image_size: 16": "image_size: 32",
    r"backbone: \w+": "backbone: resnet10v2",
}
TOLERANCE = 2e-5


def start_workers(forked, config, out):
    ports = []
    with socket.socket() as one, socket.socket() as other:
        for sock in (one, other):
            sock.bind(("127.0.0.1", 0))
            ports.append(sock.getsockname()[1])
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    return [
        forked(
            ONE, "train", config, "--out", out,
            TF_CONFIG=json.dumps({"cluster": cluster, "task": {"type": "worker", "index": i}}),
        )
        for i in range(2)
    ]  # fmt: skip


def assert_same_training(one, other, trained_weights):
    for number in range(2):
        got = trained_weights(other, number)
        expected = {
            # the copy of several workers has an optimizer that never made a step
            name: values
            for name, values in trained_weights(one, number).items()
            if not name.startswith("optimizer")
        }
        assert len(expected) > 50
        for name, values in expected.items():
            np.testing.assert_allclose(got[name], values, atol=TOLERANCE, err_msg=name)
        record = f"selection/round-{number}.npz"
        with np.load(one / record) as a, np.load(other / record) as b:
            np.testing.assert_array_equal(a["counts"], b["counts"])


@pytest.fixture(scope="module")
def config(tmp_path_factory, config_text):
    path = tmp_path_factory.mktemp("workers") / "config.yaml"
    for pattern, setting in SETTINGS.items():
        config_text = re.sub(pattern, setting, config_text)
    path.write_text(config_text)
    return path


@pytest.fixture(scope="module")
def searched(config, sjft):
    """A run whose neighbor table is there."""
    assert sjft("--quiet", "search", config, "--out", config.parent / "searched").exit_code == 0
    return config.parent / "searched"


@pytest.fixture(scope="module")
def replicas(config, searched, forked):
    """A run of one process with two replicas."""
    out = shutil.copytree(searched, config.parent / "replicas")
    training = forked(TWO_REPLICAS, "train", config, "--out", out)
    assert training.wait() == 0, training.errors[-3000:]
    assert "training on 2 devices" in training.errors
    return out


@pytest.mark.arithmetic
def test_a_run_on_two_devices_ends_like_one_on_one(config, searched, replicas, sjft, trained_weights):
    out = shutil.copytree(searched, config.parent / "one")
    assert sjft("--quiet", "train", config, "--out", out).exit_code == 0
    assert_same_training(out, replicas, trained_weights)


def test_workers_train_like_replicas_also_when_one_is_killed(config, replicas, tmp_path, forked, trained_weights):
    out = tmp_path / "together"
    workers = start_workers(forked, config, out)
    while not (out / "checkpoints" / "latest.npz").exists() and workers[0].wait(0.01) is None:
        pass
    workers[1].process.kill()
    status, said = workers[0].wait(300), workers[0].errors
    assert status == 75, said[-3000:]
    assert said.splitlines()[-1].startswith("sjft-tf: another worker is gone; start all of them again"), said[-3000:]

    workers = start_workers(forked, config, out)
    statuses = [worker.wait(300) for worker in workers]
    said = [worker.errors for worker in workers]
    assert statuses == [0, 0], said[0][-2000:] + said[1][-2000:]
    assert "resuming after step" in said[0]
    outcomes = [re.findall(r"\d+ target images wrong.*settled", text) for text in said]
    assert outcomes[0] == outcomes[1] and outcomes[0]
    reach = [re.findall(r"round \d of 2, \d+ source images in reach", text) for text in said]
    assert reach[0] == reach[1]
    assert_same_training(replicas, out, trained_weights)
