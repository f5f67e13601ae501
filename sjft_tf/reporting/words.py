"""Numbers as a reader says them, and names as a page can show them."""

import re

import rich.cells


def percent(share: float) -> str:
    """0.4904 as "49.0 %"."""
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def recall(share: float) -> str:
    """0.99307 as "99.31 %"; what is short of 1 is never called 100 %: 0.99998 is "> 99.99 %"."""
    if 0.99995 <= share < 1:
        return ">\N{NO-BREAK SPACE}99.99\N{NO-BREAK SPACE}%"
    return f"{100 * share:.2f}\N{NO-BREAK SPACE}%"


def number(value: float) -> str:
    """12534 and 12533.7 as "12,534"."""
    return f"{value:,.0f}"


def counted(value: int, noun: str) -> str:
    """1020 and "image" as "1,020 images"; the noun takes an s or, after s, es, unless there is just one."""
    return f"{value:,} {noun}" if value == 1 else f"{value:,} {noun}{'es' if noun.endswith('s') else 's'}"


def divergence(value: float, unit: str = "nats") -> str:
    """0.9147 as "0.915 nats", 2.2 as "2.20 nats", 312.4 as "312 nats"; where there is no unit, the number alone."""
    decimals = 3 - min(3, len(f"{value:.0f}")) if value >= 0.9995 else 3
    return f"{value:.{decimals}f} {unit}".rstrip()


def duration(seconds: float) -> str:
    """0.84 as "0.8 s", 245 as "4 min 05 s", 7380 as "2 h 03 min"."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min"


def ordinal(rank: int) -> str:
    """1 as "1st", 12 as "12th", 22 as "22nd"."""
    suffix = "th" if rank % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(rank % 10, "th")
    return f"{rank}{suffix}"


def shortened(text: str, width: int) -> str:
    """`text` cut at `width` columns, with an ellipsis where something is missing."""
    if rich.cells.cell_len(text) <= width:
        return text
    return rich.cells.set_cell_size(text, width - 1).rstrip() + "…"


def printable(text: str) -> str:
    """`text` with a replacement character for each letter that XML or UTF-8 cannot hold.

    These are control characters, lone surrogates, U+FFFE and U+FFFF. Class names are folder names, and a folder's name
    may hold almost any byte.
    """
    return re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", "\N{REPLACEMENT CHARACTER}", text)
