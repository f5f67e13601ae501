"""The linear probe of a run, and averaged weights: where they are used, and that a run resumes to the same bits."""

import shutil

import numpy as np
import pytest

from sjft_tf.config import load_experiment
from sjft_tf.inference import predict
from sjft_tf.selection import entropy
from sjft_tf.stages.fitting import compile_model
from sjft_tf.training import LossCurves
from sjft_tf.training.callbacks.averages import exchange
from sjft_tf.workspace import RunFolder, Workspace, initial_model

SETTINGS = ("selection.mode=none", "training.checkpoint_every=1", "training.probe_steps=4", "training.ema_momentum=0.5")
SETS = tuple(part for setting in SETTINGS for part in ("--set", setting))


@pytest.fixture(scope="module")
def config(tmp_path_factory, config_text):
    path = tmp_path_factory.mktemp("probe") / "config.yaml"
    path.write_text(config_text)
    return path


@pytest.fixture(scope="module")
def straight(config, sjft):
    assert sjft("--quiet", "train", config, "--out", config.parent / "straight", *SETS).exit_code == 0
    return config.parent / "straight"


def test_a_probe_that_was_stopped_resumes_to_the_same_bits(
    config, straight, sjft, monkeypatch, trained_weights, caplog
):
    out, step = config.parent / "stopped", LossCurves.on_train_batch_end

    def interrupted(curves, batch, logs=None):
        step(curves, batch, logs)
        if curves.params["steps"] == 4 and batch == 2:  # after two steps are saved
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(LossCurves, "on_train_batch_end", interrupted)
        assert sjft("--quiet", "train", config, "--out", out, *SETS).exit_code == 130
    assert RunFolder(out).probe_checkpoint.exists() and not RunFolder(out).probe.exists()
    caplog.set_level("INFO", "sjft_tf")
    assert sjft("train", config, "--out", out, *SETS).exit_code == 0
    assert "probe-latest.npz: resuming after step 2 of round 1" in caplog.text
    assert RunFolder(out).probe.read_bytes() == RunFolder(straight).probe.read_bytes()
    assert not RunFolder(out).probe_checkpoint.exists()
    _assert_same_rounds(straight, out, trained_weights)


def _assert_same_rounds(straight, out, trained_weights):
    for number in range(2):
        one, other = trained_weights(straight, number), trained_weights(out, number)
        assert one.keys() == other.keys() and len(one) > 50
        for name, values in one.items():
            np.testing.assert_array_equal(values, other[name], err_msg=name)


def test_the_first_round_begins_with_the_heads_of_the_probe(config, straight, sjft, monkeypatch):
    """Those in the file: others in their place are taken."""
    with np.load(RunFolder(straight).probe) as held:
        heads = {name: held[name] for name in held.files}
    assert heads["target/0"].any() and heads["target/1"].any()  # biases begin with 0
    found = {}

    def begun(curves, epoch, logs=None):
        found["bias"] = curves.model.get_layer("target").bias.numpy()
        raise KeyboardInterrupt

    monkeypatch.setattr(LossCurves, "on_epoch_begin", begun)
    out = RunFolder(config.parent / "begun")
    out.probe.parent.mkdir(parents=True)
    (out.path / ".lock").touch()
    np.savez(out.probe, **{**heads, "target/1": heads["target/1"] + 1})
    assert sjft("--quiet", "train", config, "--out", out.path, *SETS).exit_code == 130
    np.testing.assert_array_equal(found["bias"], heads["target/1"] + 1)


def test_target_images_are_looked_at_by_the_averages_that_the_round_keeps(straight):
    workspace = Workspace(load_experiment(RunFolder(straight).config), RunFolder(straight))
    model = initial_model(workspace)
    compile_model(workspace.experiment, model, jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    for number in range(2):
        model.load_weights(workspace.folder.weights(number))
        with np.load(workspace.folder.selection(number)) as record:
            found = record["entropies"]
        np.testing.assert_allclose(found, entropy(predict(model, workspace.target)), atol=1e-5)
        exchange(model)  # to what the last update made of the weights
        assert np.abs(found - entropy(predict(model, workspace.target))).max() > 1e-3


def test_a_round_goes_on_from_the_weights_and_not_from_their_averages(config, straight, sjft, trained_weights):
    """Also where nothing but the file of the round before is left of them."""
    out = shutil.copytree(straight, config.parent / "again")
    RunFolder(out).selection(1).unlink()
    RunFolder(out).weights(1).unlink()
    assert sjft("--quiet", "train", config, "--out", out, *SETS).exit_code == 0
    _assert_same_rounds(straight, out, trained_weights)
