"""Approximate search against exact search: its divergences, the recall that is promised."""

import logging

import numpy as np
import pytest

from sjft_tf.descriptors import DescribedDomain
from sjft_tf.errors import InputError
from sjft_tf.retrieval import HistogramMeasure, ScannSearch, SquaredDistance, search_exact
from sjft_tf.retrieval.approximate import search as module

pytest.importorskip("scann")

DEPTH = 50


@pytest.fixture(autouse=True)
def small_samples(monkeypatch):
    """Of both sides, to fit the embedding."""
    monkeypatch.setattr(module, "_FIT_TARGETS", 40)
    monkeypatch.setattr(module, "_FIT_SOURCES", 100)


def indexed(targets, source, measure, **settings):
    return ScannSearch(targets, source, measure, **{"depth": DEPTH, "dimensions": 8, **settings})


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
    search = indexed(targets, described(sources), HistogramMeasure(weights), memory_gb=memory_gb)
    assert 0.95 <= search.certificate.low <= search.certificate.recall <= search.certificate.high
    table = search.table()
    assert table.depth == DEPTH
    assert_found(table, search_exact(targets, sources, weights, depth=DEPTH), search.certificate.recall)


def test_recall_of_all_targets_is_that_of_the_tables(monkeypatch, rng, draw, images, weights):
    monkeypatch.setattr(module, "_FIRST", 1)
    targets, sources = draw(rng, 10), images[1]  # all of them are the sample
    search = indexed(targets, described(sources), HistogramMeasure(weights), min_recall=0.0)
    exact, table = search_exact(targets, sources, weights, depth=DEPTH), search.table()
    shares = [np.isin(one, other).mean() for one, other in zip(exact.indices, table.indices, strict=True)]
    assert search.certificate.recall == pytest.approx(np.mean(shares), abs=1e-12)
    assert search.certificate.recall < 1
    assert search.certificate.low == search.certificate.high == search.certificate.recall


def test_candidates_grow_until_the_recall_suffices(monkeypatch, images, weights, caplog):
    targets, sources = images
    monkeypatch.setattr(module, "_FIRST", 1)
    with caplog.at_level(logging.INFO):
        search = indexed(targets, described(sources), HistogramMeasure(weights), dimensions=4, min_recall=0.9)
    assert search.certificate.candidates in (75, 113, 170, 255, 383, 500)
    assert search.certificate.low >= 0.9
    assert caplog.text.count("recall@50") > 1


def test_a_recall_out_of_reach_says_what_to_change(images, weights):
    targets, sources = images
    with pytest.raises(InputError, match=r"500 candidates.*dimensions.*min_recall.*exact"):
        indexed(targets, described(sources), HistogramMeasure(weights), dimensions=1, min_recall=0.999)


def test_too_little_memory_is_said_before_the_source_is_searched(images, weights):
    targets, sources = images
    source = described(sources)
    with pytest.raises(InputError, match=r"memory_gb is 1e-05.*1,000 source images.*7.2e-05"):
        indexed(targets, source, HistogramMeasure(weights), memory_gb=1e-5)
    assert source.describer.described < 200


def test_two_builds_are_equal(images, weights):
    targets, sources = images
    tables = []
    for block_rows in (130, 1000):
        source = described(sources, block_rows)
        search = indexed(targets, source, HistogramMeasure(weights))
        tables.append((search.table(), search.certificate))
    np.testing.assert_array_equal(tables[0][0].indices, tables[1][0].indices)
    np.testing.assert_array_equal(tables[0][0].divergences, tables[1][0].divergences)
    assert tables[0][1] == tables[1][1]


def test_features_are_searched_too(rng):
    basis = rng.standard_normal((5, 30))
    targets, sources = ((rng.standard_normal((n, 5)) @ basis).astype(np.float32) for n in (40, 500))
    search = indexed(targets, described(sources), SquaredDistance(), depth=20)
    distances = np.square(targets[:, None].astype(np.float64) - sources).sum(axis=2)
    table = search.table()
    exact = np.argsort(distances, axis=1)[:, :20]
    assert np.mean([np.isin(one, other).mean() for one, other in zip(exact, table.indices, strict=True)]) > 0.95


def test_a_source_smaller_than_depth_makes_a_narrower_table(images, weights):
    targets, sources = images
    search = indexed(targets, described(sources[:30]), HistogramMeasure(weights))
    assert search.table().depth == 30
    assert search.certificate.recall == 1


@pytest.mark.parametrize("option", [{"dimensions": 0}, {"min_recall": 1.0}, {"depth": 0}])
def test_options_out_of_range_are_named(images, weights, option):
    with pytest.raises(InputError, match=f"^{next(iter(option))} is "):
        indexed(images[0], described(images[1]), HistogramMeasure(weights), **option)
