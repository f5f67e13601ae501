import types

import numpy as np
import pytest

from sjft_tf.domains import Rejected, Union
from sjft_tf.errors import InputError


def part(name, labels, class_names, rejected=()):
    ids = [f"{number}.png" for number in range(len(labels))]
    files = [f"{name} {number}".encode() for number in range(len(labels))]

    class Part(types.SimpleNamespace):
        def __len__(self):
            return len(ids)

        def encoded(self, indices):
            return [files[index] for index in indices]

        def fingerprint(self):
            return f"{name} {labels} {class_names}"

    return Part(name=name, ids=ids, labels=np.array(labels, np.int32), class_names=class_names, rejected=rejected)


@pytest.fixture
def parts():
    return [
        part("animals", [0, 1, 1], ["cat", "dog"]),
        part("places", [0], ["pub"], [Rejected("x.png", "the file is empty")]),
        part("more animals", [2, 0], ["cat", "cow", "dog"]),
    ]


def test_label_spaces_follow_one_another_and_names_say_whose_they_are(parts):
    union = Union(parts)
    assert len(union) == 6
    assert union.labels.tolist() == [0, 1, 1, 2, 5, 3]
    assert union.labels.dtype == np.int32
    assert union.class_names == (
        "0:animals/cat",
        "0:animals/dog",
        "1:places/pub",
        "2:more animals/cat",
        "2:more animals/cow",
        "2:more animals/dog",
    )
    assert union.ids[2:5] == ("0:animals/2.png", "1:places/0.png", "2:more animals/0.png")
    assert union.rejected == (Rejected("1:places/x.png", "the file is empty"),)
    assert union.name == "animals + places + more animals"


def test_images_come_from_their_own_domain_in_any_order(parts):
    one_by_one = [image for part in parts for image in part.encoded(range(len(part)))]
    indices = np.array([5, 0, 3, 5, 4, 1, 2])
    assert Union(parts).encoded(indices) == [one_by_one[index] for index in indices]


def test_ids_of_many_domains_stay_sorted_and_unique():
    union = Union([part("same", [0, 0], ["a"]) for _ in range(11)])
    assert list(union.ids) == sorted(set(union.ids))


def test_the_fingerprint_changes_with_any_domain_and_their_order(parts):
    prints = {Union(parts).fingerprint(), Union(parts[::-1]).fingerprint(), Union(parts[:2]).fingerprint()}
    changed = [part("animals", [0, 0, 1], ["cat", "dog"]), *parts[1:]]
    assert len(prints | {Union(changed).fingerprint()}) == 4
    assert Union(parts).fingerprint() in prints


def test_a_union_of_nothing_is_refused():
    with pytest.raises(InputError, match="holds no domain"):
        Union([])
