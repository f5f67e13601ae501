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
    return parse_experiment(read_text(path), overrides, name=str(path))


def parse_experiment(text: str, overrides: Iterable[str] = (), *, name: str = "config") -> Experiment:
    """An experiment from YAML text; `name` stands for the text in messages.

    >>> parse_experiment("target: {folder: flowers}", ["selection.mode=none"]).selection.mode
    'none'

    Raises:
        ConfigError: in one line: the place, the key, its value, and what would be right.
    """
    return experiment_of(overridden(read_mapping(text, name), overrides))


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a config file, as far as it may be long; `ConfigError` where it cannot be read."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read(MAX_CHARACTERS + 1)
    except (OSError, ValueError) as error:  # UnicodeDecodeError, or a NUL in the path
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(one_line("", f"{path} cannot be read: {reason}")) from error


def read_mapping(text: str, name: str) -> Document:
    """`read_document`, of which a mapping must come."""
    document = read_document(text, name)
    if not isinstance(document.values, dict):
        raise ConfigError(one_line(name, "it holds no mapping of keys to values"))
    return document


def experiment_of(document: Document) -> Experiment:
    """The experiment that a document holds; a `ConfigError` says where a value came from."""
    try:
        return Experiment.model_validate(document.values)
    except ValidationError as error:
        raise explained(error, Experiment, document.origins) from error


def overridden(document: Document, overrides: Iterable[str]) -> Document:
    """The document with some values replaced by `"section.key=value"`, or added where it lacks them."""
    for override in overrides:
        key, equals, text = override.partition("=")
        name, path = f"--set {override}", tuple(key.split("."))
        if not equals or not all(path):
            raise ConfigError(one_line(name, f"it has no {'key' if equals else repr('=')}; write section.key=value"))
        if len(path) > MAX_DEPTH:
            raise ConfigError(one_line(name, f"it names a key more than {MAX_DEPTH} levels deep"))
        document = replaced(document, path, read_document(text, name, at=path).values, name)
    return document


def replaced(document: Document, path: tuple[str, ...], value: Any, origin: str) -> Document:
    """The document with one value replaced, or added where it lacks it; `origin` says in messages where it comes from."""
    kept = {at: place for at, place in document.origins.items() if at[: len(path)] != path}
    return Document(_with(document.values, path, value, origin), {**kept, path: origin})


def _with(values: Any, path: tuple[str, ...], value: Any, origin: str, section: str = "") -> Any:
    if not path:
        return value
    if values is not None and not isinstance(values, dict):
        raise ConfigError(one_line(origin, f"{section} is a value, not a section"))
    inner = _with((values or {}).get(path[0]), path[1:], value, origin, path[0])
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
