"""Blocks and single descriptors are those of describing all at once, kept or not.

Files that are not whole, not of these images and this describer, or not there count as absent.
"""

import logging

import numpy as np
import pytest

from sjft_tf import files
from sjft_tf.descriptors import DescribedDomain
from sjft_tf.errors import InputError


class Numbering:
    """Describes an image by its own first pixel, and counts the images that it describes."""

    shape, dtype = (1, 2), np.dtype(np.uint16)

    def __init__(self, name="numbering"):
        self.described, self.name = 0, name

    def describe(self, domain, *, indices=None, progress=None):
        self.described += len(indices)
        if progress:
            progress(len(indices), len(indices))
        return domain.images[indices, 0, 0, :2].astype(np.uint16)[:, None]

    def config(self):
        return [self.name]


@pytest.fixture
def domain(drawn_images):
    return drawn_images(np.random.default_rng(1).integers(0, 256, (23, 4, 4, 3), np.uint8))


def opened(domain, folder, name="numbering", rows=10):
    described = DescribedDomain(domain, Numbering(name), folder)
    described.block_rows = rows
    return described


@pytest.fixture(params=[False, True], ids=["described", "kept"])
def described(request, tmp_path, domain):
    return opened(domain, tmp_path / "kept" if request.param else None)


def expected(domain):
    return domain.images[:, 0, 0, :2].astype(np.uint16)[:, None]


def test_blocks_cover_the_domain_in_order(described, domain):
    told = []
    blocks = list(described.blocks(progress=lambda *done: told.append(done)))
    assert [start for start, _ in blocks] == [0, 10, 20]
    np.testing.assert_array_equal(np.concatenate([block for _, block in blocks]), expected(domain))
    assert told == [(10, 23), (20, 23), (23, 23)]


def test_a_part_of_the_blocks(described, domain):
    ((start, block),) = described.blocks(10, 20)
    assert start == 10
    np.testing.assert_array_equal(block, expected(domain)[10:20])


def test_single_images(described, domain):
    for indices in ([], [0], [3, 9, 10, 22], range(23)):
        indices = np.array(indices, int)
        np.testing.assert_array_equal(described.at(indices), expected(domain)[indices])


def test_what_is_not_kept_is_described_each_time(domain):
    described = opened(domain, None)
    for _ in range(2):
        list(described.blocks())
    described.at(np.array([4, 21]))
    assert described.describer.described == 23 + 23 + 2


@pytest.fixture
def kept(tmp_path, domain):
    """A folder with three blocks, and the path of the second."""
    list(opened(domain, tmp_path / "kept").blocks())
    return tmp_path / "kept", sorted((tmp_path / "kept").iterdir())[1]


def described_again(domain, folder, **settings):
    """How many images are described, where all come out right."""
    described = opened(domain, folder, **settings)
    blocks = [block for _, block in described.blocks()]
    np.testing.assert_array_equal(np.concatenate(blocks), expected(domain))
    assert all(block.dtype == np.uint16 for block in blocks)
    return described.describer.described


def test_only_a_lost_block_is_described_again(domain, kept):
    folder, path = kept
    again = opened(domain, folder)
    np.testing.assert_array_equal(again.at(np.array([4, 21])), expected(domain)[[4, 21]])
    assert again.describer.described == described_again(domain, folder) == 0
    path.unlink()
    assert described_again(domain, folder) == 10
    assert described_again(domain, folder) == 0


def test_blocks_of_other_images_describers_or_sizes_are_not_taken(domain, drawn_images, kept):
    folder, _ = kept
    assert described_again(domain, folder, rows=5) == 20  # the last three lie in one file, either way
    assert described_again(domain, folder, name="another") == 23
    assert described_again(drawn_images(domain.images[::-1]), folder) == 23


@pytest.mark.parametrize("keep", [0, 1, 100, 400, -1])
def test_a_file_that_breaks_off_is_described_again_and_named(domain, kept, caplog, keep):
    folder, path = kept
    path.write_bytes(path.read_bytes()[:keep])
    with caplog.at_level(logging.WARNING):
        assert described_again(domain, folder) == 10
    assert str(path) in caplog.text and "described again" in caplog.text


def test_every_flipped_byte_is_found(domain, kept):
    folder, path = kept
    whole = path.read_bytes()
    for position in range(0, len(whole), 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :])
        assert described_again(domain, folder) in (0, 10)  # zip headers have bytes that mean nothing
    assert described_again(domain, folder) == 0


def test_other_content_under_the_right_names_is_found_by_its_checksum(domain, kept, caplog):
    folder, path = kept
    arrays = dict(np.load(path))
    files.save_arrays(path, **{**arrays, "descriptors": arrays["descriptors"][::-1]})
    with caplog.at_level(logging.WARNING):
        assert described_again(domain, folder) == 10
    assert "checksum" in caplog.text


@pytest.mark.parametrize("shape", [(10, 1, 3), (9, 1, 2)])
def test_descriptors_of_another_shape_are_described_again(domain, kept, shape):
    folder, path = kept
    made_from, content = str(np.load(path)["made_from"]), np.zeros(shape, np.uint16)
    files.save_arrays(path, descriptors=content, made_from=made_from, checksum=files.digest(made_from, content))
    assert described_again(domain, folder) == 10


def test_a_folder_that_cannot_be_written_is_an_error_that_names_it(domain, tmp_path):
    (tmp_path / "kept").write_text("in the way")
    with pytest.raises(InputError, match="kept"):
        list(opened(domain, tmp_path / "kept").blocks())


def test_blocks_are_bounded_in_rows_and_in_bytes(domain):
    small, large = Numbering(), Numbering()
    large.shape = (352, 100)
    assert DescribedDomain(domain, small).block_rows == 8192
    assert DescribedDomain(domain, large).block_rows == 2048  # the power of two below 2^28 / 70,400
