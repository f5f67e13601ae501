"""The index against FAISS."""

import sys

import numpy as np
import pytest

from sjft_tf.errors import InputError
from sjft_tf.retrieval.approximate.index import BRUTE_FORCE_ROWS, ScannIndex, leaves_for

faiss = pytest.importorskip("faiss")
pytest.importorskip("scann")


@pytest.fixture(scope="module")
def vectors():
    rng = np.random.default_rng(0)
    return (rng.standard_normal((3000, 4)) @ rng.standard_normal((4, 13))).astype(np.float32)


@pytest.fixture(scope="module")
def queries(vectors):
    return vectors[:40] + 0.1


def greatest(vectors, queries, k):
    exact = faiss.IndexFlatIP(vectors.shape[1])
    exact.add(vectors)
    return np.sort(exact.search(queries, k)[1], axis=1)


def test_brute_force_finds_the_greatest_inner_products(vectors, queries):
    found = ScannIndex(vectors, 0).search(queries, 100)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, greatest(vectors, queries, 100))


def test_a_tree_finds_most_and_is_equal_when_built_again(vectors, queries):
    found, again = (ScannIndex(vectors, 54).search(queries, 100) for _ in range(2))
    expected = greatest(vectors, queries, 100)
    assert np.mean([np.isin(one, other).mean() for one, other in zip(expected, found, strict=True)]) > 0.9
    np.testing.assert_array_equal(found, again)


def test_without_scann_the_remedy_is_named(vectors, monkeypatch):
    monkeypatch.setitem(sys.modules, "scann", None)
    with pytest.raises(InputError, match=r"TensorFlow 2.20.*pip install scann.*exact"):
        ScannIndex(vectors, 0)


def test_large_sources_have_leaves():
    assert [leaves_for(n) for n in (1, BRUTE_FORCE_ROWS, 4_000_000)] == [0, 0, 2000]
