"""A list whose rows can be ticked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.actions import SkipAction
from textual.binding import Binding, BindingType
from textual.message import Message

from dgtui.screens.widgets.listing import Listing
from dgtui.screens.widgets.rows import Column, Row, SortValue
from dgtui.screens.widgets.styled import span
from dgtui.wording.panel import Line, Span


@dataclass(frozen=True)
class Tickable:
    """A row that can be ticked."""

    key: str
    facts: tuple[str, ...] = ()
    sort: tuple[SortValue, ...] = ()
    """What the facts are sorted by, where their text would not do."""


class Ticks(Listing):
    """Rows with a box before each; space ticks, and so does Enter."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,enter", "open", "Tick", show=False, id="ticks.toggle"),
        Binding("a", "all", "All or none", show=False, id="ticks.all"),
    ]

    @dataclass
    class Changed(Message):
        """Another set is ticked."""

        ticks: "Ticks"
        keys: tuple[str, ...]

        @property
        def control(self) -> "Ticks":
            """The widget."""
            return self.ticks

    def __init__(self, columns: Sequence[Column], *, id: str, empty: str = "Nothing to choose from") -> None:  # noqa: A002
        super().__init__([Column(""), *columns], id=id, empty=empty)
        self._tickables: tuple[Tickable, ...] = ()
        self._ticked: set[str] = set()

    @property
    def ticked(self) -> tuple[str, ...]:
        """The ticked ones, in their order."""
        return tuple(one.key for one in self._tickables if one.key in self._ticked)

    def offer(self, tickables: Sequence[Tickable], ticked: Sequence[str] = ()) -> None:
        """Rows to tick."""
        self._tickables = tuple(tickables)
        self._ticked = set(ticked)
        self._draw()

    def _draw(self) -> None:
        rows = []
        for one in self._tickables:
            facts: tuple[Line, ...] = tuple((span(fact),) for fact in one.facts)
            sign = "[x]" if one.key in self._ticked else "[ ]"
            rows.append(Row(one.key, ((Span(sign),), (span(one.key),), *facts), (None, None, *one.sort)))
        self.show(rows)

    def action_cursor(self, step: int) -> None:
        """Move by a row; beyond the first and the last one the key is the dialog's, which goes to the next field."""
        if not 0 <= self.cursor + step < len(self.rows):
            raise SkipAction
        super().action_cursor(step)

    def action_open(self) -> None:
        """Tick the row under the cursor, or take its tick away."""
        if self.key is not None:
            self._ticked ^= {self.key}
            self._changed()

    def action_all(self) -> None:
        """Tick all, or none where all are."""
        every = {one.key for one in self._tickables}
        self._ticked = set() if self._ticked == every else every
        self._changed()

    def _changed(self) -> None:
        self._draw()
        self.post_message(self.Changed(self, self.ticked))
