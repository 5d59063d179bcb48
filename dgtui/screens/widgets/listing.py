"""A table for thousands of rows over a slow line: only rows in view are drawn, only those that changed are sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from dgtui.screens.widgets.arrangement import Arrangement, ShownColumn
from dgtui.screens.widgets.rows import GAP, Column, Row, fitted
from dgtui.screens.widgets.styled import StyledWidget
from dgtui.wording.panel import Line, Span
from dgtui.wording.words import cut


class Listing(StyledWidget, ScrollView, can_focus=True):
    """Rows under a header, with a cursor, a filter and an order."""

    DEFAULT_CSS = """
    Listing { height: 1fr; overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "cursor(-1)", "Up", show=False, id="list.up"),
        Binding("down,j", "cursor(1)", "Down", show=False, id="list.down"),
        Binding("pageup", "page(-1)", "Page up", show=False, id="list.page_up"),
        Binding("pagedown", "page(1)", "Page down", show=False, id="list.page_down"),
        Binding("home,g", "end(0)", "First", show=False, id="list.first"),
        Binding("end,G", "end(1)", "Last", show=False, id="list.last"),
        Binding("enter", "open", "Open", show=False, id="list.open"),
        Binding("s", "sort", "Sort", id="list.sort", tooltip="Order by the next column"),
        Binding("S", "reverse", "Reverse the order", show=False, id="list.reverse"),
    ]

    cursor: reactive[int] = reactive(0, repaint=False)

    @dataclass
    class Moved(Message):
        """The cursor is on another row."""

        listing: "Listing"
        key: str | None

        @property
        def control(self) -> "Listing":
            """The table."""
            return self.listing

    @dataclass
    class Filtered(Message):
        """Other words have to be in a row, or other rows have them."""

        listing: "Listing"

        @property
        def control(self) -> "Listing":
            """The table."""
            return self.listing

    @dataclass
    class Opened(Message):
        """A row was chosen."""

        listing: "Listing"
        key: str

        @property
        def control(self) -> "Listing":
            """The table."""
            return self.listing

    def __init__(self, columns: Sequence[Column], *, id: str, empty: str = "Nothing here yet") -> None:  # noqa: A002
        super().__init__(id=id)
        self._arrangement = Arrangement(columns)
        self._empty = empty
        self._known = False
        self._last_key: str | None = None
        self._told = ""
        self._wanted: str | None = None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is nothing to open and nothing to order without rows."""
        needs_rows = action in ("open", "sort", "reverse")
        return bool(self.rows) if needs_rows else super().check_action(action, parameters)

    # What is shown

    @property
    def rows(self) -> list[Row]:
        """The rows that pass the filter, in their order."""
        return self._arrangement.rows

    @property
    def key(self) -> str | None:
        """The key of the row under the cursor."""
        return self.rows[self.cursor].key if self.cursor < len(self.rows) else None

    @property
    def keys_in_view(self) -> list[str]:
        """The keys of the rows that are seen now."""
        first = self.scroll_offset.y
        return [row.key for row in self.rows[first : first + max(self.size.height - 1, 0)]]

    @property
    def filter(self) -> str:
        """What rows have to contain to be shown."""
        return self._arrangement.filter

    @property
    def filter_words(self) -> str:
        """`filter: crm   1 of 5 rows`; empty where all rows are shown."""
        return self._arrangement.filter_words

    def show(self, rows: Sequence[Row], *, columns: Sequence[Column] | None = None, empty: str | None = None) -> None:
        """Show these rows; the cursor stays on the row of its key."""
        if not self._known or (empty is not None and empty != self._empty):
            self._empty = self._empty if empty is None else empty
            self._known = True
            self.refresh()
        key = self.key
        self._arrangement.replace(rows, columns)
        self._arrange(key)

    def filter_by(self, text: str) -> None:
        """Show only the rows that contain every word of `text`."""
        self._arrangement.filter = text
        self._arrange(self.key)

    def sort_by(self, column: int | None, *, reverse: bool = False) -> None:
        """Order the rows by a column; None gives back the order they came in."""
        self._arrangement.order = None if column is None else (column, reverse)
        self._arrange(self.key)

    def move_to(self, key: str) -> None:
        """Put the cursor on the row of a key, if it is shown."""
        number = self._arrangement.number_of(key)
        if number is not None:
            self.cursor = number

    def want(self, key: str) -> None:
        """Put the cursor on the row of a key as soon as it is shown, unless somebody moves it before."""
        self._wanted = key
        self._arrange(self.key)

    def _arrange(self, key: str | None) -> None:
        """Show what is different; the cursor stays on the row of a key, or goes to the one that is wanted."""
        arrangement = self._arrangement
        rows, columns, told = arrangement.rows, arrangement.columns, self._told
        arrangement.arrange()
        arrangement.measure(self._room)
        wanted = arrangement.number_of(self._wanted)
        number = arrangement.number_of(key) if wanted is None else wanted
        if wanted is not None:
            self._wanted = None
        self.virtual_size = Size(self.size.width, len(self.rows) + 1)
        self._repaint(rows, columns)
        cursor = min(self.cursor, max(len(self.rows) - 1, 0)) if number is None else number
        if cursor == self.cursor:
            self._tell()
        self.cursor = cursor
        self._told = self.filter_words
        if self._told != told:
            self.post_message(self.Filtered(self))

    def _repaint(self, rows: Sequence[Row], columns: Sequence[ShownColumn]) -> None:
        """Send the rows that differ; where the columns or the number of rows changed, everything."""
        if columns != self._arrangement.columns or len(rows) != len(self.rows):
            self.refresh()
            return
        first = self.scroll_offset.y
        for number in range(first, min(first + self.size.height, len(rows))):
            if rows[number].cells != self.rows[number].cells:
                self._refresh_row(number)

    @property
    def _room(self) -> int:
        """The width that is left: the scrollbar takes a column of it where the rows do not fit."""
        bar = self.styles.scrollbar_size_vertical if len(self.rows) + 1 > self.size.height else 0
        return self.size.width - bar - 1

    # Drawing

    @property
    def _nothing(self) -> str:
        """Why there is no row; before anything was shown, nobody knows that there is none."""
        if not self._known:
            return "Looking"
        return f"Nothing contains {self.filter!r}" if self.filter else self._empty

    def render_line(self, y: int) -> Strip:
        """A row of the screen: the header above, and the rows scroll below it."""
        width = self.size.width
        if y == 0:
            return self.strip_of(self._header(), width)
        number = self.scroll_offset.y + y - 1
        if not self.rows:
            return self.strip_of((Span(" " + cut(self._nothing, width - 1), "dim"),) if y == 2 else (), width)
        if number >= len(self.rows):
            return self.strip_of((), width)
        line = self._line(self.rows[number])
        if number == self.cursor:
            return self.strip_of(line, width, over=self.get_component_rich_style("styled--cursor", partial=True))
        return self.strip_of(line, width)

    def _line(self, row: Row) -> Line:
        pieces: list[Span] = [Span(" ")]
        for number, column, width in self._arrangement.columns:
            pieces += fitted(row.cells[number], width, right=column.right)
            pieces.append(Span(" " * GAP))
        return tuple(pieces)

    def _header(self) -> Line:
        pieces: list[Span] = [Span(" ")]
        order = self._arrangement.order
        for number, column, width in self._arrangement.columns:
            label = column.label
            if order is not None and order[0] == number and label:
                label = cut(label, max(width - 1, 1)) + ("v" if order[1] else "^")
            pieces += fitted((Span(label, "header"),), width, right=column.right)
            pieces.append(Span(" " * GAP))
        return tuple(pieces)

    def _refresh_row(self, number: int) -> None:
        y = number - self.scroll_offset.y + 1
        if 1 <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    # Moving

    def validate_cursor(self, cursor: int) -> int:
        """Keep it on a row."""
        return max(0, min(cursor, len(self.rows) - 1))

    def watch_cursor(self, before: int, now: int) -> None:
        """Repaint the two rows and scroll where need be."""
        self._refresh_row(before)
        self._refresh_row(now)
        room = max(self.size.height - 1, 1)
        if now < self.scroll_offset.y:
            self._scroll(now)
        elif now >= self.scroll_offset.y + room:
            self._scroll(now - room + 1)
        self._tell()

    def _scroll(self, y: int) -> None:
        # Rows that were only just given have no scrollbar yet, without which nothing would scroll unforced.
        self.scroll_to(y=y, animate=False, immediate=True, force=True)
        self.vertical_scrollbar.position = self.scroll_y

    def _tell(self) -> None:
        if self.key != self._last_key:
            self._last_key = self.key
            self.post_message(self.Moved(self, self.key))

    def on_resize(self) -> None:
        """The widths depend on the terminal's."""
        self._arrangement.measure(self._room)
        self.virtual_size = Size(self.size.width, len(self.rows) + 1)
        self.refresh()

    def action_cursor(self, step: int) -> None:
        """Move by one row."""
        self._wanted = None
        self.cursor += step

    def action_page(self, step: int) -> None:
        """Move by a page."""
        self._wanted = None
        self.cursor += step * max(self.size.height - 2, 1)

    def action_end(self, last: int) -> None:
        """Move to the first or the last row."""
        self._wanted = None
        self.cursor = len(self.rows) - 1 if last else 0

    def action_open(self) -> None:
        """Choose the row under the cursor."""
        if self.key is not None:
            self.post_message(self.Opened(self, self.key))

    def action_sort(self) -> None:
        """Order by the next column, after the last one in the order they came in."""
        order = self._arrangement.next_order()
        self.sort_by(order[0] if order is not None else None)
        self.refresh()

    def action_reverse(self) -> None:
        """Turn the order around."""
        order = self._arrangement.order
        if order is not None:
            self.sort_by(order[0], reverse=not order[1])
            self.refresh()

    def on_click(self, event: events.Click) -> None:
        """The header orders, a row is put under the cursor, and chosen where it is there already or by two clicks."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y == 0:
            self._order_at(offset.x)
            return
        number = self.scroll_offset.y + offset.y - 1
        if number < len(self.rows):
            self._wanted = None
            self.cursor = number
            if event.chain > 1:
                self.action_open()

    def _order_at(self, x: int) -> None:
        left = 1
        for number, _, width in self._arrangement.columns:
            if left <= x < left + width + GAP:
                self.sort_by(number, reverse=self._arrangement.order == (number, False))
                self.refresh()
                return
            left += width + GAP
