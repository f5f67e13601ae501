"""The rounds that a run has completed: K, entropies and correctness of every target image, and the weights' digest."""

import logging
import pathlib
from typing import NamedTuple

import numpy as np

from sjft_tf import files
from sjft_tf.workspace.folder import RunFolder

_ARRAYS = {"counts": np.int32, "entropies": np.float32, "correct": np.bool_, "weights": np.str_}
logger = logging.getLogger(__name__)


class Rounds(NamedTuple):
    """Rounds of a training, from the first on.

    Attributes:
        made_from: the hash of all that the weights depend on.
        arrays: of each round `counts`, `[n_target]` int32, the K that it was trained with; `entropies`, `[n_target]`
            float32 in nats, and `correct`, `[n_target]` bool, of the target images after it.
        history: of each round its entry in `history.jsonl`.
    """

    made_from: str
    arrays: list[dict[str, np.ndarray]]
    history: list[dict]


def completed_rounds(folder: RunFolder, made_from: str, rounds: int) -> Rounds:
    """What is complete of `rounds` rounds made from `made_from`: a round counts when its weights are whole."""
    arrays: list[dict[str, np.ndarray]] = []
    for number in range(rounds):
        held = files.load_made_from(folder.selection(number), made_from, _ARRAYS)
        if held is None or not _is_whole(folder.weights(number), str(held.pop("weights"))):
            break
        arrays.append(held)
    history = folder.read_history()
    n_complete = min(len(arrays), len(history))
    return Rounds(made_from, arrays[:n_complete], history[:n_complete])


def save_round(folder: RunFolder, rounds: Rounds) -> None:
    """Complete the last of the rounds, whose weights are written already: the history, then the record of the round."""
    number = len(rounds.history) - 1
    # The history has the round before the record says that it is complete; what is left over is cut when it is read.
    folder.write_history(rounds.history)
    digest = files.digest_of_file(folder.weights(number))
    arrays = rounds.arrays[number]
    files.save_arrays(folder.selection(number), made_from=rounds.made_from, **arrays, weights=digest)


def _is_whole(weights: pathlib.Path, digest: str) -> bool:
    whole = weights.exists() and files.digest_of_file(weights) == digest
    if not whole:
        logger.warning("%s is %s; it is recomputed", weights, "damaged" if weights.exists() else "missing")
    return whole
