"""All that training has changed as one file, replaced at once: weights, optimizer, running metrics, K, round and step."""

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from sjft_tf import files
from sjft_tf.errors import InputError
from sjft_tf.selection import Selection


@dataclasses.dataclass(frozen=True, eq=False)
class Saved:
    """What a checkpoint holds: `step` updates of round `round` (from 0) are done; the caller's `notes`, JSON; the state."""

    round: int
    step: int
    notes: Any
    state: Mapping[str, np.ndarray]


def training_state(model: keras.Model, selection: Selection) -> dict[str, np.ndarray]:
    """Copies by name of all that a training step changes: K and the variables of model, dropout, optimizer and metrics.

    Args:
        model: see `build_variables`. Under a strategy of several workers, all of them must call this.
        selection: the one that its data are drawn by.
    """
    with model.distribute_strategy.scope():
        state = {name: keras.ops.convert_to_numpy(variable) for name, variable in _variables(model).items()}
    return state | {f"selection/{name}": array for name, array in selection.state().items()}


def save_checkpoint(path: str | os.PathLike[str], saved: Saved, *, made_from: str = "") -> None:
    """Write the one file `path`, which at every moment holds the old state or the new one.

    Args:
        path: an `.npz` file; folders are made.
        saved: what it is to hold, with the state from `training_state`.
        made_from: a hash of what the run depends on; `read_checkpoint` compares it.

    Raises:
        InputError: the file cannot be written.
    """
    position = {"round": saved.round, "step": saved.step, "notes": saved.notes, "names": list(saved.state)}
    files.save_arrays(path, made_from=made_from, position=json.dumps(position), **saved.state)


def read_checkpoint(path: str | os.PathLike[str], *, made_from: str = "") -> Saved | None:
    """What a checkpoint holds; None where it is absent, damaged, or made from something else (the last two are logged)."""
    otherwise = "training does not resume from it"
    held = files.load_made_from(path, made_from, {"position": np.str_}, otherwise=otherwise)
    if held is None:
        return None
    position = json.loads(str(held["position"]))
    names = position.pop("names")
    state = files.load_made_from(path, made_from, dict.fromkeys(names, np.generic), otherwise=otherwise)
    return None if state is None else Saved(**position, state=state)


def restore(saved: Saved, model: keras.Model, selection: Selection, *, path: str | os.PathLike[str]) -> None:
    """Put model, optimizer, metrics and selection back to a state.

    Args:
        saved: the state.
        model, selection: made as they were then, the model compiled, see `build_variables`.
        path: the file's name, for messages.

    Raises:
        InputError: the checkpoint is of another model or selection; nothing is changed.
    """
    variables = _variables(model)
    for name, variable in variables.items():
        there = saved.state[name].shape if name in saved.state else None
        if tuple(variable.shape) != there:
            raise InputError(
                f"{path} is of another model: its {name} is {'absent' if there is None else list(there)}, and here "
                f"{variable.path} is {list(variable.shape)}"
            )
    prefix = "selection/"
    selection.restore({name.removeprefix(prefix): a for name, a in saved.state.items() if name.startswith(prefix)})
    with model.distribute_strategy.scope():
        for name, variable in variables.items():
            variable.assign(saved.state[name])


def build_variables(model: keras.Model) -> None:
    """Optimizer and metrics make their variables when they are first used; this is a use of them that counts for nothing.

    The model is compiled for labels `[B]` and weights `[B]` of each output.
    """
    with model.distribute_strategy.scope():
        model.optimizer.build(model.trainable_variables)
        outputs = {name: tf.zeros((1, *output.shape[1:]), output.dtype) for name, output in model.output.items()}
        labels, weights = {name: tf.zeros(1, tf.int32) for name in outputs}, {name: tf.ones(1) for name in outputs}
        model.compute_loss(None, labels, outputs, weights)
        model.compute_metrics(None, labels, outputs, weights)
        model.reset_metrics()


def _variables(model: keras.Model) -> dict[str, Any]:
    """By the place in their lists: names may differ between two processes, places do not."""
    groups = {"model": model.variables, "optimizer": model.optimizer.variables, "metrics": model.metrics_variables}
    return {f"{group}/{i}": variable for group, variables in groups.items() for i, variable in enumerate(variables)}
