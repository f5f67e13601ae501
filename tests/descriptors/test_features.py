import numpy as np
import pytest
import tensorflow as tf

from sjft_tf.descriptors import FeatureDescriber, engine
from sjft_tf.errors import InputError

SIZE, DRAWN = 14, 16  # images of 16 pixels are not resized, only cut to the central 14


def describe_features(domain, extractor, *, image_size, indices=None, progress=None):
    return FeatureDescriber(extractor, image_size=image_size).describe(domain, indices=indices, progress=progress)


class MeanColor:
    """Each color's average, and the greatest value."""

    n_features = 4

    def features(self, images):
        return tf.concat([tf.reduce_mean(images, (1, 2)), tf.reduce_max(images, (1, 2, 3))[:, None]], 1)

    def config(self):
        return {}


class BatchMates(MeanColor):
    """Tells how many images there are in the batch."""

    def features(self, images):
        return super().features(images) * 0 + tf.constant([1.0, 0, 0, 0]) * tf.cast(tf.shape(images)[0], tf.float32) + 1


@pytest.fixture
def domain(rng, drawn_images):
    return drawn_images(rng.integers(0, 256, (7, DRAWN, DRAWN, 3), np.uint8))


def by_hand(domain):
    images = np.float64(domain.images[:, 1:-1, 1:-1])
    features = np.column_stack([images.mean((1, 2)), images.max((1, 2, 3))])
    return features / np.sqrt((features**2).sum(1, keepdims=True))


@pytest.mark.parametrize("batch", [1, 3, 7, 16])
def test_vectors_are_the_extractors_brought_to_unit_length(domain, batch, monkeypatch):
    monkeypatch.setattr(engine, "BATCH", batch)
    found = describe_features(domain, MeanColor(), image_size=SIZE)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_hand(domain), rtol=1e-6)


def test_the_extractor_always_sees_full_batches(domain, monkeypatch):
    monkeypatch.setattr(engine, "BATCH", 4)
    found = describe_features(domain, BatchMates(), image_size=SIZE)  # 4, then 3 filled up
    np.testing.assert_array_equal(found, found[:1].repeat(7, 0))
    np.testing.assert_allclose(found[0, 0] / found[0, 1], 5, rtol=1e-6)


def test_indices_choose_and_order_the_images(domain):
    everything, chosen = describe_features(domain, MeanColor(), image_size=SIZE), np.array([6, 0, 3, 3])
    found = describe_features(domain, MeanColor(), image_size=SIZE, indices=chosen)
    np.testing.assert_array_equal(found, everything[chosen])
    none = describe_features(domain, MeanColor(), image_size=SIZE, indices=chosen[:0])
    assert none.shape == (0, 4) and none.dtype == np.float32


def test_progress_is_told_of_every_image(domain, monkeypatch):
    monkeypatch.setattr(engine, "BATCH", 4)
    told = []
    describe_features(domain, MeanColor(), image_size=SIZE, progress=lambda *now: told.append(now))
    assert told == [(4, 7), (7, 7)]


@pytest.mark.parametrize("value", [0, np.nan, np.inf])
def test_vectors_without_a_direction_are_refused_by_the_images_name(domain, value):
    class Broken(MeanColor):
        def features(self, images):
            features = super().features(images)
            return tf.where(features[:, :1] == tf.reduce_max(features[:, :1]), tf.constant(value, tf.float32), features)

    worst = domain.images[:, 1:-1, 1:-1, 0].mean((1, 2)).argmax()
    indices = np.roll(np.arange(7), 2)
    with pytest.raises(InputError, match=rf"^drawn: the features of {worst:03} are all zero or not finite"):
        describe_features(domain, Broken(), image_size=SIZE, indices=indices)
