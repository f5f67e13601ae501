"""What is told of how a model was made: versions, data and settings."""

import contextlib
import importlib.metadata
import os
import platform
from collections.abc import Sequence
from typing import Any

from sjft_tf import arithmetic
from sjft_tf.config import Experiment
from sjft_tf.serving import Card, Row
from sjft_tf.workspace.workspace import Workspace

_PACKAGES = ("sjft-tf", "tensorflow", "tensorflow-cpu", "keras", "numpy", "scikit-image", "tensorflow-datasets")


def versions() -> dict[str, str]:
    """Versions of Python, the platform and the packages that decide a run's numbers, and what their rounding depends on."""
    found = {"python": platform.python_version(), "platform": platform.platform(), "cpus": str(os.cpu_count())}
    found |= arithmetic.in_force()
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def card_of(workspaces: Sequence[Workspace], test: dict | None) -> Card:
    """What a model card can tell of a model made from runs; where their settings differ, it names each run's in turn.

    Args:
        workspaces: at least one.
        test: the figures of the model as in metrics.json; None: not measured.
    """
    data: list[Row] = [
        {"role": role, "name": domain.name, "images": len(domain), "classes": len(domain.class_names)}
        for run in workspaces
        for role, domain in run.domains().items()
    ]
    settings = [_settings(run.experiment) for run in workspaces]
    card: Card = {
        "name": _each([run.experiment.name for run in workspaces]),
        "backbone": _each([run.experiment.model.backbone for run in workspaces]),
        "data": [row for i, row in enumerate(data) if row not in data[:i]],
        "training": {key: _each([each[key] for each in settings]) for key in settings[0]},
        "versions": versions(),
    }
    return card if test is None else {**card, "test": test}


def _settings(e: Experiment) -> dict[str, Any]:
    return {
        "method": f"joint fine-tuning, source images: {e.selection.mode}",
        "initial weights": e.model.weights or "random",
        "rounds": e.selection.rounds,
        "steps a round": e.training.steps_per_round,
        "batch size": e.training.batch_size,
        "learning rate": e.training.learning_rate,
        "image size": e.image_size,
        "seed": e.seed,
    }


def _each(values: Sequence[Any]) -> str:
    """One value where all are equal, else all of them."""
    return str(values[0]) if all(value == values[0] for value in values) else "; ".join(map(str, values))
