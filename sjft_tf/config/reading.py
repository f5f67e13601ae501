"""Experiments from YAML and back, and what two of them differ in."""

import json
import os
from collections.abc import Iterable
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic.json_schema import GenerateJsonSchema

from sjft_tf.config.document import MAX_CHARACTERS, MAX_DEPTH, Document, read_document
from sjft_tf.config.experiment import Experiment
from sjft_tf.config.messages import explained, one_line
from sjft_tf.errors import ConfigError


def load_experiment(path: str | os.PathLike[str], overrides: Iterable[str] = ()) -> Experiment:
    """Read an experiment from a YAML file.

    Args:
        path: the file, UTF-8.
        overrides: `"section.key=value"` each, the value in YAML.

    Raises:
        ConfigError: the file is missing or is not YAML, or a key or value does not fit.
    """
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(MAX_CHARACTERS + 1)
    except (OSError, ValueError) as error:  # UnicodeDecodeError, or a NUL in the path
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(one_line("", f"{path} cannot be read: {reason}")) from error
    return parse_experiment(text, overrides, name=str(path))


def parse_experiment(text: str, overrides: Iterable[str] = (), *, name: str = "config") -> Experiment:
    """An experiment from YAML text; `name` stands for the text in messages.

    >>> parse_experiment("target: {folder: flowers}", ["selection.mode=none"]).selection.mode
    'none'

    Raises:
        ConfigError: in one line: the place, the key, its value, and what would be right.
    """
    document = read_document(text, name)
    if not isinstance(document.values, dict):
        raise ConfigError(one_line(name, "it holds no mapping of keys to values"))
    for override in overrides:
        document = _overridden(document, override)
    try:
        return Experiment.model_validate(document.values)
    except ValidationError as error:
        raise explained(error, Experiment, document.origins) from error


def _overridden(document: Document, override: str) -> Document:
    """The document with one value replaced, or added where it lacks it."""
    key, equals, text = override.partition("=")
    name, path = f"--set {override}", tuple(key.split("."))
    if not equals or not all(path):
        raise ConfigError(one_line(name, f"it has no {'key' if equals else repr('=')}; write section.key=value"))
    if len(path) > MAX_DEPTH:
        raise ConfigError(one_line(name, f"it names a key more than {MAX_DEPTH} levels deep"))
    value = read_document(text, name, at=path).values
    kept = {at: origin for at, origin in document.origins.items() if at[: len(path)] != path}
    return Document(_replaced(document.values, path, value, name), {**kept, path: name})


def _replaced(values: Any, path: tuple[str, ...], value: Any, name: str, section: str = "") -> Any:
    if not path:
        return value
    if values is not None and not isinstance(values, dict):
        raise ConfigError(one_line(name, f"{section} is a value, not a section"))
    inner = _replaced((values or {}).get(path[0]), path[1:], value, name, path[0])
    return {**(values or {}), path[0]: inner}


def to_yaml(experiment: Experiment) -> str:
    """The experiment as YAML text that `parse_experiment` reads back to an equal one; every default is written out."""
    return yaml.safe_dump(experiment.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120)


def json_schema() -> str:
    """The JSON Schema of a config, by which editors complete and check it; `schema.json` beside this module holds it."""
    schema = {"$schema": GenerateJsonSchema.schema_dialect, **Experiment.model_json_schema()}
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def differences(one: Experiment, other: Experiment) -> list[tuple[str, Any, Any]]:
    """`(key, value in one, value in other)` for every key whose values differ."""
    left, right = _flat(one.model_dump(mode="json")), _flat(other.model_dump(mode="json"))
    return [(key, left.get(key), right.get(key)) for key in {**left, **right} if left.get(key) != right.get(key)]


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {path: value}
    dot = "." if path else ""
    return {key: leaf for name, item in value.items() for key, leaf in _flat(item, f"{path}{dot}{name}").items()}
