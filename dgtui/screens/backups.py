"""Backups by storage: left the datasources, right their executions with a column for each storage."""

from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical

from dgtui.engine.model import Execution
from dgtui.screens.backup_details import backup_details
from dgtui.screens.backup_table import (
    Backups,
    BackupTable,
    Keeping,
    Overview,
    gather_backups,
    gather_keeping,
    gather_overview,
)
from dgtui.screens.copies import ask_validate
from dgtui.screens.deleting import ask_delete
from dgtui.screens.execution import ExecutionScreen
from dgtui.screens.live_copies import LiveCopies
from dgtui.screens.marking import MarkRestoredScreen
from dgtui.screens.marks import copy_mark
from dgtui.screens.pinning import change_pin
from dgtui.screens.rehearse import ask_rehearse
from dgtui.screens.tab import TabScreen
from dgtui.screens.widgets.details import Details
from dgtui.screens.widgets.listing import Listing
from dgtui.screens.widgets.rows import Column, Row
from dgtui.screens.widgets.styled import Lines, span
from dgtui.wording.panel import Line, Span
from dgtui.wording.states import COPY_MARKS
from dgtui.wording.words import cells

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROOM_FOR_WORDS = 130
_ROOM_FOR_EXPIRY = 100
_NOTHING = "Nothing was backed up yet"
_SOURCES = (Column("Backups of", flexible=True), Column("", right=True))


class BackupsScreen(TabScreen):
    """All that can be restored."""

    TAB = "backups"
    OPENS: ClassVar[dict[str, str]] = {"sources": "Backups", "executions": "Details"}
    NEEDS_ROW = frozenset({"restore", "validate", "rehearse", "delete", "pin", "mark", "back_up"})
    AUTO_FOCUS = "#executions"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "restore", "Restore", id="backup.restore", tooltip="Get this backup back"),
        Binding("v", "validate", "Validate", id="backup.validate", tooltip="Read it to its last byte"),
        Binding("e", "rehearse", "Rehearse", id="backup.rehearse", tooltip="Restore it for a try, and compare"),
        Binding("x", "delete", "Delete", id="backup.delete", tooltip="Delete one copy or the whole backup"),
        Binding("p", "pin", "Pin", id="backup.pin", tooltip="Keep it for good, or leave it to the rules again"),
        Binding("m", "mark", "Mark restored", id="backup.mark", tooltip="Record a restore that was done by hand"),
        Binding("b", "back_up", "Back up", id="backup.back_up", tooltip="Back up this datasource now"),
        Binding("left", "focus_sources", "Datasources", show=False, id="backup.sources"),
        Binding("right", "focus_executions", "Backups", show=False, id="backup.executions"),
    ]
    DEFAULT_CSS = """
    BackupsScreen #sources { width: 24; border-right: vkey $panel-lighten-1; }
    BackupsScreen.-narrow #sources { width: 16; }
    BackupsScreen.-narrow Details { height: 3; }
    BackupsScreen.-ascii #sources { border-right: ascii $panel-lighten-1; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._wanted: str | None = None
        self._backups = Backups()
        self._storages: tuple[str, ...] = ()
        self._live = self._live_copies()
        self._waiting = True
        """Whether the backups of the selected datasource are still to come."""

    def compose_content(self) -> ComposeResult:
        """The datasources and their backups."""
        with Horizontal():
            yield Listing(_SOURCES, id="sources", empty="No backups")
            with Vertical():
                yield Listing([Column("Taken")], id="executions", empty=_NOTHING)
        yield Details(self.engine_app.look, id="details")
        yield Lines([()], id="legend")

    # What is shown

    def on_screen_resume(self, _: events.ScreenResume) -> None:
        """Ask the storages anew: one comes and goes without anybody here being told."""
        if self.app.screen is self:
            self._live.ask_again()

    def open(self, datasource: str) -> None:
        """Show the backups of one datasource."""
        self._wanted = datasource
        if self.is_mounted:
            sources = self.query_one("#sources", Listing)
            sources.move_to(datasource)
            if sources.key == datasource:
                self._wanted = None

    def on_resize(self) -> None:
        """There may be room for words now, or none any more."""
        self._show_legend()
        self._show()

    def _show_legend(self) -> None:
        """What the glyphs mean, closer together where there is little room."""
        marks = [copy_mark(status, self.engine_app.look, word=True) for status in COPY_MARKS]
        gap = Span("  " if sum(cells(mark.text) + 2 for mark in marks) <= self.size.width else " ")
        for legend in self.query("#legend").results(Lines):
            legend.show([(Span(" "), *(piece for mark in marks for piece in (mark, gap)))])

    def gather(self) -> None:
        """Which datasources have backups; those of the selected one follow."""
        self.engine_app.ask(
            self, "datasources with backups", gather_overview, self._take_overview, self.show_failure, about="all"
        )

    def _take_overview(self, overview: Overview) -> None:
        sources = self.query_one("#sources", Listing)
        rows = [Row(name, ((span(name),), (Span(str(count)),)), sort=(None, count)) for name, count in overview.counts]
        sources.show(rows)
        if self._wanted is not None:
            sources.move_to(self._wanted)
            self._wanted = None
        self._ask_backups()

    def on_listing_moved(self, message: Listing.Moved) -> None:
        """Another datasource, or another backup."""
        if message.listing.id != "sources":
            self._show_details()
        elif message.key is None or message.key != self._backups.datasource:
            self._ask_backups()

    def _ask_backups(self) -> None:
        name = self.query_one("#sources", Listing).key
        if name is None:
            self._take_backups(Backups())
            return
        if name != self._backups.datasource:
            self._await_backups(name)
        self.engine_app.ask(
            self,
            "backups",
            lambda engine: gather_backups(engine, name),
            self._take_backups,
            self.show_failure,
            about=name,
        )

    def _await_backups(self, name: str) -> None:
        """Show none until those of the datasource are here: one of another must not be taken for one of it."""
        self._let_go_of_backups(Backups(datasource=name))
        self._waiting = True
        self.query_one("#executions", Listing).show([], empty=f"Looking for the backups of {name}")
        self._show_details()

    def _let_go_of_backups(self, backups: Backups) -> None:
        self._backups = backups
        self._live.stop()

    def _take_backups(self, backups: Backups) -> None:
        self._let_go_of_backups(backups)
        self._waiting = False
        self._storages = tuple(self._storages_of_all())
        self._live = self._live_copies()
        self._show()
        self._live.begin()

    def _live_copies(self) -> LiveCopies:
        def in_view() -> "Sequence[str]":
            return self.query_one("#executions", Listing).keys_in_view

        return LiveCopies(self, self._backups.at, in_view, self._show, self._show_details, self._ask_keeping)

    def _ask_keeping(self) -> None:
        """The rules go by where copies are, so that they may say something else by now."""
        name = self._backups.datasource

        def take(keeping: Keeping) -> None:
            if name == self._backups.datasource:
                import msgspec

                self._backups = msgspec.structs.replace(self._backups, keeping=keeping)
                self._show()

        self.engine_app.ask(self, "keeping", lambda engine: gather_keeping(engine, name), take)

    def _storages_of_all(self) -> list[str]:
        """The storages of the shown backups, those of the configuration first."""
        used = set(self._backups.at)
        configured = [name for name in self.engine_app.config.storages if name in used]
        return [*configured, *sorted(used.difference(configured))]

    @property
    def _table(self) -> BackupTable:
        app = self.engine_app
        return BackupTable(
            self._backups,
            self._storages,
            app.look,
            app.clock(),
            words=self.size.width >= _ROOM_FOR_WORDS,
            goes=self.size.width >= _ROOM_FOR_EXPIRY,
            live={name: dict(found) for name, found in self._live.found.items()},
            silent=frozenset(self._live.silent),
        )

    def _show(self) -> None:
        """Word the rows in a thread: thousands of them would hold up the keys."""
        if self._waiting:
            return
        table = self._table
        self.engine_app.asking.ask(self, "backup rows", table.rows, lambda rows: self._show_rows(table, rows))

    def _show_rows(self, table: BackupTable, rows: list[Row]) -> None:
        if table.backups is self._backups:
            listing, filtered = self.query_one("#executions", Listing), self.query_one("#sources", Listing).filter
            empty = "No datasource is selected" if filtered else _NOTHING
            listing.show(rows, columns=table.columns, empty=empty)
            self._show_details()

    # The selected one

    @property
    def selected(self) -> Execution | None:
        """The backup under the cursor, with its copies as they were found last."""
        key = self.query_one("#executions", Listing).key
        found = self._backups.by_id.get(key or "")
        if found is None:
            return None
        import msgspec

        live = self._live.found
        copies = tuple(live.get(copy.storage, {}).get(found.execution_id, copy) for copy in found.copies)
        return msgspec.structs.replace(found, copies=copies)

    def _show_details(self) -> None:
        one = self.selected
        lines: list[Line] = []
        if one is not None:
            app, verdicts = self.engine_app, self._backups.keeping.verdicts.get(one.execution_id, ())
            proof = self._backups.proven.get(one.execution_id)
            lines = backup_details(one, proof, verdicts, self._live.silent, app.look, app.clock())
        self.query_one("#details", Details).show(lines)

    def show_states(self) -> None:
        """Time goes on: what storages said just now was said a while ago."""
        self._show_details()

    # Keys

    def has_row(self, action: str) -> bool:
        """A datasource can be backed up while it is configured; everything else needs a backup."""
        if action == "back_up":
            return self.query_one("#sources", Listing).key in self.engine_app.config.datasources
        return self.query_one("#executions", Listing).key is not None

    def action_focus_sources(self) -> None:
        """To the datasources."""
        self.query_one("#sources").focus()

    def action_focus_executions(self) -> None:
        """To the backups."""
        self.query_one("#executions").focus()

    def leave(self) -> None:
        """Back to the datasources."""
        self.app.switch_mode("datasources")

    def on_listing_opened(self, message: Listing.Opened) -> None:
        """Into the backups, or everything about one."""
        if message.listing.id == "sources":
            self.action_focus_executions()
        elif self.selected is not None:
            self.app.push_screen(ExecutionScreen(self.selected))

    def action_restore(self) -> None:
        """The restore dialog."""
        if self.selected is not None:
            self.engine_app.restore(self.selected)

    def action_back_up(self) -> None:
        """Back up the datasource that is shown."""
        name = self.query_one("#sources", Listing).key
        if name is not None and name in self.engine_app.config.datasources:
            self.engine_app.back_up(name)

    def action_pin(self) -> None:
        """Keep it whatever the rules say, or leave it to them again."""
        if self.selected is not None:
            change_pin(self.engine_app, self.selected)

    def action_validate(self) -> None:
        """Read one copy, or all of them, to the last byte."""
        if self.selected is not None:
            ask_validate(self.engine_app, self.selected)

    def action_rehearse(self) -> None:
        """Restore one copy, or the first good one, into a throw-away database; first ask where."""
        if self.selected is not None:
            ask_rehearse(self.engine_app, self.selected)

    def action_mark(self) -> None:
        """Record that somebody restored it by hand."""
        if self.selected is not None:
            self.app.push_screen(MarkRestoredScreen(self.selected))

    def action_delete(self) -> None:
        """Delete one copy, or all of them, after a question."""
        if self.selected is not None:
            ask_delete(self.engine_app, self.selected)
