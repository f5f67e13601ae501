"""Messages about a config: one line of bounded length that names the place, the key, its value, and what would be right."""

import difflib
import re
import reprlib
import typing
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sjft_tf.errors import ConfigError

MOST, MOST_OF_PLACE = 300, 140  # characters of a message, and of the place that it begins with
Location = tuple[str | int, ...]  # of a value: keys, and positions in lists
# keys of earlier versions, and what to do about them
GONE = {
    "retrieval.epsilon": "retrieval.smoothing takes its place; smoothing: authors is what it was",
    "training.head_learning_rate": "trunk_learning_rate takes its place: learning_rate is the heads' now",
    "training.cache": "resized images are not cached any more; delete it",
    "training.cache_gb": "resized images are not cached any more; delete it",
}
# what a value must be, by pydantic's type of error, where its own words are of Python
_KINDS = {
    "int_type": "a whole number", "float_type": "a number", "string_type": "text", "bool_type": "true or false",
    "tuple_type": "a list", "model_type": "a mapping of keys to values",
}  # fmt: skip
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60
_SHORT.maxlevel, _SHORT.maxdict, _SHORT.maxlist = 2, 3, 3


def explained(
    error: ValidationError, model: type[BaseModel], origins: Mapping[Location, str] | None = None
) -> ConfigError:
    """The first of pydantic's complaints as one line; an unknown key comes first, because others may follow from it.

    `origins` says where values come from, by their location; the text for `()` stands for all that have none.
    """
    details = sorted(error.errors(include_url=False), key=lambda detail: detail["type"] != "extra_forbidden")
    location, field = _field(model, details[0]["loc"])
    alike = [detail for detail in details if _field(model, detail["loc"])[0] == location]
    return ConfigError(one_line(_origin(location, origins or {}), _message(location, field, alike)))


def one_line(place: str, message: str) -> str:
    """`place: message` without ends of lines or unprintable characters, cut to `MOST` characters."""
    place, message = (
        "".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(text.split())) for text in (place, message)
    )
    if len(place) > MOST_OF_PLACE:
        place = f"{place[: MOST_OF_PLACE // 2 - 3]}...{place[-MOST_OF_PLACE // 2 :]}"
    text = f"{place}: {message}" if place else message
    return text if len(text) <= MOST else f"{text[: MOST - 3]}..."


def shown(value: Any) -> str:
    """A value as YAML has it, shortened."""
    constants = {None: "null", True: "true", False: "false"}
    return constants[value] if value is None or isinstance(value, bool) else _SHORT.repr(value)


def dotted(location: Location) -> str:
    """The name of a location: `source.union[0].folder`; "the config" for all of it."""
    text = ""
    for part in location:
        part = part if isinstance(part, int) or len(part) <= 40 else f"{part[:37]}..."
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "the config"


def _message(location: Location, field: Any, details: list[ErrorDetails]) -> str:
    first = details[0]
    if first["type"] == "extra_forbidden":
        return f"unknown key {dotted(location)!r}; {_remedy(location, field)}"
    if first["type"] == "missing":
        return f"{dotted(location)} is missing"
    if first["type"] == "value_error":  # of our own checks
        reason = first["ctx"]["error"]
        return f"{dotted(location)}: {reason}" if location else str(reason)
    demands = [_KINDS.get(detail["type"]) or detail["msg"].removeprefix("Input should be ") for detail in details]
    choices = [re.findall("'([^']+)'", detail["msg"]) for detail in details if detail["type"] == "literal_error"]
    nearest = _nearest(first["input"], sum(choices, []))
    hint = f"; did you mean {nearest!r}?" if nearest else ""
    return f"{dotted(location)} is {shown(first['input'])}; it must be {' or '.join(demands)}{hint}"


def _remedy(location: Location, section: type[BaseModel]) -> str:
    known = list(section.model_fields)
    nearest = _nearest(location[-1], known)
    return GONE.get(dotted(location)) or (f"did you mean {nearest!r}?" if nearest else f"known: {', '.join(known)}")


def _nearest(word: Any, words: list[str]) -> str | None:
    found = difflib.get_close_matches(str(word)[:100], words, n=3, cutoff=0.4)
    # Letters are mistaken more often than left out.
    return next((near for near in found if len(near) == len(str(word))), found[0] if found else None)


def _origin(location: Location, origins: Mapping[Location, str]) -> str:
    """Where the value comes from, or the narrowest part of the config around it; overrides inside of it are named, too."""
    around = next((location[:n] for n in range(len(location), -1, -1) if location[:n] in origins), ())
    place = origins.get(around, "")
    inside = {
        origin for at, origin in origins.items() if at[: len(location)] == location and origin.startswith("--set")
    }
    return " with ".join([place, *sorted(inside - {place})])


def _field(model: type[BaseModel], location: Location) -> tuple[Location, type[BaseModel]]:
    """Of pydantic's location what names a key, not an option of a union type; and the section that holds that key."""
    section = model
    for i, part in enumerate(location):
        if isinstance(part, str):
            field = section.model_fields.get(part)
            inner = _sections(field.annotation) if field is not None else []
            if not inner:
                return location[: i + 1], section
            section = inner[0]
    return location, section


def _sections(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in typing.get_args(annotation) for found in _sections(part)]
