import numpy as np
import pytest

from sjft_tf.errors import InputError


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"domains": {}}, "one must be 'target'"),
        ({"mode": "selectve"}, "'selectve'; it must be one of selective, random, all, none"),
        ({"correct_per_round": []}, "entropies of 3 rounds and outcomes of 0"),
        ({"confusion": np.eye(2, dtype=int)}, r"\[2, 2\]; with 3 class names it must be \[3, 3\]"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(make_data, fields, message):
    with pytest.raises(InputError, match=message):
        make_data(**fields)
