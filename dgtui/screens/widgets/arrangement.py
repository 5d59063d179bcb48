"""Which rows of a table are shown, in which order, and in which columns."""

from collections.abc import Sequence

from dgtui.screens.widgets.rows import Column, MeasuredRows, Order, Row, measured_columns, ordered

ShownColumn = tuple[int, Column, int]
"""Number, column, width."""


class Arrangement:
    """All rows of a table, and what its filter, its order and its width make of them."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.all_columns = list(columns)
        self.all_rows = MeasuredRows()
        self.filter = ""
        """What rows have to contain to be shown."""
        self.order: Order | None = None
        self.rows: list[Row] = []
        """Those that pass the filter, in their order."""
        self.columns: list[ShownColumn] = []
        """Those that there is room for."""

    @property
    def words(self) -> list[str]:
        """Each has to be in a row."""
        return self.filter.casefold().split()

    @property
    def filter_words(self) -> str:
        """`filter: crm   1 of 5 rows`; empty where all rows are shown."""
        return f"filter: {self.filter.strip()}   {len(self.rows)} of {len(self.all_rows)} rows" if self.words else ""

    def replace(self, rows: Sequence[Row], columns: Sequence[Column] | None = None) -> None:
        """Take other rows, and columns where they are given."""
        if columns is not None and list(columns) != self.all_columns:
            self._keep_order(columns)
            self.all_columns = list(columns)
        self.all_rows = rows if isinstance(rows, MeasuredRows) else MeasuredRows(rows)

    def _keep_order(self, columns: Sequence[Column]) -> None:
        """Other columns: rows stay in the order of the same one, if it is still there."""
        if self.order is None:
            return
        label = self.all_columns[self.order[0]].label
        number = next((number for number, column in enumerate(columns) if column.label == label), None)
        self.order = None if number is None else (number, self.order[1])

    def arrange(self) -> None:
        """Choose and order the rows."""
        words = self.words
        rows: list[Row] = self.all_rows
        if words:
            rows = [row for row in rows if all(word in row.text for word in words)]
        if self.order is not None:
            rows = ordered(rows, *self.order)
        self.rows = rows

    def measure(self, room: int) -> None:
        """Choose the columns that so much room is enough for."""
        self.columns = measured_columns(self.all_columns, self.all_rows.widest, room, self.order)

    def number_of(self, key: str | None) -> int | None:
        """Which of the shown rows has a key."""
        if key is None:
            return None
        return next((number for number, row in enumerate(self.rows) if row.key == key), None)

    def next_order(self) -> Order | None:
        """By the next column that is seen; after the last one in the order they came in."""
        numbers = [number for number, column, _ in self.columns if column.label]
        now = self.order[0] if self.order is not None else None
        place = numbers.index(now) + 1 if now in numbers else 0
        return (numbers[place], False) if place < len(numbers) else None
