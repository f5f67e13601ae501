"""Export of a classifier: plain Keras, a SavedModel for TensorFlow Serving, class names and a model card."""

import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from sjft_tf.errors import InputError
from sjft_tf.models import classifier
from sjft_tf.serving.card import Card, model_card
from sjft_tf.serving.folders import PREFIX, flush, replace_folder, staging
from sjft_tf.serving.signatures import write_saved_model

FUSION = "fusion.json"
NAMES = {"model.keras", "class_names.json", "saved_model", "README.md", FUSION}


def export_classifier(
    model: keras.Model, path: str | os.PathLike, *, class_names: Sequence[str], card: Card | None = None
) -> None:
    """Write the target head of a joint model, with its softmax, as `export_probabilities` does.

    Args:
        model: a model with an output `target` (logits), whose input is `[S, S, 3]`.
        path, class_names, card: as for `export_probabilities`.

    Raises:
        InputError: the model has no `target` output, or as for `export_probabilities`.
    """
    export_probabilities(softmax_classifier(model), path, class_names=class_names, card=card)


def export_probabilities(
    model: keras.Model,
    path: str | os.PathLike,
    *,
    class_names: Sequence[str],
    card: Card | None = None,
    fusion: Mapping[str, Any] | None = None,
) -> None:
    """Write a classifier in the forms in which others use it.

    - `path/model.keras`: `[N, S, S, 3]` float32 RGB in 0..255 to probabilities `[N, C]` float32. Loads in plain Keras.
    - `path/class_names.json`: the C names in the order of the probabilities.
    - `path/saved_model/1/`: for TensorFlow Serving, which mounts `path/saved_model`; see `write_saved_model`.
    - `path/README.md`: the model card.
    - `path/fusion.json`, of a fusion only: what it is made of. A reader who finds it knows that all else is there.

    Each file and the version folder are complete or absent, also after a kill; an earlier export is replaced. Only one
    process may export to `path` at a time.

    Args:
        model: functional, `[N, S, S, 3]` to probabilities `[N, C]` float32.
        path: folder, made if absent.
        class_names: C names in the order of the probabilities.
        card: what the model card can tell beyond that.
        fusion: content of `fusion.json`, values that JSON has.

    Raises:
        InputError: the model has no fixed square input, `class_names` does not fit it, a key of `card` is unknown, or
            `path` cannot be written.
    """
    path = pathlib.Path(path)
    names = _checked_names(class_names, model.output_shape[-1])
    text = model_card(names, _image_side(model), card or {})
    try:
        with staging(path) as new:
            if fusion is not None:  # first, so that what a kill leaves can be told from the export of a run
                (new / FUSION).write_text(_json(fusion), "utf-8")
            model.save(new / "model.keras")
            (new / "class_names.json").write_text(_json(names), "utf-8")
            (new / "README.md").write_text(text, "utf-8")
            write_saved_model(model, new / "1", names)
            flush(new)
            _publish(new, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error


def _publish(new: pathlib.Path, path: pathlib.Path) -> None:
    for name in (FUSION, "class_names.json"):  # so that no kill leaves them beside another model
        (path / name).unlink(missing_ok=True)
    os.replace(new / "model.keras", path / "model.keras")
    os.replace(new / "class_names.json", path / "class_names.json")
    replace_folder(new / "1", path / "saved_model" / "1")
    os.replace(new / "README.md", path / "README.md")
    if (new / FUSION).exists():
        os.replace(new / FUSION, path / FUSION)


def check_fusion_folder(path: str | os.PathLike) -> None:
    """That `path` may get a fusion: it is absent, empty, or holds an earlier one, whole or killed, and nothing else.

    Raises:
        InputError: it is a file, cannot be read, or holds something else, such as the export of a run.
    """
    path = pathlib.Path(path)
    try:
        names = set(os.listdir(path)) if path.exists() else set()
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
    held = {name for name in names if not name.startswith(PREFIX)}
    if FUSION in held or any(path.glob(f"{PREFIX}*/{FUSION}")):
        held -= NAMES
    if held:  # the last of them is no hidden file
        raise InputError(f"{path} holds {max(held)!r}, which is of no fusion; take a new or an empty folder")


def softmax_classifier(model: keras.Model) -> keras.Model:
    """The target head with a float32 softmax, as a model of its own that shares the weights.

    Raises:
        InputError: `model` has no output `target`.
    """
    logits = classifier(model)
    softmax = keras.layers.Softmax(dtype="float32", name="probabilities")
    return keras.Model(logits.input, softmax(logits.output), name="classifier")


def _image_side(model: keras.Model) -> int:
    shape = model.input_shape
    if len(shape) != 4 or shape[1] is None or shape[1:] != (shape[1], shape[1], 3):
        raise InputError(f"the model's input is {shape[1:]}; an export needs images of a fixed square size, (S, S, 3)")
    return int(shape[1])


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _checked_names(class_names: Sequence[str], n_classes: int) -> list[str]:
    names = [str(name) for name in class_names]
    if len(names) != n_classes:
        raise InputError(f"class_names has {len(names)} names; the target head has {n_classes} classes")
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"class name {name!r} is not valid Unicode; rename it") from error
    return names
