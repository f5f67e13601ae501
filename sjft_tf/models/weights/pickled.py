"""Pickles that hold arrays, read by the standard library's reader from a list of the names that it may find.

A pickle is a program: it names functions, and its reader imports and calls them. Here nothing is imported: a name is looked
up in a table of builders that the caller gives, builders make plain records, and a name outside the table ends the
reading. The program is looked over first, so that its work and memory are bounded by the length of the file.
"""

import pickle
import pickletools
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from sjft_tf.errors import InputError
from sjft_tf.models.weights.stored_arrays import reporting_damage

MAX_INSTRUCTIONS = 10_000
"""Of a pickle; the dictionary of AlexNet's sixteen arrays takes about a thousand."""

# What made a value that may be used twice. No tuples: one that holds another twice, and so on, takes forever to hash.
_REPEATED = {
    "GLOBAL", "STACK_GLOBAL", "REDUCE", "EMPTY_DICT", "EMPTY_LIST", "BINUNICODE", "SHORT_BINUNICODE", "BINSTRING",
    "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES",
}  # fmt: skip

Builder = Callable[..., Any]  # of the arguments in a call, or of a persistent id, neither checked


class Name:
    """What stands for a function or class that a pickle names; `name` is module and name, with a space between."""

    def __init__(self, name: str, builder: Builder | None) -> None:
        self.name, self._builder = name, builder

    def __call__(self, *arguments: Any) -> Any:
        """The builder's record."""
        if self._builder is None:
            raise InputError(f"its pickle calls {self.name!r}, which makes no array; nothing was run")
        return self._builder(*arguments)

    def __setstate__(self, state: Any) -> None:
        """Refuses what would otherwise become attributes."""
        raise ValueError("a state for a name")


class Dictionary(dict[Any, Any]):
    """`collections.OrderedDict`, whose attributes do not matter."""

    def __setstate__(self, state: Any) -> None:
        """Takes nothing."""


def load(stream: BinaryIO, builders: Mapping[str, Builder | None], storage: Builder | None = None) -> Any:
    """The value of the pickle at the stream's position; the stream is left behind the pickle.

    Args:
        stream: of bytes in memory, so that a declared length allocates nothing.
        builders: what makes a record from the arguments of a call, by the name that the pickle calls; None for names
            that may be mentioned but not called. A record has a `__setstate__`, which refuses what it does not expect.
        storage: makes a record from a persistent id; None if there are to be no such ids.

    Returns:
        Numbers, texts, bytes, tuples, lists, dictionaries, `Name`, or builders' records, nested. Byte strings of Python 2
        are text, one character a byte.

    Raises:
        InputError: the pickle is damaged, too long, or asks for what is not in `builders`; nothing was run.
    """
    with reporting_damage("its pickle"):
        start = stream.tell()
        _look_over(stream)
        stream.seek(start)
        return _Reader(stream, builders, storage).load()


class _Reader(pickle.Unpickler):
    def __init__(self, stream: BinaryIO, builders: Mapping[str, Builder | None], storage: Builder | None) -> None:
        super().__init__(stream, encoding="latin1")
        self._builders, self._storage = builders, storage

    def find_class(self, module: str, name: str) -> Name:
        """Looks names up, and imports nothing."""
        full = f"{module} {name}"
        if full not in self._builders:
            raise InputError(f"its pickle asks for {full[:200]!r}, and only arrays are read; nothing was run")
        return Name(full, self._builders[full])

    def persistent_load(self, key: Any) -> Any:
        """Hands the id on."""
        if self._storage is None:
            raise InputError("its pickle refers to data outside of it")
        return self._storage(key)


def _look_over(stream: BinaryIO) -> None:
    """Refuses a program that is too long, or by which a short file could take much memory or time."""
    made, memo = "", dict[int, str]()
    for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
        if count == MAX_INSTRUCTIONS:
            raise InputError(f"its pickle has more than {MAX_INSTRUCTIONS} instructions, too many for weights")
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if argument is None else argument] = made
        elif opcode.name == "DUP" or (
            opcode.name in ("GET", "BINGET", "LONG_BINGET") and memo.get(argument or 0, "") not in _REPEATED
        ):
            raise InputError("its pickle repeats what arrays do not need twice; nothing was run")
        else:
            made = opcode.name
    if max(memo, default=0) >= MAX_INSTRUCTIONS:
        raise InputError("its pickle numbers its values beyond reason; nothing was run")
