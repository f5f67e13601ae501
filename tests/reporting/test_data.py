import dataclasses

import numpy as np
import pytest

from sjft_tf.errors import InputError
from sjft_tf.reporting import Borrowing

BORROWING = Borrowing(np.array([0, 3]), 0.0, 0.1, 0.0, ["a", "b"], np.array([0.0, 1.0]), np.array([0.5, 0.5]))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"domains": {}}, "one must be 'target'"),
        ({"mode": "selectve"}, "'selectve'; it must be one of selective, random, all, none"),
        ({"correct_per_round": []}, "entropies of 3 rounds and outcomes of 0"),
        ({"confusion": np.eye(2, dtype=int)}, r"\[2, 2\]; with 3 class names it must be \[3, 3\]"),
        ({"counts_per_round": [np.full(60, 50)], "borrowing": BORROWING}, "sum to 3, K of the last round to 3000"),
        ({"counts_per_round": [], "borrowing": BORROWING}, "sum to 3, K of the last round to 0"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(make_data, fields, message):
    with pytest.raises(InputError, match=message):
        make_data(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"class_names": ["a"]}, r"\[1, 2, 2\] source classes"),
        ({"class_shares": np.ones(1)}, r"\[2, 1, 2\] source classes"),
        ({"class_expected": np.array([1.0, 0.0])}, "'b' has no images"),
    ],
)
def test_classes_that_contradict_each_other_are_refused(fields, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(BORROWING, **fields)
