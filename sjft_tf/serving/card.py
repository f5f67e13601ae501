"""The model card: what a person who gets only the export should know before using it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import jinja2

from sjft_tf.errors import InputError
from sjft_tf.images import enlarged

Row = dict[str, Any]
_DATA_KEYS = ("role", "name", "images", "classes", "license")


class Card(TypedDict, total=False):
    """What an export can tell about a model, every key optional; texts are shown as they are, Markdown escaped."""

    name: str  # the title
    backbone: str
    data: Sequence[Row]  # role ("target", "source", "validation", "test"), name, images, classes, license
    training: Mapping[str, Any]  # "how trained", one table row each
    members: Sequence[Row]  # of a fusion: run, round (from 0), mean_class_accuracy and accuracy in [0, 1] alone
    test: Mapping[str, Any]  # as in metrics.json: domain, n, view, final {mean_class_accuracy, accuracy, per_class}
    versions: Mapping[str, str]  # of the software
    limits: Sequence[str]  # one sentence each, beyond the ones that hold for every export


def model_card(class_names: Sequence[str], image_size: int, card: Card) -> str:
    """The Markdown text of a model card; `image_size` is the side, in pixels, of the square that the model sees.

    Raises:
        InputError: `card` has an unknown key.
    """
    unknown = sorted(card.keys() - Card.__annotations__.keys())
    if unknown:
        raise InputError(f"the model card has no key {unknown[0]!r}; it has {', '.join(Card.__annotations__)}")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sjft_tf", "serving"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(plain=_plain, percent=_percent)
    return environment.get_template("card.md.j2").render(
        class_names=class_names,
        side=image_size,
        enlarged=enlarged(image_size),
        card=card,
        data_keys=_DATA_KEYS,
        data_rows=[[row.get(key, "not stated") for key in _DATA_KEYS] for row in card.get("data", ())],
    )


def _percent(share: float | None) -> str:
    return "not measured" if share is None or jinja2.is_undefined(share) else f"{100 * share:.1f} %"


def _plain(value: Any) -> str:
    """`value` on one line, so that Markdown and HTML show it as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&$])", r"\\\1", " ".join(str(value).split()))
