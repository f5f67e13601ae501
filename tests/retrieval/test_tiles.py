"""Tiles cover every row once, and what fails in a thread fails in the caller."""

import concurrent.futures

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sjft_tf.errors import InputError
from sjft_tf.retrieval.tiles import in_threads, tiles


@given(st.integers(0, 100), st.integers(1, 120))
def test_tiles_cover_all_rows_in_order(n, rows):
    cut = list(tiles(n, rows))
    assert [i for tile in cut for i in range(tile.start, tile.stop)] == list(range(n))
    assert all(0 < tile.stop - tile.start <= rows for tile in cut)


def test_tiles_without_rows_are_refused_at_the_call():
    with pytest.raises(InputError, match="^0 rows at a time cannot be searched"):
        tiles(5, 0)


def test_threads_do_all_rows_once_and_pass_errors_on():
    seen = []
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        in_threads(pool, lambda rows: seen.extend(range(rows.start, rows.stop)), 1000)
        with pytest.raises(ZeroDivisionError):
            in_threads(pool, lambda rows: 1 / (rows.start - 32), 1000)
    assert sorted(seen) == list(range(1000))
