"""Pickles that hold arrays, read without the `pickle` module by a machine that can call nothing of Python's.

A pickle is a program: it names functions, and its reader imports and calls them. Here a name is only looked up in a table
of builders that the caller gives; builders make plain records, and a name outside the table ends the reading. The
machine lacks the instructions that arrays do not need. Its work and memory are bounded by the length of the file, as it
copies no content and stops after `MAX_INSTRUCTIONS`.
"""

import dataclasses
import pickletools
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Protocol, runtime_checkable

from sjft_tf.errors import InputError
from sjft_tf.models.weights.stored_arrays import reporting_damage

MAX_INSTRUCTIONS = 10_000  # the dictionary of AlexNet's sixteen arrays takes about a thousand
MAX_KEY_LENGTH = 1000

_TEXTS = {"BINUNICODE", "SHORT_BINUNICODE", "BINSTRING", "SHORT_BINSTRING"}  # the latter two are decoded as Latin-1
_VALUES = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINBYTES", "SHORT_BINBYTES"} | _TEXTS
_IGNORED = {"PROTO", "FRAME", "STOP"}


@dataclasses.dataclass(frozen=True)
class Global:
    """A function or class that a pickle names, as `module name`; it is nothing but that name."""

    name: str


@runtime_checkable
class Buildable(Protocol):
    """A record that a pickle may complete after making it."""

    def build(self, state: Any) -> None:
        """Take from `state` what is needed; raises `InputError` if it is not of the expected form."""


Builder = Callable[..., Any]  # of the arguments in a call, or of a persistent id, neither checked


def load(stream: BinaryIO, builders: Mapping[str, Builder | None], storage: Builder | None = None) -> Any:
    """The value of the pickle at the stream's position; the stream is left behind the pickle.

    Args:
        stream: of bytes in memory, so that a declared length allocates nothing.
        builders: what makes a record from the arguments of a call, by the name that the pickle calls; None for names
            that may be mentioned but not called.
        storage: makes a record from a persistent id; None if there are to be no such ids.

    Returns:
        None, bool, int, float, str, bytes, tuple, list, dict with text as keys, `Global`, or a builder's record. Byte
        strings of Python 2 are text, one character a byte; keys of bytes are text too.

    Raises:
        InputError: the pickle is damaged, too long, or asks for what is not in `builders`.
    """
    machine = _Machine(builders, storage)
    with reporting_damage("its pickle"):
        for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if count == MAX_INSTRUCTIONS:
                raise InputError(f"its pickle has more than {MAX_INSTRUCTIONS} instructions, too many for weights")
            machine.step(opcode.name, argument)
        return machine.result()


class _Machine:
    """The stack, the marks on it, and the memo of a pickle; see `pickletools` for the instructions."""

    def __init__(self, builders: Mapping[str, Builder | None], storage: Builder | None) -> None:
        self._builders, self._storage = builders, storage
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []  # what lies under each mark, out of reach until the mark is taken away
        self._memo: dict[int, Any] = {}
        self._steps: dict[str, Callable[[Any], None]] = {
            **dict.fromkeys(_VALUES, self._push),
            **dict.fromkeys(_IGNORED, lambda _: None),
            "NONE": lambda _: self._push(None),
            "NEWTRUE": lambda _: self._push(True),
            "NEWFALSE": lambda _: self._push(False),
            "MARK": lambda _: self._mark(),
            "EMPTY_TUPLE": lambda _: self._push(()),
            "TUPLE1": lambda _: self._push(tuple(self._last(1))),
            "TUPLE2": lambda _: self._push(tuple(self._last(2))),
            "TUPLE3": lambda _: self._push(tuple(self._last(3))),
            "TUPLE": lambda _: self._push(tuple(self._marked())),
            "EMPTY_LIST": lambda _: self._push([]),
            "APPEND": lambda _: self._extend(self._last(1)),
            "APPENDS": lambda _: self._extend(self._marked()),
            "EMPTY_DICT": lambda _: self._push({}),
            "SETITEM": lambda _: self._update(self._last(2)),
            "SETITEMS": lambda _: self._update(self._marked()),
            "GLOBAL": self._name,
            "STACK_GLOBAL": lambda _: self._stack_name(*self._last(2)),
            "REDUCE": lambda _: self._call(*self._last(2)),
            "NEWOBJ": lambda _: self._call(*self._last(2)),
            "BUILD": lambda _: self._build(*self._last(2)),
            "BINPERSID": lambda _: self._persistent(*self._last(1)),
            **dict.fromkeys(("BINPUT", "LONG_BINPUT"), self._put),
            "MEMOIZE": lambda _: self._put(len(self._memo)),
            **dict.fromkeys(("BINGET", "LONG_BINGET"), lambda index: self._push(self._memo[index])),
        }

    def step(self, name: str, argument: Any) -> None:
        """Carry out one instruction."""
        if name not in self._steps:
            of = f" {argument[:200]!r}" if isinstance(argument, str) else ""
            raise InputError(f"its pickle uses the instruction {name}{of}, which arrays do not need; nothing was run")
        self._steps[name](argument)

    def result(self) -> Any:
        """What is left on the stack at the end."""
        (value,) = self._stack
        if self._below:
            raise ValueError("an open mark")
        return value

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _last(self, count: int) -> list[Any]:
        if len(self._stack) < count:
            raise ValueError("an empty stack")
        items = self._stack[-count:]
        del self._stack[-count:]
        return items

    def _mark(self) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _marked(self) -> list[Any]:
        items, self._stack = self._stack, self._below.pop()
        return items

    def _put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not list:
            raise ValueError("items for what is no list")
        target.extend(items)

    def _update(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not dict:
            raise ValueError("items for what is no dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str | bytes) or len(key) > MAX_KEY_LENGTH:
                raise ValueError("a key that is no short text")
            target[key.decode("latin-1") if isinstance(key, bytes) else key] = value

    def _name(self, name: str) -> None:
        if name not in self._builders:
            raise InputError(f"its pickle asks for {name[:200]!r}, and only arrays are read; nothing was run")
        self._push(Global(name))

    def _stack_name(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str) or len(module) + len(name) > MAX_KEY_LENGTH:
            raise ValueError("a name that is no short text")
        self._name(f"{module} {name}")

    def _call(self, function: Any, arguments: Any) -> None:
        builder = self._builders[function.name] if isinstance(function, Global) else None
        if builder is None or type(arguments) is not tuple:
            raise InputError("its pickle calls what is no function that makes an array; nothing was run")
        self._push(builder(*arguments))

    def _build(self, target: Any, state: Any) -> None:
        if isinstance(target, Buildable):
            target.build(state)
        elif type(target) is not dict or type(state) is not dict:  # attributes of an ordered dictionary do not matter
            raise ValueError("a state for what has none")
        self._push(target)

    def _persistent(self, key: Any) -> None:
        if self._storage is None:
            raise InputError("its pickle refers to data outside of it")
        self._push(self._storage(key))
