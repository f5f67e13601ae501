"""Approximate search against exact search: its divergences, the recall that is promised, a folder that is kept."""

import dataclasses
import logging
import shutil

import numpy as np
import pytest

from sjft_tf.descriptors import DescribedDomain
from sjft_tf.errors import InputError
from sjft_tf.retrieval import HistogramMeasure, ScannOptions, ScannSearch, SquaredDistance, search_exact

pytest.importorskip("scann")

OPTIONS = ScannOptions(dimensions=8, fit_targets=40, fit_sources=100)
DEPTH = 50


class Arrays:
    """Describes a domain which is an array of descriptors."""

    def __init__(self, descriptors):
        self.shape, self.dtype, self.described = descriptors.shape[1:], descriptors.dtype, 0

    def config(self):
        return []

    def describe(self, domain, *, indices=None, progress=None):
        self.described += len(indices)
        return domain[indices]


def described(descriptors, block_rows=130):
    source = DescribedDomain(descriptors, Arrays(descriptors))
    source.block_rows = block_rows
    return source


@pytest.fixture
def images(rng, draw):
    return draw(rng, 60), draw(rng, 1000)


def assert_found(table, exact, recall):
    """Divergences of the pairs in both agree, and most are in both."""
    shares = []
    for row in range(len(table)):
        common, ours, theirs = np.intersect1d(table.indices[row], exact.indices[row], return_indices=True)
        np.testing.assert_allclose(table.divergences[row][ours], exact.divergences[row][theirs], rtol=1e-5)
        shares.append(len(common) / exact.depth)
    assert np.mean(shares) == pytest.approx(recall, abs=0.02)


@pytest.mark.parametrize("memory_gb", [4.0, 0.00008])  # with descriptors in memory and without
def test_found_pairs_have_exact_divergences_and_recall_is_as_certified(rng, draw, images, weights, memory_gb):
    targets, sources = draw(rng, 400), images[1]
    options = dataclasses.replace(OPTIONS, memory_gb=memory_gb)
    search = ScannSearch.build(targets, described(sources), HistogramMeasure(weights), depth=DEPTH, options=options)
    assert 0.95 <= search.certificate.low <= search.certificate.recall <= search.certificate.high
    table = search.search(targets)
    assert table.depth == DEPTH
    assert_found(table, search_exact(targets, sources, weights, depth=DEPTH), search.certificate.recall)


def test_recall_of_all_targets_is_that_of_the_tables(images, weights):
    targets, sources = images
    options = dataclasses.replace(OPTIONS, sample_targets=60, min_recall=0.0, candidates=DEPTH)
    search = ScannSearch.build(targets, described(sources), HistogramMeasure(weights), depth=DEPTH, options=options)
    exact, table = search_exact(targets, sources, weights, depth=DEPTH), search.search(targets)
    shares = [np.isin(one, other).mean() for one, other in zip(exact.indices, table.indices, strict=True)]
    assert search.certificate.recall == pytest.approx(np.mean(shares), abs=1e-12)
    assert search.certificate.recall < 1
    assert search.certificate.low == search.certificate.high == search.certificate.recall


def test_candidates_grow_until_the_recall_suffices(images, weights, caplog):
    targets, sources = images
    options = dataclasses.replace(OPTIONS, dimensions=4, candidates=1, min_recall=0.9)
    with caplog.at_level(logging.INFO):
        search = ScannSearch.build(targets, described(sources), HistogramMeasure(weights), depth=DEPTH, options=options)
    assert search.certificate.candidates in (75, 113, 170, 255, 383, 500)
    assert search.certificate.low >= 0.9
    assert caplog.text.count("recall@50") > 1


def test_a_recall_out_of_reach_says_what_to_change(images, weights):
    targets, sources = images
    options = dataclasses.replace(OPTIONS, dimensions=1, min_recall=0.999)
    with pytest.raises(InputError, match=r"500 candidates.*dimensions.*min_recall.*exact"):
        ScannSearch.build(targets, described(sources), HistogramMeasure(weights), depth=DEPTH, options=options)


def test_too_little_memory_is_said_before_the_source_is_searched(images, weights):
    targets, sources = images
    source = described(sources)
    options = dataclasses.replace(OPTIONS, memory_gb=1e-5)
    with pytest.raises(InputError, match=r"memory_gb is 1e-05.*1,000 source images.*7.2e-05"):
        ScannSearch.build(targets, source, HistogramMeasure(weights), depth=DEPTH, options=options)
    assert source.describer.described < 200


def test_the_folder_moves_and_nothing_is_described_again(images, weights, tmp_path):
    targets, sources = images
    measure = HistogramMeasure(weights)

    def opened(folder, made_from="images", options=OPTIONS, kept=sources):
        source = described(kept)
        search = ScannSearch.open(
            targets, source, measure, depth=DEPTH, options=options, folder=folder, made_from=made_from
        )
        return search, source.describer.described

    first, n_described = opened(tmp_path / "one")
    assert n_described == 1100  # all, and the first sample
    table = first.search(targets)
    shutil.move(tmp_path / "one", tmp_path / "two")
    second, n_described = opened(tmp_path / "two", options=dataclasses.replace(OPTIONS, memory_gb=2.0))
    assert (second.certificate, n_described) == (first.certificate, 0)
    again = second.search(targets)
    np.testing.assert_array_equal(again.indices, table.indices)
    np.testing.assert_array_equal(again.divergences, table.divergences)
    assert opened(tmp_path / "two", made_from="other images")[1] == 1100
    assert opened(tmp_path / "two", made_from="other images")[1] == 0
    assert opened(tmp_path / "two", "other images", dataclasses.replace(OPTIONS, seed=1))[1] == 1100
    for path in sorted((tmp_path / "two").iterdir()):
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        assert opened(tmp_path / "two", "other images", dataclasses.replace(OPTIONS, seed=1))[1] == 1100


def test_two_builds_are_equal(images, weights):
    targets, sources = images
    tables = []
    for block_rows in (130, 1000):
        source = described(sources, block_rows)
        search = ScannSearch.build(targets, source, HistogramMeasure(weights), depth=DEPTH, options=OPTIONS)
        tables.append((search.search(targets), search.certificate))
    np.testing.assert_array_equal(tables[0][0].indices, tables[1][0].indices)
    np.testing.assert_array_equal(tables[0][0].divergences, tables[1][0].divergences)
    assert tables[0][1] == tables[1][1]


def test_features_are_searched_too(rng):
    basis = rng.standard_normal((5, 30))
    targets, sources = ((rng.standard_normal((n, 5)) @ basis).astype(np.float32) for n in (40, 500))
    search = ScannSearch.build(targets, described(sources), SquaredDistance(), depth=20, options=OPTIONS)
    distances = np.square(targets[:, None].astype(np.float64) - sources).sum(axis=2)
    table = search.search(targets)
    exact = np.argsort(distances, axis=1)[:, :20]
    assert np.mean([np.isin(one, other).mean() for one, other in zip(exact, table.indices, strict=True)]) > 0.95


def test_a_source_smaller_than_depth_makes_a_narrower_table(images, weights):
    targets, sources = images
    search = ScannSearch.build(
        targets, described(sources[:30]), HistogramMeasure(weights), depth=DEPTH, options=OPTIONS
    )
    assert search.search(targets).depth == 30
    assert search.certificate.recall == 1


@pytest.mark.parametrize("option", [{"dimensions": 0}, {"sample_targets": 0}, {"candidates": 0}, {"min_recall": 1.0}])
def test_options_out_of_range_are_named(option):
    with pytest.raises(InputError, match=next(iter(option))):
        ScannOptions(**option)
