"""The linear probe of a run: stopped anywhere it ends in the same bits, and the rounds begin with its heads."""

import numpy as np
import pytest

from sjft_tf.training import LossCurves
from sjft_tf.workspace import RunFolder

PROBE = ("--set", "training.probe_steps=4", "--set", "training.checkpoint_every=1", "--set", "selection.mode=none")


@pytest.fixture(scope="module")
def config(tmp_path_factory, config_text):
    path = tmp_path_factory.mktemp("probe") / "config.yaml"
    path.write_text(config_text)
    return path


@pytest.fixture(scope="module")
def straight(config, sjft):
    assert sjft("--quiet", "train", config, "--out", config.parent / "straight", *PROBE).exit_code == 0
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
        assert sjft("--quiet", "train", config, "--out", out, *PROBE).exit_code == 130
    assert RunFolder(out).probe_checkpoint.exists() and not RunFolder(out).probe.exists()
    caplog.set_level("INFO", "sjft_tf")
    assert sjft("train", config, "--out", out, *PROBE).exit_code == 0
    assert "probe-latest.npz: resuming after step 2 of round 1" in caplog.text
    assert RunFolder(out).probe.read_bytes() == RunFolder(straight).probe.read_bytes()
    assert not RunFolder(out).probe_checkpoint.exists()
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
    assert sjft("--quiet", "train", config, "--out", out.path, *PROBE).exit_code == 130
    np.testing.assert_array_equal(found["bias"], heads["target/1"] + 1)
