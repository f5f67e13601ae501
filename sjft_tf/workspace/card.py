"""What is told of how a model was made: versions, data and settings."""

import contextlib
import importlib.metadata
import os
import platform
from collections.abc import Sequence
from typing import Any

from sjft_tf import arithmetic
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
    experiments = [run.experiment for run in workspaces]
    settings: dict[str, Sequence[Any]] = {
        "method": [f"joint fine-tuning, source images: {e.selection.mode}" for e in experiments],
        "initial weights": [e.model.weights or "random" for e in experiments],
        "rounds": [e.selection.rounds for e in experiments],
        "steps a round": [e.training.steps_per_round for e in experiments],
        "batch size": [e.training.batch_size for e in experiments],
        "learning rate": [e.training.learning_rate for e in experiments],
        "image size": [e.image_size for e in experiments],
        "seed": [e.seed for e in experiments],
    }
    card: Card = {
        "name": _each([e.name for e in experiments]),
        "backbone": _each([e.model.backbone for e in experiments]),
        "data": [row for i, row in enumerate(data) if row not in data[:i]],
        "training": {key: _each(values) for key, values in settings.items()},
        "versions": versions(),
    }
    return card if test is None else {**card, "test": test}


def _each(values: Sequence[Any]) -> str:
    """One value where all are equal, else all of them."""
    return str(values[0]) if all(value == values[0] for value in values) else "; ".join(map(str, values))
