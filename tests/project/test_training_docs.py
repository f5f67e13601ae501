"""What docs/training.md shows for one's own script works: `fit` that resumes, and the loop of several workers."""

import pathlib
import re

import numpy as np
import pytest
import tensorflow as tf

import sjft_tf as sjft
from sjft_tf.retrieval import NeighborTable

BLOCKS = re.findall(
    r"```python\n(.*?)```", (pathlib.Path(__file__).parents[2] / "docs/training.md").read_text(), flags=re.DOTALL
)
SMALLER = {"3200": "3", "epochs=5": "epochs=2", "every=200": "every=2",
           "selection, steps": "selection, batch_size=4, image_size=16, steps"}  # fmt: skip


@pytest.fixture
def names(image_folders, tmp_path, monkeypatch):
    """What the examples take for granted, small."""
    monkeypatch.chdir(tmp_path)
    target, source = (sjft.ImageFolder(image_folders[role]) for role in ("target", "source"))
    table = NeighborTable(np.tile(np.arange(8, dtype=np.int32), (12, 1)), np.zeros((12, 8), np.float32))
    return {
        "target": target, "source": source, "selection": sjft.Selection(table, k0=2), "model": _model(),
        "plain": _model(), "strategy": tf.distribute.get_strategy(),
    }  # fmt: skip


def _model():
    model = sjft.joint_model(
        "resnet10v2", target_classes=3, source_classes=4, image_size=16, width=1 / 16, stem="small"
    )
    model.compile(sjft.caffe_sgd(0.01))
    return model


def _run(block, names):
    for large, small in SMALLER.items():
        block = block.replace(large, small)
    assert "3200" not in block
    exec(block, names)


def test_a_fit_with_a_checkpoint_resumes(names):
    _run(BLOCKS[1], names)
    assert names["selection"].round == 2 and (names["checkpoint"].round, names["checkpoint"].step) == (2, 0)
    weights, history = names["model"].get_weights(), names["history"].history
    names["model"], names["selection"] = _model(), sjft.Selection(names["selection"].neighbors, k0=2)
    _run(BLOCKS[1], names)  # there is nothing left to train
    assert names["selection"].round == 2 and names["history"].history == history
    for one, other in zip(weights, names["model"].get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_loop_trains_and_ends_rounds(names):
    before = names["plain"].get_weights()
    _run(BLOCKS[2], names)
    assert names["selection"].round == 2 and int(names["model"].optimizer.iterations) == 6
    assert any((one != other).any() for one, other in zip(before, names["plain"].get_weights(), strict=True))


def test_a_linear_probe_moves_the_heads_alone(names):
    names["sjft"] = sjft
    before = {variable.path: variable.numpy() for variable in names["model"].variables}
    _run(BLOCKS[0], names)
    moved = {v.path for v in names["model"].variables if not np.array_equal(v, before[v.path])}
    assert moved == {"target/kernel", "target/bias", "source/kernel", "source/bias"}
