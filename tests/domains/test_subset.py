import numpy as np
import pytest

from sjft_tf.domains import ImageFolder, Subset, Union
from sjft_tf.errors import InputError

ROWS = np.array([1, 2, 5, 9])


@pytest.fixture(scope="module")
def whole(image_folders):
    return ImageFolder(image_folders["target"])


def test_a_subset_has_the_rows_of_the_domain_and_all_its_classes(whole):
    part = Subset(whole, ROWS)
    assert len(part) == 4 and list(part.ids) == [whole.ids[row] for row in ROWS] == sorted(part.ids)
    np.testing.assert_array_equal(part.labels, whole.labels[ROWS])
    assert part.labels.dtype == np.int32 and part.class_names == whole.class_names
    assert part.encoded(np.array([3, 0, 3])) == whole.encoded(np.array([9, 1, 9]))
    assert part.name == f"{whole.name}, 4 of 12"


def test_what_was_rejected_stays_rejected(tmp_path, picture):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        picture.save(tmp_path / name / "1.png")
        (tmp_path / name / "2.png").write_bytes(b"text")
    whole = ImageFolder(tmp_path)
    assert len(whole.rejected) == 2 and Subset(whole, [1]).rejected == whole.rejected


def test_the_fingerprint_is_of_the_domain_and_of_the_rows(whole):
    same = {Subset(whole, rows).fingerprint() for rows in (ROWS, ROWS.tolist(), ROWS.astype(np.int32))}
    assert len(same) == 1
    others = [Subset(whole, np.arange(12)), Subset(whole, ROWS + 1), Subset(whole, []), whole]
    assert len(same | {other.fingerprint() for other in others}) == 5


def test_subsets_nest_and_unite_and_keep_the_rows_that_were_given(whole):
    rows = ROWS.copy()
    part = Subset(whole, rows)
    rows[:] = 0
    inner = Subset(part, [0, 3])
    assert inner.ids == (whole.ids[1], whole.ids[9])
    assert Union([inner, whole]).encoded(np.array([1, 2])) == whole.encoded(np.array([9, 0]))


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([1, 1], "not ascending"),
        ([2, 1], "not ascending"),
        ([[0], [1]], "not ascending"),
        ([-1, 3], "the rows of a subset are -1 to 3; .* has 12 images"),
        ([3, 12], "3 to 12; .* has 12 images"),
    ],
)
def test_rows_that_are_none_are_refused(whole, rows, fault):
    with pytest.raises(InputError, match=fault):
        Subset(whole, rows)


def test_a_subset_can_have_fewer_class_names_and_then_is_another(whole):
    rows = np.flatnonzero(whole.labels != 1)
    few, all_names = Subset(whole, rows, ["cedar", "ash"]), Subset(whole, rows)
    assert few.class_names == ("cedar", "ash") and few.ids == all_names.ids
    assert [few.class_names[label] for label in few.labels] == [name.split("/")[0] for name in few.ids]
    assert few.fingerprint() != all_names.fingerprint() == Subset(whole, rows, whole.class_names).fingerprint()
    with pytest.raises(InputError, match="class 'birch' is not among the 2 given class names"):
        Subset(whole, np.arange(12), ["cedar", "ash"])
