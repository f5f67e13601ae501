"""What a run trains on: one device, several, or with TF_CONFIG several workers; and how workers meet."""

import contextlib
import functools
import json
import logging
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from sjft_tf.errors import InputError, Preempted

logger = logging.getLogger(__name__)
_GONE = (tf.errors.UnavailableError, tf.errors.InternalError, tf.errors.AbortedError, tf.errors.CancelledError)


@functools.cache
def strategy() -> tf.distribute.Strategy:
    """Where the model is trained; the same object always.

    With several workers the first call waits until all of them have made it, and must come before TensorFlow computes
    anything.
    """
    if in_cluster():
        logger.info("worker %d of %d", _place()[1] + 1, len(_workers()))
        return tf.distribute.MultiWorkerMirroredStrategy()
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(devices) < 2:
        return tf.distribute.get_strategy()
    logger.info("training on %d devices", len(devices))
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def in_cluster() -> bool:
    """Whether TF_CONFIG names several workers.

    Raises:
        InputError: TF_CONFIG cannot be read, or this process has another part in it than chief or worker.
    """
    return len(_workers()) > 1


def is_chief() -> bool:
    """Whether this process is the one that searches, writes and evaluates: the only one, or the first of the workers."""
    return not in_cluster() or _place() == _workers()[0]


@functools.cache
def meet() -> None:
    """Wait, the first time, until every worker has come here."""
    from_chief(np.zeros(1))


def from_chief(values: np.ndarray) -> np.ndarray:
    """The chief's `values`, on every worker; a number, shape and type that all have. Outside a cluster, the values."""
    if not in_cluster():
        return values
    everyone = strategy()

    @tf.function
    def summed() -> tf.Tensor:
        def of_replica() -> tf.Tensor:
            replica = tf.distribute.get_replica_context()
            is_first = replica.replica_id_in_sync_group == 0
            mine = tf.where(is_first, tf.constant(values), tf.zeros_like(values))
            return replica.all_reduce(tf.distribute.ReduceOp.SUM, mine)

        return everyone.run(of_replica)

    with needing_all():
        return np.asarray(everyone.experimental_local_results(summed())[0])


@contextlib.contextmanager
def needing_all() -> Iterator[None]:
    """Around what all workers compute together: if one of them is gone, the others end.

    Raises:
        Preempted: a worker is gone.
    """
    try:
        yield
    except _GONE as error:
        if not in_cluster():
            raise
        raise Preempted("another worker is gone; start all of them again") from error


def _workers() -> list[tuple[str, int]]:
    """Kind and number of each worker, the chief first."""
    cluster = _tf_config().get("cluster", {})
    strange = sorted(cluster.keys() - {"chief", "worker"})
    if strange:
        raise InputError(f"TF_CONFIG names {strange[0]!r} in its cluster; sjft-tf trains on chief and worker alone")
    return [(kind, i) for kind in ("chief", "worker") for i in range(len(cluster.get(kind, [])))]


def _place() -> tuple[str, int]:
    task = _tf_config().get("task", {})
    place = (str(task.get("type")), int(task.get("index", 0)))
    if place not in _workers():
        raise InputError(f"TF_CONFIG says that this is {place[0]} {place[1]}, which its cluster does not have")
    return place


@functools.cache
def _tf_config() -> dict[str, Any]:
    text = os.environ.get("TF_CONFIG") or "{}"
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InputError(f"TF_CONFIG is {text!r}, which is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"TF_CONFIG is {text!r}; it must be a JSON object with cluster and task")
    return value
