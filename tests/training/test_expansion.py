"""The callback with a user's own model and fit: entropies, K, logs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from sjft_tf.errors import InputError
from sjft_tf.images import center_view, decode
from sjft_tf.inference import predict
from sjft_tf.selection import Selection, entropy, expand_counts
from sjft_tf.training import JointModel, NeighborExpansion, caffe_sgd, joint_dataset, joint_terms


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
    model = JointModel(model.input, model.output)
    model.compile(caffe_sgd(0.05))
    callback = NeighborExpansion(selection, target, batch_size=7)
    data = joint_dataset(target, source, selection, batch_size=4, image_size=16, steps=3)
    history = model.fit(data, epochs=1, callbacks=[callback], verbose=0).history
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


@pytest.mark.arithmetic
def test_two_runs_from_one_seed_end_in_the_same_weights_and_each_round_draws_by_its_k(model, target, source, table):
    """Also with a plain Keras model, which needs to be told its losses."""

    def trained(epochs):
        keras.utils.set_random_seed(0)
        again, selection = keras.models.clone_model(model), Selection(table, k0=2)
        again.compile(caffe_sgd(0.05), {term.name: term.loss for term in joint_terms()}, jit_compile=False)
        data = joint_dataset(target, source, selection, batch_size=4, image_size=16, steps=4)
        for epoch in epochs:
            again.fit(data, initial_epoch=epoch[0], epochs=epoch[1], callbacks=[NeighborExpansion(selection, target)],
                      shuffle=False, verbose=0)  # fmt: skip
        return again.get_weights(), selection

    one, other, in_two = trained([(0, 2)]), trained([(0, 2)]), trained([(0, 1), (1, 2)])
    assert one[1].round == in_two[1].round == 2 and (one[1].counts == 12).any()
    for weights, selection in (other, in_two):
        np.testing.assert_array_equal(selection.counts, one[1].counts)
        for a, b in zip(one[0], weights, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_selection_for_other_images_is_refused(target, source, table):
    with pytest.raises(InputError, match=f"has 12 target images; .* has {len(source)}"):
        NeighborExpansion(Selection(table, k0=2), source)


def test_a_model_for_images_of_any_size_needs_one_named(target):
    image = keras.Input((None, None, 3), name="image")
    logits = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(image))
    with pytest.raises(InputError, match="give image_size"):
        predict(keras.Model(image, logits), target)
    assert predict(keras.Model(image, logits), target, image_size=8).shape == (12, 3)
