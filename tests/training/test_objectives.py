"""Terms: what the masked Keras loss is a sum of, that metrics count a term's own rows, and a place for a third term."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from sjft_tf.errors import InputError
from sjft_tf.selection import Selection
from sjft_tf.training import (
    JointModel,
    LossCurves,
    Term,
    caffe_sgd,
    fit_workers,
    joint_dataset,
    joint_model,
    joint_terms,
)
from sjft_tf.training.objectives import history


class _Logits(keras.layers.Layer):
    """Takes rows of 3 target and 2 source logits apart."""

    def call(self, x):
        return x[:, :3], x[:, 3:]


def _model(terms=None, **compiled):
    rows = keras.Input((5,))
    target, source = _Logits()(rows)
    model = JointModel(rows, {"target": target, "source": source}, terms=terms)
    model.compile(caffe_sgd(0.1), **compiled)
    return model


def _rows():
    """Target losses 0.23954477 and 1.55144471, by hand from the logits; source losses are log(1 + e^-x)."""
    logits = np.array([[2, 0, 0, 9, 9], [9, 9, 9, 1, 0], [0, 1, 0, 9, 9], [9, 9, 9, 0, 3]], np.float32)
    labels = {"target": np.array([0, 0, 2, 0]), "source": np.array([0, 0, 0, 1])}
    weights = {"target": np.array([1.0, 0, 1, 0]), "source": np.array([0.0, 1, 0, 1])}
    return logits, labels, weights


def _evaluated(model):
    logits, labels, weights = _rows()
    return model.evaluate(logits, labels, sample_weight=weights, batch_size=4, verbose=0, return_dict=True)


TARGET_LOSS, SOURCE_LOSS = np.mean([0.23954477, 1.55144471]), np.mean(np.log1p(np.exp([-1.0, -3.0])))


@pytest.mark.parametrize(("terms", "share"), [(None, 1), (joint_terms(losses="authors"), 0.5)])
def test_compiled_with_an_optimizer_alone_the_loss_is_the_sum_of_both_means_and_the_authors_half_of_it(terms, share):
    results = _evaluated(_model(terms))
    assert results["loss"] == pytest.approx(share * (TARGET_LOSS + SOURCE_LOSS), abs=1e-6)
    assert history(joint_terms(), results) == pytest.approx(
        {"target_loss": TARGET_LOSS, "source_loss": SOURCE_LOSS, "target_accuracy": 0.5, "source_accuracy": 1.0},
        abs=1e-6,
    )


def test_a_terms_weight_is_its_factor_in_the_loss():
    results = _evaluated(_model(joint_terms(source_weight=3)))
    assert results["loss"] == pytest.approx(TARGET_LOSS + 3 * SOURCE_LOSS, abs=1e-6)
    assert results["source_mean_loss"] == pytest.approx(SOURCE_LOSS, abs=1e-6)


TINY = {"image_size": 16, "width": 1 / 16, "stem": "small"}


@pytest.mark.parametrize(("losses", "share"), [("fair", 1), ("authors", 0.5)])
@pytest.mark.parametrize(("iter_size", "looped"), [(1, False), (2, False), (2, True)])
def test_the_target_pulls_beside_a_source_as_it_does_alone_and_the_authors_half_as_hard(
    losses, share, iter_size, looped, rng
):
    """Gradients on the same target rows; normalization is frozen, so that the source's rows change no statistics."""
    images, classes = rng.uniform(0, 255, (8, 16, 16, 3)).astype(np.float32), rng.integers(0, 3, 8)
    is_target = np.arange(8) % 2 == 0

    def gradients(images, labels, weights, source_classes):
        keras.utils.set_random_seed(0)
        model = joint_model(
            "resnet10v2", target_classes=3, source_classes=source_classes, source_weight=0, losses=losses,
            iter_size=iter_size, bn="frozen", **TINY,
        )  # fmt: skip
        model.compile(keras.optimizers.SGD(1.0))
        before = {variable.path: variable.numpy() for variable in model.trainable_variables}
        rows = (images, *({name: array[name] for name in model.output} for array in (labels, weights)))
        data = tf.data.Dataset.from_tensors(rows)
        if looped:
            fit_workers(model, lambda shard: data, epochs=1, steps=1, plain=model)
        else:
            model.fit(data, verbose=0)
        return {
            variable.path: before[variable.path] - variable.numpy()
            for variable in model.trainable_variables
            if not variable.path.startswith("source")
        }

    weights = {"target": is_target.astype(np.float32), "source": (~is_target).astype(np.float32)}
    labels = {"target": classes, "source": classes}
    beside = gradients(images, labels, weights, 4)
    alone = gradients(*tf.nest.map_structure(lambda rows: rows[is_target], (images, labels, weights)), None)
    assert beside.keys() == alone.keys() and len(alone) > 10
    for path, gradient in alone.items():
        size = np.abs(gradient).max()
        assert size > 0
        np.testing.assert_allclose(beside[path], share * gradient, atol=1e-4 * size, err_msg=path)


def test_the_authors_loss_makes_the_same_updates_at_twice_the_rate_and_half_the_decay(rng):
    images = rng.uniform(0, 255, (4, 16, 16, 3)).astype(np.float32)
    _, labels, weights = _rows()

    def trained(losses, factor):
        keras.utils.set_random_seed(0)
        model = joint_model("resnet10v2", target_classes=3, source_classes=2, losses=losses, **TINY)
        model.compile(caffe_sgd(0.01 * factor, weight_decay=0.5 / factor))
        model.fit(images, labels, sample_weight=weights, batch_size=4, shuffle=False, epochs=2, verbose=0)
        return model

    fair, authors = trained("fair", 1), trained("authors", 2)
    for one, other in zip(fair.trainable_variables, authors.trainable_variables, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6, err_msg=one.path)


def test_what_compile_is_given_wins_and_plain_metrics_are_masked_too():
    given = _model(
        loss={"target": "sparse_categorical_crossentropy"}, loss_weights={"target": 2.0}, jit_compile=True,
        metrics={"target": ["accuracy"], "source": ["accuracy"]},
    )  # fmt: skip
    assert given.jit_compile and not _model().jit_compile
    given.compile(caffe_sgd(0.1), loss_weights={"target": 1.0, "source": 0.0}, metrics={"source": ["accuracy"]})
    results = _evaluated(given)
    assert results["loss"] == pytest.approx(0.5 * TARGET_LOSS, abs=1e-6)
    assert results["source_accuracy"] == 1.0, "unmasked it would be a half"
    assert "target_accuracy" not in results


def test_metrics_of_a_model_with_one_term_carry_its_name_too():
    image = keras.Input((4,))
    model = JointModel(image, {"target": keras.layers.Dense(3, name="target")(image)})
    model.compile(caffe_sgd(0.1))
    results = model.evaluate(np.ones((2, 4)), {"target": np.zeros(2)}, verbose=0, return_dict=True)
    assert history(model.terms, results) == pytest.approx(
        {"target_loss": results["loss"], "target_accuracy": results["target_accuracy"]}
    )


def test_a_third_term_shows_up_in_masks_history_and_curves(target, source, table):
    """In ten lines outside of the package."""
    keras.utils.set_random_seed(0)
    base = joint_model("resnet10v2", target_classes=3, source_classes=4, **TINY)
    length = keras.layers.Dense(1, name="length")(base.get_layer("avg_pool").output)
    mean_error = keras.metrics.MeanAbsoluteError(name="error")
    terms = (*base.terms, Term("length", rows="all", loss=keras.losses.Huber(), weight=0.1, metrics=(mean_error,)))
    model = JointModel(base.input, {**base.output, "length": length}, terms=terms, iter_size=2)
    model.compile(caffe_sgd(0.01))
    selection = Selection(table, k0=2)
    data = joint_dataset(
        target, source, selection, steps=2, batch_size=4, iter_size=2, image_size=16, terms=model.terms
    )
    curves = LossCurves()
    logs = model.fit(data, callbacks=[curves], verbose=0).history

    _, labels, weights = next(iter(data))
    assert set(labels) == set(weights) == {"target", "source", "length"}
    assert weights["length"].numpy().tolist() == [1] * 8
    np.testing.assert_array_equal(labels["length"], labels["target"] + labels["source"])  # of the row's own domain
    found = history(model.terms, {name: values[0] for name, values in logs.items()})
    assert {"length_loss", "length_error"} < set(found)
    assert set(curves.curve()) == {"step", "target", "source", "length"}
    parts = found["target_loss"] + found["source_loss"] + 0.1 * found["length_loss"]
    assert logs["loss"][0] == pytest.approx(parts, rel=1e-4)
    assert set(model.optimizer.heads) == set(labels)


def test_impossible_terms_are_named():
    with pytest.raises(InputError, match="rows of term 'x' are 'some'; they must be one of target, source, all"):
        Term("x", "some", keras.losses.Huber())
    with pytest.raises(InputError, match="has no output 'x'; it has"):
        _model((*joint_terms(), Term("x", "all", keras.losses.Huber())))
    with pytest.raises(InputError, match="losses is 'fiar'; it must be one of fair, authors"):
        joint_terms(losses="fiar")
