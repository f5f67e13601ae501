"""Dataclasses from YAML, strictly: every mistake is one line that names the key, its value, and what would be right.

An unknown key names its nearest match, a key may stand once, and no value changes its type on the way (only whole
numbers become floats, and text such as `1e-4`, which YAML 1.1 reads as text).
"""

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal

import yaml

from sjft_tf.errors import ConfigError


class _StrictLoader(yaml.SafeLoader):
    """YAML in which a key may stand once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise ConfigError(f"key {key!r} stands twice, line {node.start_mark.line + 1} and after")
        return super().construct_mapping(node, deep)


def parse(text: str, name: str) -> Any:
    """The value of YAML text; `name` stands for the text in messages.

    Raises:
        ConfigError: it is not YAML, or a key stands twice.
    """
    try:
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506, a subclass of SafeLoader
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from error
    except (yaml.YAMLError, TypeError) as error:
        raise ConfigError(f"{name} is not YAML: {' '.join(str(error).split())}") from error


def override_value(values: dict[str, Any], override: str) -> None:
    """Put `"section.key=value"`, the value in YAML, into nested dictionaries.

    Raises:
        ConfigError: there is no `=`, or a section on the way is a value.
    """
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {override!r} has no '='; write section.key=value")
    *sections, last = key.split(".")
    for section in sections:
        if values.get(section) is None:
            values[section] = {}
        values = values[section]
        if not isinstance(values, dict):
            raise ConfigError(f"--set {override!r}: {section} is a value, not a section")
    values[last] = parse(text, f"--set {override!r}")


def build(kind: type, values: Any, path: str = "") -> Any:
    """An instance of the dataclass `kind`.

    Args:
        kind: its fields may be scalars, `Literal`s, dataclasses, tuples of dataclasses, and any of these or None.
        values: a mapping from field names.
        path: its place in the file, for messages.

    Raises:
        ConfigError: a key is unknown, missing or stands for a value of another type.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(f"{path or 'the config'} is {values!r}; it must be a mapping of keys to values")
    hints = typing.get_type_hints(kind)
    for key in values:
        if key not in hints:
            nearest = difflib.get_close_matches(str(key), hints, n=1, cutoff=0.4)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(hints)}"
            raise ConfigError(f"unknown key {join(path, key)!r}; {hint}")
    for field in dataclasses.fields(kind):
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and field.name not in values:
            raise ConfigError(f"{join(path, field.name)} is missing")
    arguments = {key: _convert(hints[key], value, join(path, key)) for key, value in values.items()}
    try:
        return kind(**arguments)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}" if path else str(error)) from error


def _convert(hint: Any, value: Any, path: str) -> Any:
    options = typing.get_args(hint) if typing.get_origin(hint) in (types.UnionType, typing.Union) else (hint,)
    if value is None and types.NoneType in options:
        return None
    hint = next(option for option in options if option is not types.NoneType)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return build(hint, value, path)
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise ConfigError(f"{path} is {value!r}; it must be a list")
        return tuple(_convert(typing.get_args(hint)[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    if typing.get_origin(hint) is Literal:
        return _choice(typing.get_args(hint), value, path)
    return _scalar(hint, value, path)


def _choice(choices: tuple[str, ...], value: Any, path: str) -> Any:
    if value not in choices:
        nearest = difflib.get_close_matches(str(value), choices, n=1, cutoff=0.4)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        raise ConfigError(f"{path} is {value!r}; it must be one of {', '.join(choices)}{hint}")
    return value


def _scalar(hint: type, value: Any, path: str) -> Any:
    if hint is float and isinstance(value, str):
        try:
            value = float(value)  # YAML 1.1 reads 1e-4, with no dot, as text
        except ValueError:
            pass
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not hint or value != value:
        names = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
        raise ConfigError(f"{path} is {value!r}; it must be {names[hint]}")
    return value


def join(path: str, key: Any) -> str:
    """The dotted name of `key` in the section `path`."""
    return f"{path}.{key}" if path else str(key)
