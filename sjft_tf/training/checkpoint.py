"""All that training has changed as one file, replaced at once: weights, optimizer, K, round and step."""

import dataclasses
import json
import os
from typing import Any

import keras
import numpy as np

from sjft_tf import files
from sjft_tf.errors import InputError
from sjft_tf.selection import Selection


@dataclasses.dataclass(frozen=True)
class Position:
    """How far training is: `step` updates of round `round` are done, both counted from 0; and what the caller noted."""

    round: int = 0
    step: int = 0
    notes: Any = None


def training_state(model: keras.Model, selection: Selection) -> dict[str, np.ndarray]:
    """Everything that a training step changes, by name, copied.

    These are the model's variables (the states of dropout's generators among them), the optimizer's, and K with its
    history. Running means of metrics are not.

    Args:
        model: a compiled model. Under a strategy of several workers, all of them must call this.
        selection: the one that its data are drawn by.
    """
    state = {name: keras.ops.convert_to_numpy(variable) for name, variable in _variables(model).items()}
    return state | {f"selection/{name}": array for name, array in selection.state().items()}


def save_checkpoint(
    path: str | os.PathLike[str], state: dict[str, np.ndarray], position: Position, *, made_from: str = ""
) -> None:
    """Write a state as the one file `path`, which at every moment holds the old state or the new one.

    Args:
        path: an `.npz` file; folders are made.
        state: from `training_state`.
        position: where training stands; its notes must be JSON.
        made_from: a hash of what the run depends on; `load_checkpoint` compares it.

    Raises:
        InputError: the file cannot be written.
    """
    where = json.dumps([position.round, position.step, position.notes])
    files.save_arrays(path, made_from=np.array(made_from), position=np.array(where), **state)


def load_checkpoint(
    path: str | os.PathLike[str],
    model: keras.Model,
    selection: Selection,
    *,
    made_from: str = "",
    round: int | None = None,
) -> Position | None:
    """Put model, optimizer and selection back to where they were when a checkpoint was written.

    Args:
        path: the file.
        model: built and compiled as it was then.
        selection: made as it was then.
        made_from: as it was saved with.
        round: the one that is under way, where that is known.

    Returns:
        The position. None, and nothing is changed, where the file is absent, of another round, damaged, or made from
        something else; the last two are logged.

    Raises:
        InputError: the checkpoint is of another model.
    """
    variables = _variables(model)
    names = ["position", *variables, *(f"selection/{name}" for name in selection.state())]
    kinds = {name: np.str_ if name == "position" else np.generic for name in names}
    held = files.load_made_from(path, made_from, kinds, otherwise="it is not gone on from")
    if held is None:
        return None
    position = Position(*json.loads(str(held["position"])))
    if round is not None and position.round != round:
        return None
    for name, variable in variables.items():
        if tuple(variable.shape) != held[name].shape:
            here, there = list(variable.shape), list(held[name].shape)
            raise InputError(f"{path} is of another model: its {name} is {there}, and here {variable.path} is {here}")
    selection.restore({name.removeprefix("selection/"): held[name] for name in names if name.startswith("selection/")})
    for name, variable in variables.items():
        variable.assign(held[name])
    return position


def _variables(model: keras.Model) -> dict[str, Any]:
    """By the place in their lists: names may differ between two processes, places do not."""
    model.optimizer.build(model.trainable_variables)
    groups = {"model": model.variables, "optimizer": model.optimizer.variables}
    return {f"{group}/{i}": variable for group, variables in groups.items() for i, variable in enumerate(variables)}
