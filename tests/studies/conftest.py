"""A study of which no image is ever opened, and cells that are made by a shell in no time."""

import json
import pathlib
from collections.abc import Callable

import pytest

from sjft_tf.config import Study, parse_study

BASE = """
base:
  name: made up
  target: {folder: t}
  validation: {folder: v}
  test: {folder: e}
  source: {folder: s}
  selection: {k0: 7, rounds: 2}
  training: {batch_size: 10, steps_per_round: 5}
"""
ARMS = "arms: {plain: {selection.mode: none}, random: {selection.mode: random}, selective: {}}"
SEEDS = "seeds: [0, 1]\ncompare_to: random"
# what is asked before a cell is made, by whatever a test adds; $1: the run folder, $2: what it tells, $3: its path
SCRIPT = 'echo "$3" >> starts; {before}\nmkdir -p "$1" && printf %s "$2" > "$1/cell.json"'


@pytest.fixture
def study() -> Callable[..., Study]:
    """`study(*more lines, arms=, seeds=) -> Study`."""

    def study(*lines: str, arms: str = ARMS, seeds: str = SEEDS) -> Study:
        return parse_study("\n".join([BASE, arms, seeds, *lines]))

    return study


def told(cell) -> dict:
    """What a made-up cell tells: an accuracy that follows from its arm, its seed and the learning rate."""
    e, arms = cell.experiment, {"plain": 0.5, "random": 0.6, "selective": 0.7}
    accuracy = arms.get(cell.arm, 0.4) + 0.01 * e.seed + e.training.learning_rate
    rounds = [
        {"target_images": 25 * i, "train_seconds": 2.0 * i, "validation": accuracy, "mean_class_accuracy": accuracy / i}
        for i in (1, 2)
    ]
    found = {"made_from": cell.made_from, "kind": cell.kind, "seconds": 5.0, "instructions": "sse2", "onednn": "off"}
    if cell.kind == "search":
        return found
    found |= {"target_images": 50, "train_seconds": 4.0, "rounds": rounds, "validation": accuracy}
    test = {"mean_class_accuracy": accuracy, "accuracy": accuracy - 0.1, "n_test": 80}
    return found | (test if cell.kind == "run" else {})


@pytest.fixture
def shell() -> Callable:
    """`shell(before="") -> command`, which makes cells after the shell did what stands in `before`."""

    def shell(before: str = "") -> Callable:
        def command(cell, folder: pathlib.Path) -> list[str]:
            script = f'cd "{folder}"\n{SCRIPT.format(before=before)}'
            return ["sh", "-c", script, "sh", cell.path, json.dumps(told(cell)), cell.path]

        return command

    return shell
