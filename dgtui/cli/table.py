"""Tables of plain text."""

from collections.abc import Sequence

from dgtui.wording.words import cells, cut

_GAP = "  "
_NARROWEST = 6


def table_lines(headers: Sequence[str], rows: Sequence[Sequence[str]], *, width: int | None = None) -> list[str]:
    """The lines of a table, columns as wide as they need; the widest ones give way where `width` is not enough."""
    columns = [max(cells(row[number]) for row in [headers, *rows]) for number in range(len(headers))]
    while width is not None and sum(columns) + len(_GAP) * (len(columns) - 1) > width and max(columns) > _NARROWEST:
        columns[columns.index(max(columns))] -= 1
    return [_line(row, columns) for row in [headers, *rows]]


def _line(row: Sequence[str], columns: Sequence[int]) -> str:
    cut_cells = [cut(text, column, mark="~") for text, column in zip(row, columns, strict=True)]
    padded = (text + " " * (column - cells(text)) for text, column in zip(cut_cells, columns, strict=True))
    return _GAP.join(padded).rstrip()
