"""Who a process is in a cluster, by TF_CONFIG alone; training with several is tested in `test_workers`."""

import json

import numpy as np
import pytest

from sjft_tf.errors import InputError
from sjft_tf.training import devices

CLUSTER = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}


@pytest.fixture
def tf_config(monkeypatch):
    """Sets TF_CONFIG, which is read once in a process."""

    def set_to(value):
        monkeypatch.setenv("TF_CONFIG", value if isinstance(value, str) else json.dumps(value))
        devices._tf_config.cache_clear()

    yield set_to
    devices._tf_config.cache_clear()


@pytest.mark.parametrize(
    ("config", "in_cluster", "is_chief"),
    [
        ("", False, True),
        ({"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}, False, True),
        ({"cluster": CLUSTER, "task": {"type": "chief", "index": 0}}, True, True),
        ({"cluster": CLUSTER, "task": {"type": "worker", "index": 0}}, True, False),
        ({"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}, True, True),
        ({"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}, True, False),
    ],
)
def test_the_chief_is_the_one_named_so_or_the_first_worker(tf_config, config, in_cluster, is_chief):
    tf_config(config)
    assert (devices.in_cluster(), devices.is_chief()) == (in_cluster, is_chief)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{not json", "TF_CONFIG is '{not json', which is not JSON"),
        ("[]", r"TF_CONFIG is '\[\]'; it must be a JSON object"),
        ({"cluster": {**CLUSTER, "ps": ["d:1"]}}, "TF_CONFIG names 'ps' in its cluster"),
        (
            {"cluster": CLUSTER, "task": {"type": "worker", "index": 2}},
            "this is worker 2, which its cluster does not have",
        ),
    ],
)
def test_what_cannot_be_is_named(tf_config, config, message):
    tf_config(config)
    with pytest.raises(InputError, match=message):
        devices.is_chief()


def test_alone_the_chiefs_values_are_ones_own(tf_config):
    tf_config("")
    values = np.array([1.0, np.nan])
    assert devices.from_chief(values) is values
