"""The model card: what a person who gets only the export should know before using it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

from sjft_tf.errors import InputError
from sjft_tf.images import enlarged


class DataRow(TypedDict, total=False):
    """One image collection that the model was made or tested with."""

    role: str  # "target", "source", "validation", "test"
    name: str
    images: int
    classes: int
    license: str


class MemberRow(TypedDict, total=False):
    """One of the models that a fusion is the mean of."""

    run: str  # name of its run folder
    round: int  # from 0
    mean_class_accuracy: float  # alone, in [0, 1]
    accuracy: float


class Card(TypedDict, total=False):
    """What an export can tell about a model, every key optional; texts are shown as they are, Markdown escaped."""

    name: str  # the title
    backbone: str
    data: Sequence[DataRow]
    training: Mapping[str, Any]  # "how trained", one table row each
    members: Sequence[MemberRow]  # of a fusion
    test: Mapping[str, Any]  # as in metrics.json: domain, n, view, final {mean_class_accuracy, accuracy, per_class}
    versions: Mapping[str, str]  # of the software
    limits: Sequence[str]  # one sentence each, beyond the ones that hold for every export


def model_card(class_names: Sequence[str], image_size: int, card: Card) -> str:
    """The Markdown text of a model card.

    Args:
        class_names: in the order of the probabilities.
        image_size: side, in pixels, of the square that the model sees.
        card: what is known beyond that.

    Raises:
        InputError: `card` has an unknown key.
    """
    unknown = sorted(card.keys() - Card.__annotations__.keys())
    if unknown:
        raise InputError(f"the model card has no key {unknown[0]!r}; it has {', '.join(Card.__annotations__)}")
    final = card.get("test", {}).get("final", {})
    sections = [
        _heading(card, len(class_names)),
        _input(image_size),
        _data(card.get("data", ())),
        _training(card.get("training", {})),
        _members(card.get("members", ())),
        _results(card.get("test", {}), final),
        _classes(class_names, final.get("per_class", {})),
        _limits(card.get("limits", ())),
        _versions(card.get("versions", {})),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _heading(card: Card, n_classes: int) -> str:
    backbone = f" Backbone: {escaped(card['backbone'])}." if "backbone" in card else ""
    return (
        f"# {escaped(card.get('name', 'Image classifier'))}\n\n"
        f"Classifies an image into one of {n_classes} classes. Trained with sjft-tf, Selective Joint Fine-tuning after "
        f"Ge & Yu (CVPR 2017); this export holds the target head only.{backbone}\n\n"
        "| file | what it is |\n| --- | --- |\n"
        "| `model.keras` | plain Keras model: float32 RGB images in 0..255 to probabilities |\n"
        "| `class_names.json` | the class names in the order of the probabilities |\n"
        "| `saved_model/` | folder for TensorFlow Serving: image bytes to class names and probabilities |"
    )


def _input(image_size: int) -> str:
    return (
        "## Input and output\n\n"
        f"`model.keras` and the signature `images` take `[N, {image_size}, {image_size}, 3]` float32, upright RGB in "
        "0..255; scaling is part of the model. The signature `serving_default` takes the bytes of JPEG, PNG, GIF, "
        f"BMP or WebP files of any size, and turns each into such an image: shorter side to {enlarged(image_size)} pixels, "
        f"bilinear and antialiased, then the center {image_size} x {image_size}. Bytes that are no image get `valid` "
        "false, an empty `top_class` and probabilities of 0, and do not disturb the rest of the request."
    )


def _data(rows: Sequence[DataRow]) -> str:
    keys = ("role", "name", "images", "classes", "license")
    lines = [[row.get(key, "not stated") for key in keys] for row in rows]
    return (
        f"## Data\n\n{_table(keys, lines) if rows else 'Not stated.'}\n\n"
        "The licenses of all images trained on, source included, and of pre-trained weights may bind the use of this "
        "model."
    )


def _training(training: Mapping[str, Any]) -> str:
    return f"## Training\n\n{_table(('setting', 'value'), training.items())}" if training else ""


def _members(members: Sequence[MemberRow]) -> str:
    if not members:
        return ""
    lines = [
        (row["run"], row["round"] + 1, _percent(row.get("mean_class_accuracy")), _percent(row.get("accuracy")))
        for row in members
    ]
    return (
        f"## Members\n\nThe probabilities are the mean of those of {len(members)} models. The model takes the memory and "
        "the time of all of them. Each alone:\n\n"
        f"{_table(('run', 'round', 'mean class accuracy', 'accuracy'), lines)}"
    )


def _results(test: Mapping[str, Any], final: Mapping[str, Any]) -> str:
    if not final:
        return "## Results\n\nNot measured."
    labels = {"mean_class_accuracy": "mean class accuracy", "accuracy": "accuracy"}
    lines = [(label, _percent(final[key])) for key, label in labels.items() if key in final]
    measured = [f"{test['n']} images" if "n" in test else "", f"of {test['domain']}" if "domain" in test else ""]
    where = escaped(" ".join(part for part in measured if part) or "the test images")
    view = f" ({escaped(str(test['view']))} view)" if "view" in test else ""
    return f"## Results\n\nOn {where}{view}:\n\n{_table(('measure', 'value'), lines)}"


def _classes(class_names: Sequence[str], per_class: Mapping[str, float]) -> str:
    accuracies = [_percent(per_class[name]) if name in per_class else "not measured" for name in class_names]
    lines = zip(range(len(class_names)), class_names, accuracies, strict=True)
    return f"## Classes\n\n{_table(('index', 'class', 'test accuracy'), lines)}"


def _limits(limits: Sequence[str]) -> str:
    always = (
        "Every image gets one of the classes above, whatever it shows; nothing is reported as unknown.",
        "Probabilities are those of a softmax and are not calibrated.",
        "Only the center of an image is seen; what lies at the ends of a long image plays no part.",
    )
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in (*always, *map(escaped, limits)))


def _versions(versions: Mapping[str, str]) -> str:
    return f"## Software\n\n{_table(('package', 'version'), versions.items())}" if versions else ""


def _table(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    header = list(header)
    lines = [header, ["---"] * len(header), *([escaped(str(cell)) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _percent(share: float | None) -> str:
    return "not measured" if share is None else f"{100 * share:.1f} %"


def escaped(text: str) -> str:
    """`text` on one line, so that Markdown and HTML show it as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&$])", r"\\\1", " ".join(text.split()))
