"""Export of the target classifier: plain Keras, a SavedModel for TensorFlow Serving, class names and a model card."""

import json
import os
import pathlib
from collections.abc import Sequence

import keras

from sjft_tf.errors import InputError
from sjft_tf.models import classifier
from sjft_tf.serving.card import Card, model_card
from sjft_tf.serving.folders import flush, replace_folder, staging
from sjft_tf.serving.signatures import write_saved_model


def export_classifier(
    model: keras.Model, path: str | os.PathLike, *, class_names: Sequence[str], card: Card | None = None
) -> None:
    """Write the target head of a joint model in the forms in which others use it.

    - `path/model.keras`: `[N, S, S, 3]` float32 RGB in 0..255 to probabilities `[N, C]` float32. Loads in plain Keras.
    - `path/class_names.json`: the C names in the order of the probabilities.
    - `path/saved_model/1/`: for TensorFlow Serving, which mounts `path/saved_model`; loads without Keras and `sjft_tf`.
      Signature `serving_default` takes `image_bytes` (`[N]` string: JPEG, PNG, BMP or GIF of any sizes), signature
      `images` takes `images` (as `model.keras`). Both answer `class_names` `[N, C]`, `probabilities` `[N, C]`,
      `top_class` `[N]` and `valid` `[N]`. What is no image does not fail the request: its row alone has `valid`
      false, `top_class` "" and all probabilities 0.
    - `path/README.md`: the model card.

    Each file and the version folder are complete or absent, also after a kill; an earlier export is replaced. Only one
    process may export to `path` at a time.

    Args:
        model: a model with an output `target` (logits), whose input is `[S, S, 3]`.
        path: folder, made if absent.
        class_names: C names in the order of the logits.
        card: what the model card can tell beyond that.

    Raises:
        InputError: the model has no `target` output or no fixed square input, `class_names` does not fit it, a key of
            `card` is unknown, or `path` cannot be written.
    """
    path = pathlib.Path(path)
    probabilities = _softmax_classifier(model)
    names = _checked_names(class_names, probabilities.output_shape[-1])
    text = model_card(names, probabilities.input_shape[1], card or {})
    try:
        with staging(path) as new:
            probabilities.save(new / "model.keras")
            (new / "class_names.json").write_text(json.dumps(names, indent=2, ensure_ascii=False) + "\n", "utf-8")
            (new / "README.md").write_text(text, "utf-8")
            write_saved_model(probabilities, new / "1", names)
            flush(new)
            _publish(new, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error


def _publish(new: pathlib.Path, path: pathlib.Path) -> None:
    (path / "class_names.json").unlink(missing_ok=True)  # so that no kill leaves the names beside another model
    os.replace(new / "model.keras", path / "model.keras")
    os.replace(new / "class_names.json", path / "class_names.json")
    replace_folder(new / "1", path / "saved_model" / "1")
    os.replace(new / "README.md", path / "README.md")


def _softmax_classifier(model: keras.Model) -> keras.Model:
    """The target head with a float32 softmax, as a model of its own that shares the weights."""
    logits = classifier(model)
    shape = logits.input_shape
    if len(shape) != 4 or shape[1] is None or shape[1:] != (shape[1], shape[1], 3):
        raise InputError(f"the model's input is {shape[1:]}; an export needs images of a fixed square size, (S, S, 3)")
    softmax = keras.layers.Softmax(dtype="float32", name="probabilities")
    return keras.Model(logits.input, softmax(logits.output), name="classifier")


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
