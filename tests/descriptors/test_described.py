"""Blocks and single descriptors are those of describing all at once, kept or not."""

import numpy as np
import pytest

from sjft_tf.descriptors import DescribedDomain, DescriptorStore


class Numbering:
    """Describes an image by its own first pixel, and counts the images that it describes."""

    shape, dtype = (1, 2), np.dtype(np.uint16)

    def __init__(self):
        self.described = 0

    def describe(self, domain, *, indices=None, progress=None):
        self.described += len(indices)
        if progress:
            progress(len(indices), len(indices))
        return domain.images[indices, 0, 0, :2].astype(np.uint16)[:, None]

    def config(self):
        return []


@pytest.fixture
def domain(drawn_images):
    return drawn_images(np.random.default_rng(1).integers(0, 256, (23, 4, 4, 3), np.uint8))


@pytest.fixture(params=[False, True], ids=["described", "stored"])
def described(request, tmp_path, domain):
    describer = Numbering()
    store = DescriptorStore(tmp_path, "this", shape=(1, 2), dtype=np.dtype(np.uint16)) if request.param else None
    described = DescribedDomain(domain, describer, store)
    described.block_rows = 10
    return described


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


def test_a_store_spares_the_second_description_and_only_a_lost_shard_is_made_again(described, domain):
    for _ in described.blocks():
        pass
    assert described.describer.described == 23
    np.testing.assert_array_equal(described.at(np.array([4, 21])), expected(domain)[[4, 21]])
    for _ in described.blocks():
        pass
    if described.store is None:
        assert described.describer.described == 23 + 2 + 23
        return
    assert described.describer.described == 23
    sorted(described.store.folder.iterdir())[1].unlink()
    blocks = [block for _, block in described.blocks()]
    np.testing.assert_array_equal(np.concatenate(blocks), expected(domain))
    assert described.describer.described == 33


def test_blocks_are_bounded_in_rows_and_in_bytes(domain):
    small, large = Numbering(), Numbering()
    large.shape = (352, 100)
    assert DescribedDomain(domain, small).block_rows == 8192
    assert DescribedDomain(domain, large).block_rows == 2048  # the power of two below 2^28 / 70,400
