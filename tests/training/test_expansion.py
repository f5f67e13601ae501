"""The callback with a user's own model and fit: entropies, K, logs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from sjft_tf.errors import InputError
from sjft_tf.images import center_view, decode
from sjft_tf.inference import predict
from sjft_tf.selection import Selection, entropy, expand_counts
from sjft_tf.training import NeighborExpansion, joint_dataset, joint_loss, joint_metrics, joint_sgd


def _by_hand(model, domain, size):
    views = np.stack([center_view(decode(e), size).numpy() for e in domain.encoded(np.arange(len(domain)))])
    return tf.nn.softmax(model(views)["target"]).numpy()


def test_predict_equals_a_forward_pass_over_center_views(model, target):
    progress = []
    got = predict(model, target, batch_size=5, progress=lambda done, total: progress.append((done, total)))
    np.testing.assert_allclose(got, _by_hand(model, target, 16), atol=1e-6)
    assert progress == [(5, 12), (10, 12), (12, 12)]
    assert got.dtype == np.float32


def test_fit_with_the_callback_expands_k_by_the_models_own_entropies(model, target, source, table):
    selection = Selection(table, k0=2)
    model.compile(joint_sgd(0.05), joint_loss(), weighted_metrics=joint_metrics(), jit_compile=False)
    callback = NeighborExpansion(selection, target, batch_size=7)
    data = joint_dataset(target, source, selection, batch_size=4, image_size=16)
    history = model.fit(data, epochs=1, steps_per_epoch=3, callbacks=[callback], verbose=0).history
    probabilities = _by_hand(model, target, 16)
    correct = probabilities.argmax(-1) == target.labels
    np.testing.assert_allclose(callback.entropies, entropy(probabilities), atol=1e-5)
    np.testing.assert_array_equal(callback.correct, correct)
    rule = {"k0": 2, "sigma0": 4, "sigma1": 2, "delta": 0.1, "max_k": 12}
    np.testing.assert_array_equal(
        selection.counts, expand_counts(np.full(12, 2), entropy(probabilities), correct, **rule)
    )
    assert history["wrong"] == [(~correct).sum()]
    assert history["reachable"] == [selection.reachable]
    assert history["wrong"][0] + history["uncertain"][0] + history["settled"][0] == 12
    assert {"target_accuracy", "source_accuracy"} <= set(history)


def test_two_runs_from_one_seed_end_in_the_same_weights(model, target, source, table):
    def trained():
        keras.utils.set_random_seed(0)
        again, selection = keras.models.clone_model(model), Selection(table, k0=2)
        again.compile(joint_sgd(0.05), joint_loss(), weighted_metrics=joint_metrics(), jit_compile=False)
        data = joint_dataset(target, source, selection, batch_size=4, image_size=16)
        callback = NeighborExpansion(selection, target)
        again.fit(data, epochs=2, steps_per_epoch=4, callbacks=[callback], verbose=0)
        return again.get_weights(), selection.counts

    (one, k_one), (other, k_other) = trained(), trained()
    np.testing.assert_array_equal(k_one, k_other)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def test_one_fit_after_the_other_counts_steps_from_zero(model, target, source, table):
    selection = Selection(table, k0=2)
    model.compile(joint_sgd(0.0), joint_loss(), weighted_metrics=joint_metrics(), jit_compile=False)
    data = joint_dataset(target, source, selection, batch_size=4, image_size=16)
    callback = NeighborExpansion(selection, target)
    for _ in range(2):
        model.fit(data, epochs=1, steps_per_epoch=3, callbacks=[callback], verbose=0)
    assert selection.round == 2
    targets, uniforms = np.arange(12), np.full(12, 0.99)
    of_round_1 = selection.draw(targets, uniforms, step=2, since=1)
    of_round_2 = selection.draw(targets, uniforms, step=3, since=1)
    assert (selection.counts == 12).any()  # wrong twice, so K grew twice
    np.testing.assert_array_equal(of_round_2, selection.draw(targets, uniforms))
    assert (of_round_1 != of_round_2).any()


def test_a_selection_for_other_images_is_refused(target, source, table):
    with pytest.raises(InputError, match=f"for 12 target images; .* has {len(source)}"):
        NeighborExpansion(Selection(table, k0=2), source)


def test_a_model_for_images_of_any_size_needs_one_named(target):
    image = keras.Input((None, None, 3), name="image")
    logits = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(image))
    with pytest.raises(InputError, match="give image_size"):
        predict(keras.Model(image, logits), target)
    assert predict(keras.Model(image, logits), target, image_size=8).shape == (12, 3)
