"""The profile of a training step: what it says of given times, and that it measures something and leaves nothing."""

import dataclasses
import math
import re
import tempfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from sjft_tf.stages.profile import BURSTS, Profile, advice, gradients_of, median_seconds
from sjft_tf.training import joint_model

ON_CPU = Profile(
    0.010, 0.090, 0.100, 0.105,
    images=20, on_gpu=False, replicas=1, precision="float32", compiled=False, side=480, cores=2,
)  # fmt: skip
ON_GPU = dataclasses.replace(ON_CPU, on_gpu=True, precision="mixed_bfloat16", compiled=True)


def said(profile, **changes) -> str:
    return advice(dataclasses.replace(profile, **changes))


def test_parts_and_rates_follow_from_the_four_times():
    assert ON_CPU.update == pytest.approx(0.010)
    assert ON_CPU.waiting == pytest.approx(1 - 100 / 105)
    table = dict(re.split(r"  +", line, maxsplit=1) for line in ON_CPU.lines()[1:])
    assert table["input alone"].split() == ["10.0", "2,000.0"]
    assert table["update"].split() == ["10.0"]
    assert table["step with constant data"].split() == ["100.0", "200.0"]
    assert table["waiting for input"].split() == ["5%"]


def test_noise_makes_no_part_negative():
    assert dataclasses.replace(ON_CPU, gradients=0.11).update == 0
    assert dataclasses.replace(ON_CPU, trained=0.09).waiting == 0


@pytest.mark.parametrize("profile", [ON_CPU, ON_GPU])
def test_a_step_that_waits_is_told_to_read_less(profile):
    text = said(profile, trained=0.2)
    assert "50%" in text and "480 pixels" in text and "more cores" in text and "are 2" in text
    assert ("same cores" in text) is not profile.on_gpu


def test_waiting_comes_before_the_update_and_the_model():
    assert "smaller images on disk" in said(ON_GPU, gradients=0.01, trained=0.13, precision="float32")


@pytest.mark.parametrize("profile", [ON_CPU, ON_GPU])
def test_an_update_that_takes_much_is_to_be_made_more_rarely(profile):
    text = said(profile, gradients=0.07)
    assert "30%" in text and "training.iter_size" in text
    assert "iter_size" not in said(profile, gradients=0.08)


def test_a_gpu_is_told_what_it_does_not_use_yet():
    assert "precision" not in said(ON_GPU) and "batch_size" in said(ON_GPU)
    slow = said(ON_GPU, precision="float32", compiled=False)
    assert "--set training.precision=mixed_bfloat16 --set training.jit_compile=true" in slow
    assert "jit_compile" not in said(ON_GPU, compiled=False, replicas=2)  # XLA fails across replicas


def test_a_processor_is_told_what_slows_it():
    assert "model.backbone" in said(ON_CPU)
    assert "jit_compile=false" in said(ON_CPU, compiled=True)
    assert "precision=float32" in said(ON_CPU, precision="mixed_bfloat16")


def test_functions_are_called_in_turns_and_as_often_as_asked():
    calls = []
    seconds = median_seconds([lambda: calls.append("a"), lambda: calls.append("b")], 2 * BURSTS)
    assert "".join(calls) == "aabb" * (1 + BURSTS)
    assert all(value > 0 for value in seconds)


def test_gradients_are_those_of_the_loss_that_is_trained_on(rng):
    """Also of the first of several batches of an update, whose pairs are every second."""
    found = []
    for iter_size in (1, 2):
        keras.utils.set_random_seed(0)
        model = joint_model(
            "resnet10v2", target_classes=3, source_classes=2, source_weight=0.5, iter_size=iter_size, image_size=16,
            width=1 / 16, stem="small",
        )  # fmt: skip
        model.compile(keras.optimizers.SGD(1.0))
        batch = (
            tf.constant(np.random.default_rng(0).uniform(0, 255, (4, 16, 16, 3)), tf.float32),
            {"target": tf.constant([0, 0, 2, 0]), "source": tf.constant([0, 1, 0, 0])},
            {"target": tf.constant([1.0, 0, 1, 0]), "source": tf.constant([0.0, 1, 0, 1])},
        )
        if iter_size == 2:
            batch = tf.nest.map_structure(lambda x: tf.concat([x[:2], x[:2] * 0, x[2:], x[2:] * 0], 0), batch)
        found.append(gradients_of(model)(batch))
        if iter_size == 1:
            before = [variable.numpy() for variable in model.trainable_variables]
            model.train_step(batch)
            updates = [old - variable.numpy() for old, variable in zip(before, model.trainable_variables, strict=True)]
    for one, first_of_several, update in zip(*found, updates, strict=True):
        np.testing.assert_allclose(one, update, rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(one, first_of_several, rtol=1e-5, atol=1e-7)


def test_a_run_prints_finite_numbers_and_leaves_no_file(tmp_path, monkeypatch, config_text, sjft):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(config_text)
    sets = ("--set", "training.batch_size=6", "--set", "training.iter_size=2")
    result = sjft("profile", tmp_path / "config.yaml", "--steps", "1", *sets)
    assert result.exit_code == 0, result.output
    table = {line[:24].strip(): line[24:].split() for line in result.stdout.splitlines()[1:7]}
    numbers = {name: [float(cell.rstrip("%").replace(",", "")) for cell in cells] for name, cells in table.items()}
    assert all(math.isfinite(number) and number >= 0 for row in numbers.values() for number in row)
    for name in ("input alone", "forward and backward", "step with constant data", "step as trained"):
        milliseconds, rate = numbers[name]
        rounded = 0.05 + milliseconds * 0.05 / rate + 1e-3  # of both, to a decimal
        assert milliseconds == pytest.approx(1000 * 12 / rate, abs=rounded)  # two batches of 6 make an update
    assert result.stdout.splitlines()[7].endswith(".")
    tensorflows = ("__autograph", "__pycache__")  # what it compiles of its own, where it has a temporary folder
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(tensorflows)] == ["config.yaml"]


def test_several_workers_are_refused(tmp_path, monkeypatch, config_text, sjft):
    from sjft_tf.training import devices

    monkeypatch.setattr(devices, "in_cluster", lambda: True)
    (tmp_path / "config.yaml").write_text(config_text)
    result = sjft("profile", tmp_path / "config.yaml")
    assert result.exit_code == 2 and "TF_CONFIG" in result.stderr
