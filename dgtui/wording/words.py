"""Sizes, times and names as people read them; nothing in them can steer a terminal."""

import unicodedata
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from functools import cache

from dgtui.engine import sizes
from dgtui.engine.child import printable

_INVISIBLE = frozenset({"Cf", "Cs", "Co", "Zl", "Zp"})
"""Categories of characters that a terminal acts upon, or that turn the text around."""
_TO_THE_SECOND = len("2025-02-13 06:00:01")


def one_line(text: str) -> str:
    """A name or message as one line, with control, direction and line characters shown literally."""
    line = printable(text).replace("\n", "\\n").replace("\t", "\\t")
    if line.isascii():
        return line
    return "".join(
        _escaped(character) if unicodedata.category(character) in _INVISIBLE else character for character in line
    )


def _escaped(character: str) -> str:
    return f"\\u{ord(character):04x}"


def cells(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return len(text) if text.isascii() else sum(_cells_of(character) for character in text)


def _cells_of(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def cut(text: str, width: int, *, mark: str = "…") -> str:
    """The beginning of a text that fits into `width` columns, marked where something was left out."""
    if cells(text) <= width:
        return text
    room = width - cells(mark)
    if room < 0:
        return mark[:width]
    taken, used = [], 0
    for character in text:
        used += _cells_of(character)
        if used > room:
            break
        taken.append(character)
    return "".join(taken) + mark


size_text = sizes.size_text


counted = sizes.counted


def known_size(size: int | None) -> str:
    """A size, or a dash where it is not known."""
    return "-" if size is None else size_text(size)


def amount_text(amount: float, unit: str) -> str:
    """An amount of bytes, rows or files."""
    return size_text(amount) if unit == "bytes" else f"{int(amount):,} {unit}"


def done_of_total(done: int, total: int, unit: str, *, estimated: bool) -> str:
    """`2.1 of 3.4 GB`; the unit stands once where both have the same, and an estimate is marked."""
    first, _, first_unit = amount_text(done, unit).partition(" ")
    second, _, second_unit = amount_text(total, unit).partition(" ")
    shown = first if first_unit == second_unit else f"{first} {first_unit}"
    return f"{shown} of {'~' if estimated else ''}{second} {second_unit}"


def clock_text(seconds: float) -> str:
    """`0:02:10`."""
    whole = max(int(seconds), 0)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def took_text(seconds: float) -> str:
    """`0.4 s`, `12.0 s`, `0:02:10`: how long something took."""
    return f"{seconds:.1f} s" if seconds < 60 else clock_text(seconds)


def left_text(seconds: float) -> str:
    """`14 s`, `3 min`, `2 h 5 min`."""
    whole = max(round(seconds), 1)
    if whole < 90:
        return f"{whole} s"
    if whole < 5400:
        return f"{round(whole / 60)} min"
    hours, rest = divmod(whole, 3600)
    return f"{hours} h {rest // 60} min" if rest >= 60 else f"{hours} h"


def time_text(moment: datetime | None) -> str:
    """A moment in the local time zone, to the second."""
    return "-" if moment is None else moment.astimezone().isoformat(" ", "seconds")[:_TO_THE_SECOND]


def time_texts(moments: Iterable[datetime]) -> list[str]:
    """Like `time_text`, of many: how far local time is ahead is asked for once a day, but on days when that changes."""
    ahead: dict[date, timedelta | None] = {}
    # To format each number anew, all of this would take twice as long.
    day_text, two = cache(date.isoformat), [f"{number:02}" for number in range(60)]
    found = []
    for moment in moments:
        day = moment.date()
        if day not in ahead:
            first, last = (datetime.combine(day, edge, UTC).astimezone().utcoffset() for edge in (time.min, time.max))
            ahead[day] = first if first == last else None
        offset = ahead[day]
        if offset is None or moment.tzinfo is not UTC:
            found.append(time_text(moment))
        else:
            local = moment + offset
            found.append(f"{day_text(local.date())} {two[local.hour]}:{two[local.minute]}:{two[local.second]}")
    return found


def short_id(identity: str) -> str:
    """As much of an id as tells executions apart."""
    return identity[:8]
