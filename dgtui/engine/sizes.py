"""Sizes, numbers and lists of names as people read them."""

from bisect import bisect_right
from collections.abc import Sequence

_THOUSAND = 1000
_ONE_DECIMAL = 9.95
"""Below this it is less than ten with one decimal."""
NAMED = 5
"""So many names of a long list are told, where nothing speaks for another number."""
_UNITS = [(_THOUSAND**power, unit) for power, unit in enumerate(("kB", "MB", "GB", "TB", "PB", "EB"), 1)]
_ENDS = [999.5 * one for one, _ in _UNITS[:-1]]
"""From here on it is one of the next unit."""


def size_text(size: float) -> str:
    """`742 MB`, `3.4 GB`: one decimal below ten."""
    magnitude = abs(size)
    if magnitude < _THOUSAND:
        return f"{int(size)} B"
    one, unit = _UNITS[bisect_right(_ENDS, magnitude)]
    amount = size / one
    return f"{amount:.1f} {unit}" if amount < _ONE_DECIMAL else f"{amount:.0f} {unit}"


def counted(number: int, things: str) -> str:
    """`48 tables`, `1 table`, `2 copies`, `1 copy`."""
    one = f"{things[:-3]}y" if things.endswith("ies") else things.removesuffix("s")
    return f"{number:,} {one if number == 1 else things}"


def first_of(names: Sequence[str], most: int = NAMED) -> str:
    """`orders, users and 3 more`: the first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
