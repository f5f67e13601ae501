"""YAML text as plain values that know where they stand, read within bounds.

Values are null, true and false, numbers, text, lists and mappings; dates are text. Size, nesting and what aliases
expand to are bounded, so that no text takes long; a key may stand once.
"""

from typing import Any, NamedTuple

import yaml

from sjft_tf.config.messages import Location, dotted, one_line, shown
from sjft_tf.errors import ConfigError

MAX_CHARACTERS = 65_536
MAX_DEPTH = 16  # levels of nesting; the deepest key of an Experiment stands on the fifth
MAX_NODES = 2_000  # scalars, lists and mappings, each counted as often as an alias names it
_TAG = "tag:yaml.org,2002:"
_SCALARS = {f"{_TAG}{name}" for name in ("null", "bool", "int", "float", "str")}


class Document(NamedTuple):
    """Nested dictionaries and lists, and where each value comes from.

    Attributes:
        values: what was read.
        origins: by location, such as `("selection", "k0")`: the file and line, or the override.
    """

    values: Any
    origins: dict[Location, str]


def read_document(text: str, name: str, *, at: Location = ()) -> Document:
    """Read YAML text.

    Args:
        text: one YAML document.
        name: what stands for the text in messages; of a whole config, with the line.
        at: the location of the value in a config, for messages.

    Raises:
        ConfigError: it is not YAML, or beyond the bounds, or a key stands twice; one line that names the place.
    """
    if len(text) > MAX_CHARACTERS:
        raise ConfigError(one_line(name, f"it has more than {MAX_CHARACTERS:,} characters, the most that are read"))
    reader = _Reader(name, at)
    node = reader.compose(text)
    values = reader.value(node, at) if node is not None else None
    return Document(values, {**reader.origins, at: name})


class _Loader(yaml.SafeLoader):
    """To which a date or a "<<" is text like any other."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag in _SCALARS]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    depth = n_nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """As in the base class, within the bounds."""
        self.depth, self.n_nodes = self.depth + 1, self.n_nodes + 1
        if problem := _beyond(self.depth, self.n_nodes):
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=self.peek_event().start_mark)  # type: ignore[no-untyped-call]
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _beyond(depth: int, n_nodes: int) -> str | None:
    if depth > MAX_DEPTH:
        return f"it nests more than {MAX_DEPTH} levels deep"
    return f"it holds more than {MAX_NODES:,} values" if n_nodes > MAX_NODES else None


class _Reader:
    """Turns nodes into values, and notes where they stand."""

    def __init__(self, name: str, at: Location) -> None:
        self.name, self.at, self.n_nodes = name, at, 0
        self.origins: dict[Location, str] = {}
        self._scalars = yaml.SafeLoader("")

    def compose(self, text: str) -> yaml.Node | None:
        try:
            loader = _Loader(text)
            return loader.get_single_node()
        except yaml.MarkedYAMLError as error:
            mark, problem = error.problem_mark or error.context_mark, error.problem or error.context
            line = mark.line if mark else None
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position)
            problem = f"character {ascii(text[error.position])} is not allowed"
        except (ValueError, OverflowError):
            line, problem = loader.line, "an escape or the version is too large a number"
        raise self._fault(line, f"cannot be read as YAML: {problem}")

    def value(self, node: yaml.Node, path: Location) -> Any:
        line, self.n_nodes = node.start_mark.line, self.n_nodes + 1
        self.origins.setdefault(path, self._place(line))
        if problem := _beyond(len(path) - len(self.at), self.n_nodes):  # by aliases, which may stand in what they name
            raise self._fault(line, f"cannot be read as YAML: {problem}")
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            return [self.value(item, (*path, i)) for i, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.tag in _SCALARS:
            return self._scalar(node, path)
        tag = shown(node.tag.replace(_TAG, "!!"))
        raise self._fault(line, f"{dotted(path)} has the tag {tag}; write plain text, a number, true or false")

    def _mapping(self, node: yaml.MappingNode, path: Location) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._fault(line, f"{dotted(path)} has a list or a mapping as a key")
            key = self._text(key_node, path)
            if key in found:
                raise self._fault(line, f"key {dotted((*path, key))} stands twice")
            self.origins[(*path, key)] = self._place(line)
            found[key] = self.value(value_node, (*path, key))
        return found

    def _scalar(self, node: yaml.ScalarNode, path: Location) -> Any:
        line, text = node.start_mark.line, self._text(node, path)
        try:
            value = self._scalars.construct_object(node)
        except (ValueError, KeyError, IndexError, OverflowError) as error:
            kind = node.tag.removeprefix(_TAG)
            raise self._fault(line, f"{dotted(path)} is {shown(text)}, which cannot be read as {kind}") from error
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise self._fault(line, f"{dotted(path)} is {shown(text)}; no number here is so large")
        return value

    def _text(self, node: yaml.ScalarNode, path: Location) -> str:
        text = str(node.value)
        if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text):
            message = f"{dotted(path)} holds {shown(text)}; no name or path can have that character"
            raise self._fault(node.start_mark.line, message)
        return text

    def _place(self, line: int | None) -> str:
        return self.name if line is None or self.at else f"{self.name}, line {line + 1}"

    def _fault(self, line: int | None, message: str) -> ConfigError:
        return ConfigError(one_line(self._place(line), message))
