"""Single values in place of a document's: `"section.key=value"`, the value in YAML."""

from collections.abc import Iterable
from typing import Any

from sjft_tf.config.document import MAX_DEPTH, Document, read_document
from sjft_tf.config.messages import one_line
from sjft_tf.errors import ConfigError


def overridden(document: Document, overrides: Iterable[str]) -> Document:
    """The document with values replaced; one that it lacks is added.

    Raises:
        ConfigError: there is no `=`, the value is not YAML, or a section on the way is a value.
    """
    for override in overrides:
        document = _with(document, override)
    return document


def _with(document: Document, override: str) -> Document:
    key, equals, text = override.partition("=")
    name = f"--set {override}"
    path = tuple(key.split("."))
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
