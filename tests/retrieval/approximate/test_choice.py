"""By which method to search: what is faster, and why."""

import pytest

from sjft_tf.retrieval import choose_method


@pytest.mark.parametrize(
    ("sizes", "method"),
    [
        ((1020, 50_000, 850), "exact"),
        ((12_000, 50_000, 850), "exact"),  # as fast, with building
        ((1020, 1_281_167, 5100), "exact"),  # building would take most of it
        ((12_000, 1_281_167, 1700), "scann"),
        ((200_000, 1_281_167, 5100), "scann"),
        ((10**6, 100, 100), "exact"),  # every source image is in every list
        ((5, 3, 10), "exact"),
    ],
)
def test_an_index_is_chosen_where_it_is_twice_as_fast(sizes, method):
    found, reason = choose_method(*sizes)
    assert found == method
    n_target, n_source, depth = sizes
    assert f"for {depth:,} neighbors of {n_target:,} target images among {n_source:,} source images" in reason


def test_an_obstacle_is_the_reason():
    assert choose_method(10**6, 10**7, 10, obstacle="ScaNN is not installed") == ("exact", "ScaNN is not installed")


def test_more_targets_and_shorter_lists_speak_for_an_index():
    of_size = [choose_method(n, 10**6, 1000)[0] for n in (100, 10_000, 10**6)]
    of_depth = [choose_method(50_000, 10**6, k)[0] for k in (100, 10_000, 10**6)]
    assert of_size == sorted(of_size) and of_depth == sorted(of_depth, reverse=True)
    assert set(of_size) == set(of_depth) == {"exact", "scann"}
