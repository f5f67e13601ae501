"""A neighbor table is what it says, in memory and on disk, or is refused."""

import re

import numpy as np
import pytest

from sjft_tf import files
from sjft_tf.errors import InputError
from sjft_tf.retrieval import NeighborTable


def arrays(indices, divergences):
    return np.array(indices, np.int32), np.array(divergences, np.float32)


@pytest.fixture
def table():
    return NeighborTable(*arrays([[7, 0, 5], [5, 7, 9]], [[0, 0.5, 0.5], [0.25, 1, 30]]))


def test_lengths_of_a_table(table):
    assert (len(table), table.depth) == (2, 3)


@pytest.mark.parametrize(
    ("indices", "divergences", "fault"),
    [
        ([[1, 2], [4, 3]], [[0, 1], [1, 0.5]], "divergences descend in row 1"),
        ([[1, 2], [4, 3]], [[0, 1], [2, 2]], "equal divergences are not in the order of their indices in row 1"),
        ([[1, 1], [4, 3]], [[0, 1], [1, 2]], "a source image occurs twice in row 0"),
        ([[1, 1], [4, 3]], [[2, 2], [1, 2]], "equal divergences are not in the order of their indices in row 0"),
        ([[1, 2, 3, 1]], [[0, 1, 2, 3]], "a source image occurs twice in row 0"),
        ([[1, 2], [-1, 3]], [[0, 1], [1, 2]], "an index is negative in row 1"),
        ([[1, 2], [4, 3]], [[0, 1], [-1e-9, 2]], "a divergence is negative or not finite in row 1"),
        ([[1, 2], [4, 3]], [[0, 1], [1, np.nan]], "a divergence is negative or not finite in row 1"),
        ([[1, 2], [4, 3]], [[np.inf, np.inf], [1, 2]], "a divergence is negative or not finite in row 0"),
        ([1, 2], [0, 1], "indices (2,) and divergences (2,), expected one shape [n_target, depth]"),
        ([[1, 2]], [[0, 1], [1, 2]], "indices (1, 2) and divergences (2, 2), expected one shape"),
        (np.empty((0, 3)), np.empty((0, 3)), "indices (0, 3) and divergences (0, 3), expected one shape"),
        (np.empty((3, 0)), np.empty((3, 0)), "indices (3, 0) and divergences (3, 0), expected one shape"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_arrays_that_are_no_table_are_refused_in_memory_and_on_disk(tmp_path, indices, divergences, fault):
    indices, divergences = arrays(indices, divergences)
    with pytest.raises(InputError, match="^neighbor table: " + re.escape(fault)):
        NeighborTable(indices, divergences)
    path = tmp_path / "neighbors.npz"
    strings = dict.fromkeys(("target_fingerprint", "source_fingerprint"), "")
    np.savez(path, indices=indices, divergences=divergences, hubness="none", **strings)
    with pytest.raises(InputError, match=re.escape(f"{path} is no neighbor table: {fault}")):
        NeighborTable.load(path)


@pytest.mark.parametrize(("of_indices", "of_divergences"), [(np.int64, np.float32), (np.int32, np.float64)])
def test_arrays_of_another_type_are_refused(of_indices, of_divergences):
    with pytest.raises(InputError, match="expected int32 and float32") as refusal:
        NeighborTable(np.zeros((1, 1), of_indices), np.zeros((1, 1), of_divergences))
    assert f"indices are {np.dtype(of_indices)} and divergences {np.dtype(of_divergences)}" in str(refusal.value)


def test_distinct_counts_source_images_once(table):
    assert [table.distinct(k) for k in range(4)] == [0, 2, 3, 4]  # none; 5 7; 0 5 7; 0 5 7 9
    assert table.distinct(np.array([0, 0])) == 0
    assert table.distinct(np.array([3, 1])) == 3
    assert table.distinct(np.array([1, 2])) == 2
    assert table.distinct(np.array([0, 3])) == 3


def test_distinct_equals_a_set_of_prefixes(rng):
    indices = rng.permuted(np.tile(np.arange(40), (12, 1)), axis=1)[:, :15]
    table = NeighborTable(*arrays(indices, np.sort(rng.random((12, 15)), axis=1)))
    for counts in rng.integers(0, 16, (20, 12)):
        expected = {int(i) for row, count in zip(indices, counts, strict=True) for i in row[:count]}
        assert table.distinct(counts) == len(expected)


def test_summary_is_one_line_of_sizes_and_medians(table):
    assert table.summary() == (
        "2 target images, 3 neighbors each, 4 distinct source images; "
        "median divergence 0.125 (nearest) to 15.2 (farthest)"
    )


def test_a_saved_table_comes_back(tmp_path, table):
    path = tmp_path / "new folder" / "neighbors.npz"
    table.save(path)
    loaded = NeighborTable.load(path)
    assert (loaded.indices.dtype, loaded.divergences.dtype) == (np.int32, np.float32)
    np.testing.assert_array_equal(loaded.indices, table.indices)
    np.testing.assert_array_equal(loaded.divergences, table.divergences)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=re.escape(f"{tmp_path / 'none.npz'} cannot be read: it is missing")):
        NeighborTable.load(tmp_path / "none.npz")


@pytest.mark.parametrize("damage", ["half", "empty", "text", "flipped", "cut by one byte"])
def test_a_damaged_file_is_named(tmp_path, table, damage):
    path = tmp_path / "neighbors.npz"
    table.save(path)
    whole = path.read_bytes()
    at = whole.index(table.divergences.tobytes())
    path.write_bytes(
        {
            "half": whole[: len(whole) // 2],
            "empty": b"",
            "text": b"no archive",
            "flipped": whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :],
            "cut by one byte": whole[:-1],
        }[damage]
    )
    with pytest.raises(InputError, match=re.escape(f"{path} cannot be read: it is damaged")):
        NeighborTable.load(path)


def test_a_file_without_the_arrays_is_named(tmp_path):
    np.savez(tmp_path / "other.npz", indices=np.zeros((1, 1), np.int32))
    with pytest.raises(InputError, match=r"other\.npz has no array 'divergences'"):
        NeighborTable.load(tmp_path / "other.npz")


class Images:
    """A domain that is known by its fingerprint."""

    def __init__(self, n, content):
        self.n, self.content, self.name = n, content, f"{content} images"

    def __len__(self):
        return self.n

    def fingerprint(self):
        return self.content


def test_a_table_knows_its_domains(table):
    flowers, tiny = Images(2, "flowers"), Images(10, "tiny")
    known = table.of(flowers, tiny)
    known.check(flowers, tiny)
    known.check(flowers)
    for target, source, message in (
        (
            Images(2, "dogs"),
            tiny,
            "was made with another target than dogs images: fingerprint flowers there, dogs here",
        ),
        (flowers, Images(10, "huge"), "was made with another source than huge images: fingerprint tiny there"),
        (Images(3, "flowers"), None, "has 2 target images; flowers images has 3"),
        (flowers, Images(9, "tiny"), "names source image 9; tiny images has 9 images"),
    ):
        with pytest.raises(InputError, match=message):
            known.check(target, source)
    table.check(Images(2, "dogs"), Images(10, "huge"))  # nothing is known of it but sizes


def test_fingerprints_and_hubness_are_kept_on_disk(tmp_path, table):
    known = NeighborTable(table.indices, table.divergences - 1, "csls").of(Images(2, "flowers"), Images(10, "tiny"))
    known.save(tmp_path / "neighbors.npz")
    loaded = NeighborTable.load(tmp_path / "neighbors.npz")
    assert (loaded.hubness, loaded.target_fingerprint, loaded.source_fingerprint) == ("csls", "flowers", "tiny")
    np.testing.assert_array_equal(loaded.divergences, known.divergences)


def test_a_file_of_a_version_without_fingerprints_is_refused(tmp_path, table):
    path = tmp_path / "neighbors.npz"
    np.savez(path, indices=table.indices, divergences=table.divergences, made_from="abc")
    with pytest.raises(InputError, match="has no array 'hubness'; it was not written by"):
        NeighborTable.load(path)


def test_divergences_below_zero_are_of_hubness_alone(table):
    with pytest.raises(InputError, match="a divergence is negative"):
        NeighborTable(table.indices, table.divergences - 1)
    assert NeighborTable(table.indices, table.divergences - 1, "csls").divergences.min() == -1
    with pytest.raises(InputError, match="^neighbor table: hubness is 'ccsl', expected"):
        NeighborTable(table.indices, table.divergences, "ccsl")


def test_rows_of_a_part_of_the_target(table):
    known = table.of(Images(2, "flowers"), Images(10, "tiny"))
    part = known.rows(np.array([1]))
    np.testing.assert_array_equal(part.indices, table.indices[1:])
    np.testing.assert_array_equal(part.divergences, table.divergences[1:])
    assert part.source_fingerprint == "tiny"
    assert part.target_fingerprint == files.digest("flowers", np.array([1]))
    with pytest.raises(InputError, match="another target"):
        part.check(Images(1, "flowers"))
    assert table.rows(np.array([0])).target_fingerprint == ""
