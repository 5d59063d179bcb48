"""Sizes and numbers as people read them."""

_UNITS = ("kB", "MB", "GB", "TB", "PB", "EB")
_THOUSAND = 1000
_ROUNDED_UP = 999.5
"""From here on it is one of the next unit."""


def size_text(size: float) -> str:
    """`742 MB`, `3.4 GB`: one decimal below ten."""
    if abs(size) < _THOUSAND:
        return f"{int(size)} B"
    amount, place = size / _THOUSAND, 0
    while abs(amount) >= _ROUNDED_UP and place < len(_UNITS) - 1:
        amount, place = amount / _THOUSAND, place + 1
    number = f"{amount:.1f}"
    return f"{number if float(number) < 10 else round(float(number))} {_UNITS[place]}"


def counted(number: int, things: str) -> str:
    """`48 tables`, `1 table`, `2 copies`, `1 copy`."""
    one = f"{things[:-3]}y" if things.endswith("ies") else things.removesuffix("s")
    return f"{number:,} {one if number == 1 else things}"
