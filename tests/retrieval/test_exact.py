"""Exact search against a direct evaluation, within its promise; and one table to the bit, however the work is cut."""

import logging
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sjft_tf.errors import InputError
from sjft_tf.retrieval import (
    ExactSearch,
    HistogramMeasure,
    SquaredDistance,
    search_exact,
    squared_distance,
    squared_hellinger,
    symmetric_kl,
)
from sjft_tf.retrieval import exact as module


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("pixels", "bins", "n_distinct", "depth"),
    [
        ((196, 49, 100), 6, 300, 20),
        ((65535, 65535, 65535), 100, 200, 150),  # all that uint16 can count
        ((196, 49, 100), 6, 30, 40),  # every image about ten times
        ((4, 4, 4), 2, 300, 100),  # few different histograms, and so many ties
        ((4096,) * 3, 1, 300, 100),  # constant images
    ],
)
def test_search_is_a_direct_evaluation_but_for_rounding(
    draw, assert_nearest, weights, seed, pixels, bins, n_distinct, depth
):
    rng = np.random.default_rng(seed)
    targets, distinct = draw(rng, 25, pixels=pixels, bins=bins), draw(rng, n_distinct, pixels=pixels, bins=bins)
    sources = distinct[rng.integers(0, n_distinct, 300)]
    sources[7] = targets[3]
    for smoothing in ("authors", 0.01):
        table = search_exact(targets, sources, weights, depth=depth, smoothing=smoothing)
        assert table.indices.shape == (25, depth)
        assert_nearest(table, targets, sources, weights, smoothing)


@pytest.mark.parametrize("smoothing", ["authors", 0.5, 1e-6, 10.0])
def test_search_is_near_to_the_definition_where_descriptors_are_hard(direct, promised, assert_ranked, smoothing):
    """Spikes, images that differ by one pixel, and sources far from all targets, in channels of unequal weights."""
    rng, weights, pixels = np.random.default_rng(1), np.r_[np.full(2, 1 / 2), np.full(30, 1 / 30)], 2916
    shares = rng.dirichlet(np.full(20, 0.5), (60, 32))
    counts = rng.multinomial(pixels, shares).astype(np.uint16)
    targets, sources = counts[:20], np.concatenate([counts, counts])
    sources[60:80] = 0
    sources[60:80, :, 3] = pixels  # constant images
    for image in range(80, 120):  # a pixel of each channel moves to another bin
        full, other = sources[image].argmax(axis=1), rng.integers(0, 20, 32)
        sources[image, np.arange(32), full] -= 1
        sources[image, np.arange(32), other] += 1
    divergences = direct(targets, sources, weights, smoothing)
    table = search_exact(targets, sources, weights, depth=70, smoothing=smoothing)
    assert_ranked(table, divergences, promised(divergences, targets, sources, weights, smoothing))
    np.testing.assert_array_equal(table.indices[:, 0], np.arange(20))


@settings(deadline=None)  # a busy machine is no failure
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.tuples(st.integers(1, 6), st.integers(1, 40)),
    bins=st.integers(1, 5),
    depth=st.integers(1, 45),
    block_rows=st.integers(1, 50),
)
def test_search_is_exact_for_every_size_and_cut(draw, assert_nearest, weights, seed, n, bins, depth, block_rows):
    rng = np.random.default_rng(seed)
    targets, sources = (draw(rng, size, pixels=(9, 4, 6), bins=bins) for size in n)
    table = search_exact(targets, sources, weights, depth=depth, block_rows=block_rows)
    assert table.depth == min(depth, len(sources))
    assert_nearest(table, targets, sources, weights)


@pytest.mark.parametrize("smoothing", [1e-12, 1e-3, 0.5, 10.0])
def test_search_takes_smoothing(rng, draw, direct, promised, assert_ranked, weights, smoothing):
    targets, sources = draw(rng, 10), draw(rng, 200)
    divergences = direct(targets, sources, weights, smoothing)
    table = search_exact(targets, sources, weights, depth=50, smoothing=smoothing)
    assert_ranked(table, divergences, promised(divergences, targets, sources, weights, smoothing))


@pytest.mark.parametrize("smoothing", ["authors", 0, 0.5])
def test_search_takes_hellingers_distance(rng, draw, assert_ranked, weights, smoothing):
    targets, sources = draw(rng, 10), draw(rng, 200)
    sources[::40] = targets[::2]
    distances = squared_hellinger(targets, sources, weights, smoothing=smoothing)
    table = search_exact(targets, sources, weights, depth=50, divergence="hellinger", smoothing=smoothing)
    assert_ranked(table, distances, np.maximum(1e-5 * distances, 1e-6))


@pytest.mark.parametrize("weights", [[1, 0.5, 0.25], [1e-9, 1, 1e-4], [1e20, 1, 1e-20], (2, 3, 5)])
def test_search_takes_weights(rng, draw, assert_nearest, weights):
    targets, sources = draw(rng, 10), draw(rng, 200)
    table = search_exact(targets, sources, weights, depth=50, smoothing="authors")
    assert_nearest(table, targets, sources, weights, "authors")


def test_features_are_searched_by_squared_distance(rng):
    targets, sources = (rng.standard_normal((n, 5)).astype(np.float32) + 100 for n in (6, 47))
    search = ExactSearch(targets, SquaredDistance(), depth=40)
    search.add(0, sources)
    table, expected = search.table(), squared_distance(targets, sources)
    np.testing.assert_allclose(table.divergences, np.sort(expected, axis=1)[:, :40], rtol=1e-4)
    np.testing.assert_allclose(table.divergences, np.take_along_axis(expected, table.indices, axis=1), rtol=1e-4)


def csls(divergences):
    """What stands for the divergences with hubness taken off."""
    return divergences - np.sort(divergences, axis=0)[:10].mean(axis=0) / 2


@pytest.mark.parametrize("n", [3, 10, 40])
def test_half_the_mean_divergence_to_the_ten_nearest_targets_is_taken_off(rng, draw, direct, promised, weights, n):
    targets, sources = draw(rng, n), draw(rng, 300)
    divergences = direct(targets, sources, weights)
    table = search_exact(targets, sources, weights, depth=60, hubness="csls")
    assert table.hubness == "csls" and table.divergences.min() < 0
    adjusted, allowed = csls(divergences), 2 * promised(divergences, targets, sources, weights).max()
    held = np.take_along_axis(adjusted, table.indices, axis=1)
    np.testing.assert_allclose(table.divergences, held, atol=allowed)
    np.testing.assert_allclose(table.divergences, np.sort(adjusted, axis=1)[:, :60], atol=allowed)


@pytest.fixture
def small_tiles(monkeypatch):
    """So small that a search has several of both sides."""
    monkeypatch.setattr(module, "_SOURCE_ROWS", 16)
    monkeypatch.setattr(module, "_TARGET_ROWS", 8)
    monkeypatch.setattr(module, "_RANKED_ROWS", 4)


@pytest.fixture(scope="module")
def crowd(draw):
    """Targets, and sources half of which occur twice."""
    rng = np.random.default_rng(3)
    targets, sources = draw(rng, 21), draw(rng, 90)
    return targets, np.concatenate([sources, sources[::2], sources[1::4]])


SETTINGS = [{}, {"hubness": "csls"}, {"divergence": "hellinger", "smoothing": 0.5}]


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@pytest.mark.parametrize("block_rows", [1, 11, 16, 64, 113])
def test_the_size_of_blocks_changes_no_bit(small_tiles, crowd, assert_same, weights, block_rows, setting):
    whole = search_exact(*crowd, weights, depth=31, **setting)
    assert_same(search_exact(*crowd, weights, depth=31, block_rows=block_rows, **setting), whole)


def test_memory_changes_no_bit(small_tiles, crowd, assert_same, assert_nearest, weights):
    whole = search_exact(*crowd, weights, depth=31)
    assert_nearest(whole, *crowd, weights)
    little = 1e-9 * (8 * 21 * (31 + 64 + 16) + 4 * 16 * (38 + 8) + 8 * 8 * 38 + 1)
    assert ExactSearch(crowd[0], HistogramMeasure(weights), depth=31, memory_gb=little)._group_rows == 8
    assert_same(search_exact(*crowd, weights, depth=31, memory_gb=little), whole)


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@pytest.mark.parametrize("n_threads", [1, 2, 7])
def test_the_number_of_threads_changes_no_bit(
    small_tiles, monkeypatch, crowd, assert_same, weights, n_threads, setting
):
    whole = search_exact(*crowd, weights, depth=31, **setting)
    monkeypatch.setattr(os, "cpu_count", lambda: n_threads)
    assert_same(search_exact(*crowd, weights, depth=31, **setting), whole)


@pytest.mark.parametrize("setting", SETTINGS[:2], ids=str)
@pytest.mark.parametrize("order", ["forwards", "backwards", "random", "nearest last", "nearest first"])
def test_the_order_of_the_blocks_changes_no_bit(rng, small_tiles, crowd, assert_same, weights, order, setting):
    targets, sources = crowd
    if order.startswith("nearest"):
        by_distance = symmetric_kl(*crowd, weights).sum(axis=0).argsort()
        sources = sources[by_distance if order == "nearest first" else by_distance[::-1]]
    starts = {"backwards": range(150, -1, -10), "random": rng.permutation(16) * 10}.get(order, range(0, 160, 10))
    search = ExactSearch(targets, HistogramMeasure(weights), depth=31, **setting)
    for start in starts:
        search.add(start, sources[start : start + 10])
    assert_same(search.table(), search_exact(targets, sources, weights, depth=31, **setting))


def test_a_search_under_way_has_the_table_of_what_was_added(small_tiles, crowd, assert_nearest, assert_same, weights):
    targets, sources = crowd
    search = ExactSearch(targets, HistogramMeasure(weights), depth=20)
    for start, stop in ((0, 8), (8, 50), (50, 158)):
        search.add(start, sources[start:stop])
        table = search.table()
        assert table.depth == min(stop, 20)
        assert_nearest(table, targets, sources[:stop], weights)
        resumed = ExactSearch(targets, HistogramMeasure(weights), depth=20)
        resumed.resume(search.keys())
        assert_same(resumed.table(), table)
        search = resumed


def test_a_refused_block_leaves_the_search_as_it_was(small_tiles, crowd, assert_same, weights):
    targets, sources = crowd
    search = ExactSearch(targets, HistogramMeasure(weights), depth=20)
    search.add(0, sources[:90])
    with pytest.raises(InputError):
        search.add(90, sources[90:] * 2)
    search.add(90, sources[90:])
    assert_same(search.table(), search_exact(targets, sources, weights, depth=20))


def test_every_image_is_its_own_nearest(rng, draw, promised, weights):
    images = draw(rng, 200)
    table = search_exact(images, images, weights, depth=1)
    np.testing.assert_array_equal(table.indices[:, 0], np.arange(200))
    assert (table.divergences[:, 0] <= promised(np.zeros((200, 200)), images, images, weights).diagonal()).all()


def test_equal_divergences_are_in_order_of_index(rng, draw, weights):
    images = draw(rng, 8, pixels=(4, 4, 4), bins=2)
    table = search_exact(images, np.tile(images, (20, 1, 1)), weights, depth=100)
    for indices, divergences in zip(table.indices, table.divergences, strict=True):
        for value in np.unique(divergences):
            assert (np.diff(indices[divergences == value]) > 0).all()


def test_one_source_image_and_one_target_image(rng, draw, assert_nearest, weights):
    targets, sources = draw(rng, 9), draw(rng, 50)
    for n, m, k in ((9, 1, 1), (1, 50, 1), (1, 50, 50), (1, 1, 1)):
        table = search_exact(targets[:n], sources[:m], weights, depth=k)
        assert_nearest(table, targets[:n], sources[:m], weights)


def test_a_source_smaller_than_depth_makes_a_narrower_table_and_a_warning(rng, draw, assert_nearest, weights, caplog):
    targets, sources = draw(rng, 4), draw(rng, 12)
    with caplog.at_level(logging.WARNING):
        whole = search_exact(targets, sources, weights, depth=12)
        assert not caplog.records
        table = search_exact(targets, sources, weights, depth=13, block_rows=5)
    assert [record.getMessage() for record in caplog.records] == [
        "depth is 13; the source has only 12 images, so every list holds them all"
    ]
    assert table.indices.shape == whole.indices.shape == (4, 12)
    assert_nearest(table, targets, sources, weights)


@pytest.mark.parametrize("layout", ["C", "F"])
def test_a_source_on_disk_is_searched(rng, draw, assert_same, tmp_path, weights, layout):
    targets, sources = draw(rng, 4), draw(rng, 200)
    on_disk = np.memmap(tmp_path / "counts", np.uint16, "w+", shape=sources.shape, order=layout)
    on_disk[:] = sources
    table = search_exact(targets, on_disk, weights, depth=9, block_rows=64)
    assert_same(table, search_exact(targets, sources, weights, depth=9))


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64, ">u2"])
def test_integers_of_all_kinds_are_counts(rng, draw, assert_same, weights, dtype):
    targets, sources = draw(rng, 4), draw(rng, 40)
    assert_same(
        search_exact(targets.astype(dtype), sources.astype(dtype), weights, depth=9),
        search_exact(targets, sources, weights, depth=9),
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"depth": 0}, "^depth is 0; it must be 1 or more$"),
        ({"depth": -3}, "^depth is -3;"),
        ({"smoothing": 0}, '^smoothing is 0; it must be "authors", or a number of counts from 1e-12 to 10$'),
        ({"smoothing": float("nan")}, "^smoothing is nan;"),
        ({"smoothing": "none"}, "^smoothing is 'none';"),
        ({"smoothing": -1, "divergence": "hellinger"}, '^smoothing is -1; it must be 0, "authors", or'),
        ({"divergence": "js"}, """^divergence is 'js'; it must be "kl" or "hellinger"$"""),
        ({"hubness": "mutual"}, """^hubness is 'mutual'; it must be "none" or "csls"$"""),
        ({"block_rows": -1}, "^block_rows is -1; it must be 1 or more"),
        (
            {"memory_gb": 1e-6},
            "^retrieval.memory_gb is 1e-06; searching 2 neighbors of 3 target images with 38 numbers",
        ),
    ],
)
def test_values_out_of_range_are_refused(rng, draw, weights, values, message):
    with pytest.raises(InputError, match=message):
        search_exact(draw(rng, 3), draw(rng, 5), weights, **{"depth": 2, **values})


def test_hubness_needs_all_targets_in_memory(small_tiles, crowd, weights):
    little = 1e-9 * (8 * 21 * (31 + 64 + 16) + 4 * 16 * (38 + 8) + 20 * 8 * 38 + 1)
    search_exact(*crowd, weights, depth=31, memory_gb=little)
    with pytest.raises(InputError, match="by hubness csls needs at least"):
        search_exact(*crowd, weights, depth=31, memory_gb=little, hubness="csls")


def test_a_source_without_images_is_refused(rng, draw, weights):
    with pytest.raises(InputError, match="^the source has no images"):
        search_exact(draw(rng, 3), draw(rng, 5)[:0], weights, depth=2)
