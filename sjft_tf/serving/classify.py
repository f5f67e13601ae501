"""Answers of an exported model, through the same signature that a serving client calls."""

import pathlib
from collections.abc import Sequence

import tensorflow as tf

from sjft_tf.errors import InputError


def classify(model: pathlib.Path, images: Sequence[pathlib.Path], top: int) -> list[str]:
    """For each file of `images` the `top` most probable classes, best first, as one line.

    Raises:
        InputError: `model`, an exported model's folder or the run folder around it, holds none, or an image file cannot
            be read.
    """
    exports = [folder for folder in (model, model / "export") if (folder / "saved_model" / "1").exists()]
    if not exports:
        raise InputError(f"{model} holds no exported model; give a run folder or what `sjft-tf export` wrote")
    exported = tf.saved_model.load(str(exports[0] / "saved_model" / "1"))  # its signatures live no longer than it does
    answer = exported.signatures["serving_default"](image_bytes=tf.constant([_read(path) for path in images]))
    names, probabilities = answer["class_names"].numpy(), answer["probabilities"].numpy()
    lines = []
    for valid, row_names, row in zip(answer["valid"].numpy(), names, probabilities, strict=True):
        best = sorted(range(len(row)), key=lambda i: -row[i])[:top]
        line = ", ".join(f"{row_names[i].decode()} {row[i]:.1%}" for i in best)
        lines.append(line if valid else "not an image that can be read")
    return lines


def _read(path: pathlib.Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
