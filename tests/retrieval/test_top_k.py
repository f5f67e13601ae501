"""Keys against a sort of pairs, and lists kept under way against a sort of everything."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sjft_tf.retrieval.top_k import TopK, keys_of, merge_keys, values_of


def test_keys_order_by_value_then_index(rng):
    values = np.concatenate([rng.standard_normal(500), [0.0, -0.0, 1e-45, -1e-45, 3e38, -3e38, 1.0, 1.0]]).astype(
        np.float32
    )
    indices = rng.integers(0, 2**31 - 1, len(values))
    keys = keys_of(values, indices)
    np.testing.assert_array_equal(np.argsort(keys, kind="stable"), np.lexsort((indices, values + np.float32(0))))
    np.testing.assert_array_equal(values_of(keys), values)
    np.testing.assert_array_equal(keys & 0x7FFFFFFF, indices)


@settings(deadline=None)  # a busy machine is no failure
@given(
    seed=st.integers(0, 2**32 - 1), n=st.integers(1, 7), m=st.integers(1, 400), depth=st.integers(1, 90),
    width=st.integers(1, 130), values=st.sampled_from([3, 10**6]),
)  # fmt: skip
def test_lists_are_the_head_of_a_sort_of_everything(seed, n, m, depth, width, values):
    rng = np.random.default_rng(seed)
    scores = (rng.integers(-2, values, (n, m)) / 7).astype(np.float32)
    top = TopK(n, depth, width, least=0)
    firsts = rng.permutation(np.arange(0, m, width))
    for first in firsts.tolist():
        for rows in (slice(0, 1), slice(1, n)) if n > 1 else (slice(0, 1),):
            top.offer(rows, scores[rows, first : first + width], first)
    expected = np.sort(keys_of(np.maximum(scores, 0), np.arange(m)), axis=1)[:, :depth]
    np.testing.assert_array_equal(top.sorted(), expected)
    resumed = TopK(n, depth, width)
    resumed.resume(top.sorted())
    np.testing.assert_array_equal(resumed.sorted(), expected)


def test_merging_in_any_grouping_is_the_same(rng):
    keys = rng.permuted(np.arange(240).reshape(4, 60), axis=1)
    lists = [np.sort(part, axis=1) for part in np.split(keys, 6, axis=1)]
    for cut in range(1, 6):
        parts = [merge_keys(group, depth=5) for group in (lists[:cut], lists[cut:])]
        np.testing.assert_array_equal(merge_keys(iter(parts), depth=5), np.sort(keys, axis=1)[:, :5])
