"""Exact search against the stable ranking of a direct evaluation, however the work is cut."""

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sjft_tf.errors import InputError
from sjft_tf.retrieval import ExactSearch, SymmetricKL, search_exact, symmetric_kl


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("pixels", "bins", "n_distinct", "max_k"),
    [
        ((196, 49, 100), 6, 300, 20),
        ((65535, 65535, 65535), 100, 200, 150),  # all that uint16 can count
        ((196, 49, 100), 6, 30, 40),  # every image about ten times
        ((4, 4, 4), 2, 300, 100),  # few different histograms, and so many ties
    ],
)
def test_search_is_a_stable_sort_of_the_direct_evaluation(
    draw, direct, assert_ranked, weights, seed, pixels, bins, n_distinct, max_k
):
    rng = np.random.default_rng(seed)
    targets, distinct = draw(rng, 25, pixels=pixels, bins=bins), draw(rng, n_distinct, pixels=pixels, bins=bins)
    sources = distinct[rng.integers(0, n_distinct, 300)]
    table = search_exact(targets, sources, weights, max_k=max_k)
    assert table.indices.shape == (25, max_k)
    assert_ranked(table, direct(targets, sources, weights))


@settings(deadline=None)  # a busy machine is no failure
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.tuples(st.integers(1, 6), st.integers(1, 40)),
    bins=st.integers(1, 5),
    max_k=st.integers(1, 45),
    rows=st.tuples(st.integers(1, 9), st.integers(1, 50)),
)
def test_search_is_exact_for_every_size_and_cut(draw, assert_ranked, weights, seed, n, bins, max_k, rows):
    rng = np.random.default_rng(seed)
    targets, sources = (draw(rng, size, pixels=(9, 4, 6), bins=bins) for size in n)
    table = search_exact(targets, sources, weights, max_k=max_k, tile_rows=rows[0], block_rows=rows[1])
    assert table.max_k == min(max_k, len(sources))
    assert_ranked(table, symmetric_kl(targets, sources, weights))


@pytest.mark.parametrize("epsilon", [1e-300, 1e-10, 1e-2])
def test_search_takes_epsilon(rng, draw, direct, assert_ranked, weights, epsilon):
    targets, sources = draw(rng, 10), draw(rng, 200)
    table = search_exact(targets, sources, weights, max_k=50, epsilon=epsilon)
    assert_ranked(table, direct(targets, sources, weights, epsilon))


@pytest.mark.parametrize("weights", [[1, 0.5, 0.25], [1e-9, 1, 1e-4], [1e20, 1, 1e-20], (2, 3, 5)])
def test_search_takes_weights(rng, draw, direct, assert_ranked, weights):
    targets, sources = draw(rng, 10), draw(rng, 200)
    assert_ranked(search_exact(targets, sources, weights, max_k=50), direct(targets, sources, weights))


def shuffled_bins(rng, counts, n):
    """`n` copies of one descriptor, the bins of each channel in random order: a uniform target is equally far."""
    return rng.permuted(np.repeat(counts[:1], n, axis=0), axis=2)


def test_equal_divergences_whose_sums_round_apart_are_in_order_of_index(rng, draw, assert_ranked):
    weights = np.full(24, 1 / 24)
    sources = shuffled_bins(rng, draw(rng, 1, pixels=(320,) * 24, bins=32), 300)
    targets = np.full((2, 24, 32), 10, np.uint16)
    divergences = symmetric_kl(targets, sources, weights)
    assert len(np.unique(divergences)) > 1 == len(np.unique(divergences.astype(np.float32)))
    table = search_exact(targets, sources, weights, max_k=200)
    np.testing.assert_array_equal(table.indices, [np.arange(200)] * 2)
    assert_ranked(table, divergences)


def test_differences_below_float32_are_ties(rng, draw, assert_ranked):
    sources = np.concatenate(
        [np.repeat(draw(rng, 1, pixels=(500,)), 200, axis=0), draw(rng, 200, pixels=(500,))], axis=1
    )
    targets, weights = draw(rng, 3, pixels=(500, 500)), np.array([1, 1e-12])
    divergences = symmetric_kl(targets, sources, weights)
    assert len(np.unique(divergences[0])) > 100
    table = search_exact(targets, sources, weights, max_k=60)
    np.testing.assert_array_equal(table.indices, [np.arange(60)] * 3)
    assert_ranked(table, divergences)


@pytest.mark.parametrize("seed", range(4))
def test_divergences_around_the_middle_of_two_float32_are_rounded_as_the_direct_evaluation_rounds(
    draw, assert_ranked, seed
):
    rng = np.random.default_rng(seed)
    targets, first = (draw(rng, 1, pixels=(500,), bins=32) for _ in range(2))
    targets, first = targets.repeat(2, axis=1), first.repeat(300, axis=0)
    sources = np.concatenate([first, draw(rng, 300, pixels=(500,), bins=32)], axis=1)
    # the first channel brings all to the middle, the second to some units in the last place of it
    alone, apart = symmetric_kl(targets, sources, [1, 0])[0, 0], np.median(symmetric_kl(targets, sources, [0, 1e-14]))
    middle = (np.float64(np.float32(alone)) + np.nextafter(np.float32(alone), np.float32(np.inf))) / 2
    weights = [(middle - apart) / alone, 1e-14]
    divergences = symmetric_kl(targets, sources, weights)
    rounded, times = np.unique(divergences.astype(np.float32), return_counts=True)
    assert len(rounded) == 2 and times.min() > 100 and np.ptp(divergences) < 1e-12
    for cut in ({}, {"tile_rows": 64, "block_rows": 99}):
        assert_ranked(search_exact(targets, sources, weights, max_k=250, **cut), divergences)


@pytest.fixture(scope="module")
def crowd(draw):
    """Targets, and sources half of which occur twice."""
    rng = np.random.default_rng(3)
    targets, sources = draw(rng, 13), draw(rng, 90)
    return targets, np.concatenate([sources, sources[::2], sources[1::4]])


@pytest.mark.parametrize("block_rows", [11, 64, 113, 10**6])
@pytest.mark.parametrize("tile_rows", [1, 5, 13, 200])
def test_the_sizes_of_tiles_and_blocks_change_nothing(crowd, assert_ranked, weights, tile_rows, block_rows):
    targets, sources = crowd
    table = search_exact(targets, sources, weights, max_k=31, tile_rows=tile_rows, block_rows=block_rows)
    assert_ranked(table, symmetric_kl(targets, sources, weights))


@pytest.mark.parametrize("order", ["forwards", "backwards", "random", "nearest last", "nearest first"])
def test_the_order_of_the_blocks_changes_nothing(rng, crowd, assert_ranked, weights, order):
    targets, sources = crowd
    divergences = symmetric_kl(targets, sources, weights)
    if order.startswith("nearest"):
        by_distance = divergences.sum(axis=0).argsort()
        sources = sources[by_distance if order == "nearest first" else by_distance[::-1]]
        divergences = symmetric_kl(targets, sources, weights)
    starts = {"backwards": range(150, -1, -10), "random": rng.permutation(16) * 10}.get(order, range(0, 160, 10))
    search = ExactSearch(targets, SymmetricKL(weights), max_k=31, tile_rows=6)
    for start in starts:
        search.add(start, sources[start : start + 10])
    assert_ranked(search.table(), divergences)


def test_a_search_under_way_has_the_table_of_what_was_added(crowd, assert_ranked, weights):
    targets, sources = crowd
    divergences = symmetric_kl(targets, sources, weights)
    search = ExactSearch(targets, SymmetricKL(weights), max_k=20)
    for start, stop in ((0, 8), (8, 50), (50, 158)):
        search.add(start, sources[start:stop])
        table = search.table()
        assert table.max_k == min(stop, 20)
        assert_ranked(table, divergences[:, :stop])


def test_a_refused_block_leaves_the_search_as_it_was(crowd, assert_ranked, weights):
    targets, sources = crowd
    search = ExactSearch(targets, SymmetricKL(weights), max_k=20)
    search.add(0, sources[:90])
    with pytest.raises(InputError):
        search.add(90, sources[90:] * 2)
    search.add(90, sources[90:])
    assert_ranked(search.table(), symmetric_kl(targets, sources, weights))


def test_every_image_is_its_own_nearest(rng, draw, weights):
    images = draw(rng, 200)
    table = search_exact(images, images, weights, max_k=1)
    np.testing.assert_array_equal(table.indices[:, 0], np.arange(200))
    assert not table.divergences.any()


def test_one_source_image_and_one_target_image(rng, draw, direct, assert_ranked, weights):
    targets, sources = draw(rng, 9), draw(rng, 50)
    for n, m, k in ((9, 1, 1), (1, 50, 1), (1, 50, 50), (1, 1, 1)):
        table = search_exact(targets[:n], sources[:m], weights, max_k=k)
        assert_ranked(table, direct(targets[:n], sources[:m], weights))


def test_a_source_smaller_than_max_k_makes_a_narrower_table_and_a_warning(
    rng, draw, direct, assert_ranked, weights, caplog
):
    targets, sources = draw(rng, 4), draw(rng, 12)
    with caplog.at_level(logging.WARNING):
        whole = search_exact(targets, sources, weights, max_k=12)
        assert not caplog.records
        table = search_exact(targets, sources, weights, max_k=13, block_rows=5)
    assert [record.getMessage() for record in caplog.records] == [
        "max_k is 13; the source has only 12 images, so every list holds them all"
    ]
    assert table.indices.shape == whole.indices.shape == (4, 12)
    assert_ranked(table, direct(targets, sources, weights))


@pytest.mark.parametrize("layout", ["C", "F"])
def test_a_source_on_disk_is_searched(rng, draw, assert_ranked, tmp_path, weights, layout):
    targets, sources = draw(rng, 4), draw(rng, 200)
    on_disk = np.memmap(tmp_path / "counts", np.uint16, "w+", shape=sources.shape, order=layout)
    on_disk[:] = sources
    table = search_exact(targets, on_disk, weights, max_k=9, block_rows=64)
    assert_ranked(table, symmetric_kl(targets, sources, weights))


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint64, ">u2"])
def test_integers_of_all_kinds_are_counts(rng, draw, assert_ranked, weights, dtype):
    targets, sources = draw(rng, 4), draw(rng, 40)
    assert_ranked(
        search_exact(targets.astype(dtype), sources.astype(dtype), weights, max_k=9),
        symmetric_kl(targets, sources, weights),
    )


def test_progress_is_told_of_every_block(rng, draw, weights):
    told = []
    targets, sources = draw(rng, 3), draw(rng, 10)
    search_exact(targets, sources, weights, max_k=2, block_rows=4, progress=lambda *done: told.append(done))
    assert told == [(4, 10), (8, 10), (10, 10)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_k": 0}, "^max_k is 0; it must be 1 or more$"),
        ({"max_k": -3}, "^max_k is -3;"),
        ({"epsilon": 0}, "^epsilon is 0; it must be above 0 and below 1$"),
        ({"epsilon": 1.0}, "^epsilon is 1.0;"),
        ({"epsilon": -1e-9}, "^epsilon is -1e-09;"),
        ({"epsilon": float("nan")}, "^epsilon is nan;"),
        ({"tile_rows": 0}, "^0 rows at a time"),
        ({"block_rows": -1}, "^-1 rows at a time"),
    ],
)
def test_values_out_of_range_are_refused(rng, draw, weights, values, message):
    with pytest.raises(InputError, match=message):
        search_exact(draw(rng, 3), draw(rng, 5), weights, **{"max_k": 2, **values})


def test_a_source_without_images_is_refused(rng, draw, weights):
    with pytest.raises(InputError, match="^the source has no images"):
        search_exact(draw(rng, 3), draw(rng, 5)[:0], weights, max_k=2)
