"""The masked Keras loss is the authors' loss, and metrics count a head's own rows alone."""

import keras
import numpy as np
import pytest

from sjft_tf.training import joint_loss, joint_metrics


class _Logits(keras.layers.Layer):
    """Takes rows of 3 target and 2 source logits apart."""

    def call(self, x):
        return x[:, :3], x[:, 3:]


def _model():
    rows = keras.Input((5,))
    target, source = _Logits()(rows)
    model = keras.Model(rows, {"target": target, "source": source})
    model.compile(loss=joint_loss(), weighted_metrics=joint_metrics())
    return model


def _rows():
    """Specification 4.2: target losses 0.23954477, 1.55144471; here source losses are log(1 + e^-x)."""
    logits = np.array([[2, 0, 0, 9, 9], [9, 9, 9, 1, 0], [0, 1, 0, 9, 9], [9, 9, 9, 0, 3]], np.float32)
    labels = {"target": np.array([0, 0, 2, 0]), "source": np.array([0, 0, 0, 1])}
    weights = {"target": np.array([1.0, 0, 1, 0]), "source": np.array([0.0, 1, 0, 1])}
    return logits, labels, weights


def test_loss_is_half_of_each_domains_mean():
    logits, labels, weights = _rows()
    results = _model().evaluate(logits, labels, sample_weight=weights, batch_size=4, verbose=0, return_dict=True)
    target, source = np.mean([0.23954477, 1.55144471]), np.mean(np.log1p(np.exp([-1.0, -3.0])))
    assert results["loss"] == pytest.approx(0.5 * target + 0.5 * source, abs=1e-6)
    assert results["target_cross_entropy"] == pytest.approx(target, abs=1e-6)
    assert results["source_cross_entropy"] == pytest.approx(source, abs=1e-6)


def test_accuracy_counts_a_heads_own_rows_alone():
    logits, labels, weights = _rows()
    results = _model().evaluate(logits, labels, sample_weight=weights, batch_size=4, verbose=0, return_dict=True)
    assert results["target_accuracy"] == 0.5
    assert results["source_accuracy"] == 1.0
