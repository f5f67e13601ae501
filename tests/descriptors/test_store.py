"""Shards that are not whole, not of this store, or not there count as absent; whole ones come back to the bit."""

import logging

import numpy as np
import pytest

from sjft_tf import files
from sjft_tf.descriptors import DescriptorStore
from sjft_tf.errors import InputError

SHAPE, ROWS = (3, 4), slice(10, 15)


@pytest.fixture
def shard(rng):
    return rng.integers(0, 9, (5, *SHAPE)).astype(np.uint16)


def open_store(folder, made_from="this"):
    return DescriptorStore(folder / "store", made_from, shape=SHAPE, dtype=np.dtype(np.uint16))


@pytest.fixture
def store(tmp_path, shard):
    store = open_store(tmp_path)
    store.write(ROWS, shard)
    return store


def path_of(store):
    (path,) = store.folder.iterdir()
    return path


def test_what_was_written_is_read(store, shard):
    read = store.read(ROWS)
    np.testing.assert_array_equal(read, shard)
    assert read.dtype == np.uint16


@pytest.mark.parametrize("rows", [slice(0, 5), slice(10, 14), slice(11, 15), slice(10, 16)])
def test_other_rows_are_absent(store, rows):
    assert store.read(rows) is None


def test_a_shard_made_from_something_else_is_absent(tmp_path, store):
    assert open_store(tmp_path, "that").read(ROWS) is None


@pytest.mark.parametrize("keep", [0, 1, 100, 400, -1])
def test_a_shard_that_breaks_off_is_absent_and_named(store, caplog, keep):
    path = path_of(store)
    path.write_bytes(path.read_bytes()[:keep])
    with caplog.at_level(logging.WARNING):
        assert store.read(ROWS) is None
    assert str(path) in caplog.text and "recomputed" in caplog.text


def test_every_flipped_byte_is_found(store, shard):
    path = path_of(store)
    whole = path.read_bytes()
    for position in range(0, len(whole), 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :])
        read = store.read(ROWS)
        assert read is None or np.array_equal(read, shard)  # zip headers have bytes that mean nothing
    path.write_bytes(whole)
    np.testing.assert_array_equal(store.read(ROWS), shard)


def test_other_content_under_the_right_names_is_found_by_its_checksum(store, shard, caplog):
    path = path_of(store)
    arrays = dict(np.load(path))
    files.save_arrays(path, **{**arrays, "descriptors": shard[::-1]})
    with caplog.at_level(logging.WARNING):
        assert store.read(ROWS) is None
    assert "checksum" in caplog.text


@pytest.mark.parametrize("content", [np.zeros((5, 3, 5), np.uint16), np.zeros((4, 3, 4), np.uint16)])
def test_descriptors_of_another_shape_are_absent(store, content):
    checksum = files.digest("this", content)
    files.save_arrays(path_of(store), descriptors=content, made_from="this", checksum=checksum)
    assert store.read(ROWS) is None


def test_a_folder_that_cannot_be_written_is_an_error_that_names_it(tmp_path, shard):
    (tmp_path / "store").write_text("in the way")
    with pytest.raises(InputError, match="store"):
        open_store(tmp_path).write(ROWS, shard)
