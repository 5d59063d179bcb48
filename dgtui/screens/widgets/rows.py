"""Columns and rows of a table: how wide each one is, and by what rows are ordered."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from dgtui.screens.widgets.styled import plain
from dgtui.wording.panel import Line, Span
from dgtui.wording.words import cells, cut

SortValue = str | float | datetime | None
Order = tuple[int, bool]
"""The number of the column that rows are ordered by, and whether the other way around."""
GAP = 2
"""Blanks between columns."""
_LEAST_SEEN = 3
_NOTHING = ("", "-", "–")
_WITHOUT_REST = 25
_REST_SECONDS = 0.0005


@dataclass(frozen=True)
class Column:
    """A column; `flexible` ones give way first where the terminal is narrow."""

    label: str
    right: bool = False
    flexible: bool = False
    wide_only: bool = False
    """Left out where there is no room for it beside the others."""
    spared: int = 0
    """Which of those of `wide_only` are left out first: the ones where it is highest."""
    enough: int | None = None
    """How much of a flexible one has to be seen before those of `wide_only` are; None for all of it."""
    least: int = 6
    """How narrow a flexible one may become."""


@dataclass(frozen=True)
class Row:
    """A row under its key; `sort` has a value for each column to sort by, where the text would not do."""

    key: str
    cells: tuple[Line, ...]
    sort: tuple[SortValue, ...] = ()

    @cached_property
    def text(self) -> str:
        """All of it, to search in."""
        return " ".join(plain(cell) for cell in self.cells).casefold()

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """How many columns of the terminal each cell takes."""
        return tuple(_line_cells(cell) for cell in self.cells)

    def sort_value(self, column: int) -> SortValue:
        """What a column sorts this row by."""
        value = self.sort[column] if column < len(self.sort) else None
        return plain(self.cells[column]).casefold() if value is None else value


class MeasuredRows(list[Row]):
    """Rows with the width of the widest cell of each column."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        super().__init__(rows)
        self.widest = tuple(map(max, zip(*(row.widths for row in self), strict=True)))


def measured(rows: Iterable[Row]) -> MeasuredRows:
    """The same rows, measured; where they are made in a thread, drawing them holds nothing up.

    It rests now and then, for a thread that never does so halves what is left for whoever types.
    """
    found: list[Row] = []
    for row in rows:
        _ = row.text, row.widths
        found.append(row)
        if len(found) % _WITHOUT_REST == 0:
            time.sleep(_REST_SECONDS)
    return MeasuredRows(found)


def measured_columns(
    columns: Sequence[Column], widest: Sequence[int], room: int, order: Order | None
) -> list[tuple[int, Column, int]]:
    """The columns there is room for, with number and width, where so much is the widest cell of each; the flexible
    ones give way."""
    by = order[0] if order is not None else None
    widths = [
        # The column that rows are ordered by has a sign behind its label.
        max(cells(column.label) + (number == by), widest[number] if widest else 0)
        for number, column in enumerate(columns)
    ]
    numbers = _fitting(columns, widths, room)
    over = sum(widths[number] + GAP for number in numbers) - GAP - room
    flexible = [number for number in numbers if columns[number].flexible]
    while over > 0:
        yielding = [number for number in flexible if widths[number] > columns[number].least]
        if not yielding:
            break
        broadest = max(yielding, key=lambda number: (_is_ample(columns[number], widths[number]), widths[number]))
        widths[broadest] -= 1
        over -= 1
    while over > 0 and len(numbers) > 1 and widths[numbers[-1]] - over < _LEAST_SEEN:
        # Of the last one nothing but a sign that it is cut off would be seen.
        over -= widths[numbers.pop()] + GAP
    return [(number, columns[number], widths[number]) for number in numbers]


def _is_ample(column: Column, width: int) -> bool:
    """Whether less of it is enough."""
    return column.enough is not None and width > column.enough


def _fitting(columns: Sequence[Column], widths: Sequence[int], room: int) -> list[int]:
    """The numbers of the columns that are shown: all but those for which there is no room."""
    needed = [
        width if column.enough is None else min(width, column.enough)
        for column, width in zip(columns, widths, strict=True)
    ]
    numbers = [number for number, column in enumerate(columns) if not column.wide_only]
    left = room + GAP - sum(needed[number] + GAP for number in numbers)
    for number in sorted(range(len(columns)), key=lambda number: columns[number].spared):
        if columns[number].wide_only and needed[number] + GAP <= left:
            numbers.append(number)
            left -= needed[number] + GAP
    return sorted(numbers)


def ordered(rows: Sequence[Row], column: int, reverse: bool) -> list[Row]:
    """Rows by a column; those with nothing to sort by always come last."""
    values = [(row.sort_value(column), row) for row in rows]
    known = [(_sort_key(value), row) for value, row in values if value not in _NOTHING]
    known.sort(key=lambda entry: entry[0], reverse=reverse)
    return [row for _, row in known] + [row for value, row in values if value in _NOTHING]


def _sort_key(value: SortValue) -> tuple[int, float, str]:
    """Numbers and times before words."""
    if isinstance(value, datetime):
        value = value.timestamp()
    return (1, 0.0, value) if isinstance(value, str) else (0, value or 0.0, "")


def _line_cells(line: Line) -> int:
    if len(line) == 1:
        return cells(line[0].text)
    return sum(cells(piece.text) for piece in line)


def fitted(line: Line, width: int, *, right: bool) -> list[Span]:
    """A cell of exactly `width` columns."""
    pieces: list[Span] = []
    left = width
    for piece in line:
        text = cut(piece.text, left)
        pieces.append(Span(text, piece.style))
        left -= cells(text)
        if left <= 0:
            break
    blank = Span(" " * left)
    return ([blank, *pieces] if right else [*pieces, blank]) if left > 0 else pieces
