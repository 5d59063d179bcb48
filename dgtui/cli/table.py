"""Tables of plain text."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import chain

from dgtui.wording.words import cells, cut

_GAP = "  "
_NARROWEST = 6


def table_lines(headers: Sequence[str], rows: Sequence[Sequence[str]], *, width: int | None = None) -> list[str]:
    """The lines of a table, columns as wide as they need; the widest ones give way where `width` is not enough."""
    columns: list[Sequence[str]] = [*zip(*rows, strict=True)] or [() for _ in headers]
    return list(column_lines(headers, columns, width=width))


def column_lines(
    headers: Sequence[str], columns: Sequence[Sequence[str]], *, width: int | None = None
) -> Iterator[str]:
    """Like `table_lines`, of a table that is given by its columns: faster, where there are a hundred thousand rows."""
    part = TablePart(headers, columns, width=width)
    return part.lines(part.needed, begins=True)


class TablePart:
    """Some of the rows of a table, given by their columns; their lines depend on what the columns of all need."""

    def __init__(self, headers: Sequence[str], columns: Sequence[Sequence[str]], *, width: int | None) -> None:
        self._headers = headers
        self._columns = columns
        self._width = width
        self._ascii_only = ["".join(column).isascii() for column in columns]
        widest = [
            max(map(len, column) if is_ascii else map(cells, set(column)), default=0)
            for column, is_ascii in zip(columns, self._ascii_only, strict=True)
        ]
        self.needed = [max(cells(header), space) for header, space in zip(headers, widest, strict=True)]
        """How wide each column has to be for these rows."""

    def lines(self, needed: Sequence[int], *, begins: bool) -> Iterator[str]:
        """The lines where the columns of all rows need so much, after the one of the headers where they begin it."""
        spaces = _spaces(needed, self._width)
        shown = [
            # What is as many columns wide as it has characters needs no look at each.
            [text.ljust(space) for text in column] if is_ascii and space == full else map(_fitting(space), column)
            for column, is_ascii, space, full in zip(self._columns, self._ascii_only, spaces, needed, strict=True)
        ]
        head = [[_fitting(space)(header) for header, space in zip(self._headers, spaces, strict=True)]]
        return map(str.rstrip, map(_GAP.join, chain(head if begins else (), zip(*shown, strict=True))))

    def text(self, needed: Sequence[int], *, begins: bool) -> str:
        """The same as one text."""
        return "\n".join(self.lines(needed, begins=begins))


def _spaces(needed: Sequence[int], width: int | None) -> list[int]:
    """How wide each column is."""
    spaces = list(needed)
    while width is not None and sum(spaces) + len(_GAP) * (len(spaces) - 1) > width and max(spaces) > _NARROWEST:
        spaces[spaces.index(max(spaces))] -= 1
    return spaces


def _fitting(space: int) -> Callable[[str], str]:
    """Gives texts that take just this many columns, cut where they are too long."""

    @cache
    def fitting(text: str) -> str:
        shown = cut(text, space, mark="~")
        return shown + " " * (space - cells(shown))

    return fitting
