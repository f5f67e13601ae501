"""Batches: interleaved rows, labels, masks, and that they are the same however they are asked for."""

import dataclasses
import itertools

import numpy as np
import pytest

from sjft_tf.errors import InputError
from sjft_tf.selection import Selection
from sjft_tf.training import Shard, joint_dataset, joint_terms
from sjft_tf.training.accumulation import part
from sjft_tf.training.sampling import sample_batch


def _batches(dataset, count=None):
    return list(itertools.islice(dataset.as_numpy_iterator(), count))


def _assert_equal(one, other):
    np.testing.assert_array_equal(one[0], other[0])
    for head in one[1]:
        np.testing.assert_array_equal(one[1][head], other[1][head])


def test_rows_alternate_between_target_and_source_with_their_own_labels(target, source, table):
    selection = Selection(table, k0=3)
    images, labels, weights = _batches(joint_dataset(target, source, selection, batch_size=6, image_size=16, steps=1))[
        0
    ]
    assert images.shape == (6, 16, 16, 3) and images.dtype == np.float32
    assert 0 <= images.min() and images.max() <= 255
    expected = sample_batch(selection, 0, 0, 0, labels=target.labels, pairs=3)
    np.testing.assert_array_equal(labels["target"][::2], target.labels[expected.targets])
    np.testing.assert_array_equal(labels["source"][1::2], source.labels[expected.sources])
    assert weights["target"].tolist() == [1, 0] * 3 and weights["source"].tolist() == [0, 1] * 3
    assert (labels["target"][1::2] == 0).all() and (labels["source"][::2] == 0).all(), "dummies are valid labels"


def test_pixels_belong_to_the_labels(target, source, table):
    # Each class has a color of its own and noise of +-40, so a crop's mean tells its class.
    colors = [_mean_color(domain) for domain in (target, source)]
    dataset = joint_dataset(
        target, source, Selection(table, k0=12), batch_size=12, image_size=16, steps=3, pca_noise=0.0
    )  # fmt: skip
    for images, labels, weights in _batches(dataset):
        for image, t, s, is_target in zip(images, labels["target"], labels["source"], weights["target"], strict=True):
            means, label = (colors[0], t) if is_target else (colors[1], s)
            np.testing.assert_allclose(image.mean(axis=(0, 1)), means[label], atol=8)


def _mean_color(domain):
    import io

    import PIL.Image

    images = [np.array(PIL.Image.open(io.BytesIO(b))) for b in domain.encoded(np.arange(len(domain)))]
    means = np.array([image.mean(axis=(0, 1)) for image in images])
    return np.array([means[domain.labels == c].mean(axis=0) for c in range(len(domain.class_names))])


def test_a_finite_dataset_gives_the_same_round_again_and_another_after_it(target, source, table):
    selection = Selection(table, k0=3)
    dataset = joint_dataset(target, source, selection, batch_size=4, image_size=16, steps=3)
    first, again = _batches(dataset), _batches(dataset)
    assert len(first) == 3 == dataset.cardinality()
    for one, other in zip(first, again, strict=True):
        _assert_equal(one, other)
    selection.advance(np.zeros(12), np.ones(12, bool))
    assert not np.array_equal(first[0][0], _batches(dataset)[0][0])


def test_a_round_is_entered_at_the_selections_step(target, source, table):
    selection = Selection(table, k0=3)
    dataset = joint_dataset(target, source, selection, batch_size=4, image_size=16, steps=5)
    whole = _batches(dataset)
    selection.first_step = 2
    for one, other in zip(whole[2:], _batches(dataset, 3), strict=True):
        _assert_equal(one, other)
    selection.advance(np.zeros(12), np.ones(12, bool))
    assert selection.first_step == 0, "the next round is entered at its beginning"


def test_batches_of_one_update_are_those_of_as_many_steps(target, source, table):
    settings = {"batch_size": 4, "image_size": 16}
    single = _batches(joint_dataset(target, source, Selection(table, k0=3), steps=6, **settings))
    updates = _batches(joint_dataset(target, source, Selection(table, k0=3), steps=2, iter_size=3, **settings))
    for update, (images, labels, weights) in enumerate(updates):
        assert images.shape == (12, 16, 16, 3) and weights["target"].tolist() == [1, 0] * 6
        for i in range(3):
            parts = [part(images, i, 3, in_pairs=True)]
            parts += [
                {h: part(rows, i, 3, in_pairs=True) for h, rows in by_head.items()} for by_head in (labels, weights)
            ]
            # colors are changed batch by batch, and rounded by where a pixel lies in the batch
            np.testing.assert_allclose(parts[0], single[3 * update + i][0], atol=1e-4)
            for head in labels:
                np.testing.assert_array_equal(parts[1][head], single[3 * update + i][1][head])
                np.testing.assert_array_equal(parts[2][head], single[3 * update + i][2][head])


@pytest.mark.parametrize("iter_size", [1, 2])
def test_shards_of_workers_and_replicas_put_together_are_the_batch(target, source, table, iter_size):
    settings = {"batch_size": 16, "image_size": 16, "steps": 2, "iter_size": iter_size}
    whole = _batches(joint_dataset(target, source, Selection(table, k0=3), **settings))
    shards = [
        _batches(joint_dataset(target, source, Selection(table, k0=3), shard=Shard(worker, 2, 2), **settings))
        for worker in range(2)
    ]
    for step, (images, labels, weights) in enumerate(whole):
        parts = [shard[2 * step + replica] for shard in shards for replica in range(2)]
        # colors are changed batch by batch, and rounded by where a pixel lies in the batch
        np.testing.assert_allclose(np.concatenate([part[0] for part in parts]), images, atol=1e-4)
        for head in labels:
            np.testing.assert_array_equal(np.concatenate([part[1][head] for part in parts]), labels[head])
            np.testing.assert_array_equal(np.concatenate([part[2][head] for part in parts]), weights[head])
            assert all(part[2][head].sum() == part[2][head].size / 2 for part in parts)


def test_iterations_under_way_at_once_do_not_disturb_each_other(target, source, table):
    """Keras makes an iterator more than it uses."""
    selection = Selection(table, k0=3)
    dataset = joint_dataset(target, source, selection, batch_size=4, image_size=16, steps=3)
    expected = _batches(dataset)
    one, other = iter(dataset), iter(dataset)
    for batch in expected:
        for iterator in (one, other):
            np.testing.assert_array_equal(next(iterator)[0], batch[0])


def test_mode_none_sees_the_same_target_images_as_a_joint_run(target, source, table):
    settings = {"batch_size": 6, "image_size": 16, "steps": 2}
    joint = _batches(joint_dataset(target, source, Selection(table, k0=3), **settings))
    # a source that is given all the same is not drawn from
    alone = _batches(joint_dataset(target, source, Selection(None, mode="none"), **settings))
    for (_, labels, _), (images, alone_labels, weights) in zip(joint, alone, strict=True):
        assert images.shape[0] == 3 and set(alone_labels) == {"target"} and (weights["target"] == 1).all()
        np.testing.assert_array_equal(alone_labels["target"], labels["target"][::2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 5}, "batch_size is 5, .* equal numbers of target and source images .* take a multiple of 2"),
        ({"batch_size": 0}, "batch_size is 0; it must be 1 or more"),
        ({"batch_size": 10, "shard": Shard(0, 2, 2)}, "batch_size is 10, .* on 4 replicas; take a multiple of 8"),
        ({"iter_size": 0}, "iter_size is 0; it must be 1 or more"),
        ({"steps": 0}, "steps is 0; it must be 1 or more"),
        ({"terms": joint_terms(source=False)}, "the terms count rows target, but there is a source"),
        ({"selection": Selection(None, mode="none"), "terms": joint_terms()}, "mode 'none' draws no source images"),
        ({"geometry": "stretch"}, "geometry is 'stretch'; it must be one of scale, crop, squash"),
        ({"target_sampling": "some"}, "target_sampling is 'some'; it must be one of uniform, level"),
        ({"source": None}, "draws source images, but source is None"),
        ({"selection": Selection(None, mode="all", n_source=3)}, "for 3 source images"),
    ],
)
def test_what_does_not_fit_is_named(target, source, table, change, message):
    arguments = {"target": target, "source": source, "selection": Selection(table, k0=3), "batch_size": 4, "steps": 2,
                 **change}  # fmt: skip
    with pytest.raises(InputError, match=message):
        joint_dataset(**arguments)


def test_a_source_smaller_than_the_tables_is_refused_before_the_first_batch(target, source, table):
    with pytest.raises(InputError, match=rf"names source image {table.indices.max()}; .* has 12 images"):
        joint_dataset(target, target, Selection(table, k0=3), batch_size=4, steps=1)


def test_a_table_of_another_domain_of_equal_size_is_refused(target, source, table):
    known = table.of(target, source)
    joint_dataset(target, source, Selection(known, k0=4), batch_size=4, steps=1)
    for side in ("target", "source"):
        other = Selection(dataclasses.replace(known, **{f"{side}_fingerprint": "other"}), k0=4)
        with pytest.raises(InputError, match=f"made with another {side}"):
            joint_dataset(target, source, other, batch_size=4, steps=1)
