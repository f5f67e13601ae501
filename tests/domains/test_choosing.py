"""Some images of a domain, by class, by list, and so many a class by seed."""

import numpy as np
import pytest

from sjft_tf.domains import ImageFolder, SyntheticImages, Union, chosen
from sjft_tf.errors import InputError


@pytest.fixture(scope="module")
def whole(image_folders):
    """Three classes of four images."""
    return ImageFolder(image_folders["target"])


@pytest.fixture(scope="module")
def many():
    """Eight classes of ten images."""
    return SyntheticImages("target")


def names_of(domain):
    return [domain.class_names[label] for label in domain.labels]


def test_nothing_chosen_is_the_domain_itself(whole):
    assert chosen(whole) is whole


def test_an_excluded_class_takes_its_images_and_its_name_along(whole):
    part = chosen(whole, exclude_classes=["birch"])
    assert part.class_names == ("ash", "cedar")
    assert list(part.ids) == [name for name in whole.ids if not name.startswith("birch/")]
    assert names_of(part) == [name.split("/")[0] for name in part.ids]
    assert part.encoded(np.array([7, 0])) == whole.encoded(np.array([11, 0]))
    assert len({chosen(whole, exclude_classes=names).fingerprint() for names in ([], ["ash"], ["birch"])}) == 3


@pytest.mark.parametrize(
    ("choices", "fault"),
    [
        ({"exclude_classes": ["brich"]}, "exclude_classes names 'brich', .* no class of; did you mean 'birch'?"),
        ({"exclude_classes": ["ash", "birch", "cedar"]}, "leaves no class"),
        ({"skip_per_class": 4, "per_class": 1}, "class 'ash' has 4 images, of which skip_per_class 4 leaves none"),
        ({"listed": "no such list.txt"}, "no such list.txt cannot be read"),
    ],
)
def test_what_cannot_be_chosen_is_one_line(whole, choices, fault):
    with pytest.raises(InputError, match=fault) as raised:
        chosen(whole, **choices)
    assert "\n" not in str(raised.value)


def test_a_list_takes_the_images_it_names_in_the_domains_order(whole, tmp_path):
    path = tmp_path / "TrainImages.txt"
    path.write_bytes(b"cedar/01.jpg\r\nash/03.jpg\r\n\r\nash/00.jpg\r\n")
    part = chosen(whole, listed=path)
    assert part.ids == ("ash/00.jpg", "ash/03.jpg", "cedar/01.jpg")
    assert part.class_names == whole.class_names and names_of(part) == ["ash", "ash", "cedar"]


def test_a_line_that_names_no_image_is_told_with_its_number(whole, tmp_path):
    (tmp_path / "list.txt").write_text("ash/00.jpg\nash/9.jpg\n")
    with pytest.raises(InputError, match="list.txt, line 2: 'ash/9.jpg' is no image of .* look like 'ash/00.jpg'"):
        chosen(whole, listed=tmp_path / "list.txt")
    (tmp_path / "list.txt").write_text("\n")
    with pytest.raises(InputError, match="no image is left"):
        chosen(whole, listed=tmp_path / "list.txt")


def test_a_listed_image_that_was_rejected_stays_out(tmp_path, picture):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        picture.save(tmp_path / name / "1.png")
    (tmp_path / "a" / "2.png").write_bytes(b"text")
    (tmp_path / "list.txt").write_text("a/1.png\na/2.png\nb/1.png\n")
    assert chosen(ImageFolder(tmp_path), listed=tmp_path / "list.txt").ids == ("a/1.png", "b/1.png")


def test_so_many_a_class_and_the_rest_are_disjoint_and_whole(many):
    train, test = chosen(many, per_class=3, seed=5), chosen(many, skip_per_class=3, seed=5)
    assert np.bincount(train.labels).tolist() == [3] * 8 and np.bincount(test.labels).tolist() == [7] * 8
    assert sorted([*train.ids, *test.ids]) == sorted(many.ids)
    between = chosen(many, skip_per_class=3, per_class=2, seed=5)
    assert np.bincount(between.labels).tolist() == [2] * 8 and set(between.ids) < set(test.ids)


def test_the_seed_decides_and_equal_seeds_agree(many):
    drawn = [chosen(many, per_class=4, seed=seed) for seed in (0, 0, 1, 2)]
    assert drawn[0].ids == drawn[1].ids and drawn[0].fingerprint() == drawn[1].fingerprint()
    assert len({domain.ids for domain in drawn}) == 3


def test_every_image_is_drawn_as_often_as_any_other(many):
    """3 of 10, over 400 seeds: counts are binomial with mean 120 and standard deviation 9.2."""
    counts = np.zeros(len(many), int)
    for seed in range(400):
        counts[np.isin(many.ids, chosen(many, per_class=3, seed=seed).ids)] += 1
    assert counts.sum() == 400 * 24 and np.abs(counts - 120).max() < 5 * 9.2


def test_an_image_that_is_added_moves_no_other_from_train_to_test(whole, many):
    """In a class of ten whose first three are train, at most one leaves train for a newcomer; none enters from test."""
    fewer = chosen(many, per_class=9, seed=1)
    before, after = chosen(fewer, per_class=3, seed=4), chosen(many, per_class=3, seed=4)
    new = set(many.ids) - set(fewer.ids)
    assert set(after.ids) - set(before.ids) <= new


def test_a_class_that_is_too_small_gives_what_it_has_and_is_named(whole, caplog):
    assert len(chosen(whole, per_class=9)) == 12
    assert "3 classes have fewer than 9 images, e.g. 'ash' with 4" in caplog.text


def test_choices_come_one_after_the_other_on_any_domain(whole, many):
    union = Union([many, whole])
    name = union.class_names[0]
    part = chosen(union, exclude_classes=[name], per_class=2)
    assert len(part) == 2 * 10 and name not in part.class_names
