"""The storages: where backups lie, how much room is left, how many there are."""

from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from dgtui.engine.health_model import STATUS_ORDER, HealthState, Watched
from dgtui.engine.model import Record
from dgtui.engine.storages.base import StorageState
from dgtui.screens.editing import EditingScreen
from dgtui.screens.marks import copy_mark, health_mark, rank, to_come
from dgtui.screens.widgets.details import Details, trouble_lines
from dgtui.screens.widgets.listing import Listing
from dgtui.screens.widgets.rows import Column, Row
from dgtui.screens.widgets.styled import span
from dgtui.wording.panel import Line, Span
from dgtui.wording.states import COPY_MARKS
from dgtui.wording.words import known_size, size_text

if TYPE_CHECKING:
    from dgtui.engine.facade import Engine

_COLUMNS = (
    Column("Name", flexible=True, enough=20),
    Column("Kind", wide_only=True, spared=1),
    Column("Health"),
    Column("State"),
    Column("Free", right=True),
    Column("Of", right=True, wide_only=True, spared=1),
    Column("Expected", right=True, wide_only=True),
    Column("Backups", right=True),
    Column("Size", right=True),
)


class Usage(Record, frozen=True):
    """What the catalogue knows to lie at a storage."""

    backups: int = 0
    bytes: int = 0


def usage(engine: "Engine") -> dict[str, Usage]:
    """For each storage."""
    return {name: Usage(backups=count, bytes=size) for name, (count, size) in engine.storage_usage().items()}


class StoragesScreen(EditingScreen):
    """All storages."""

    TAB = "storages"
    TABLE = "storages"
    OPENS: ClassVar[dict[str, str]] = {"storages": "Details"}
    NEEDS_ROW = EditingScreen.NEEDS_ROW | {"test", "scan"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "test", "Test", id="storage.test", tooltip="Ask whether it can be used"),
        Binding("i", "scan", "Read in", id="storage.scan", tooltip="Read every backup that lies there into the list"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._usage: dict[str, Usage] | None = None
        """None until the catalogue has answered."""
        self._states: dict[str, StorageState] = {}
        self._checked_for: set[str] = set()
        """Those that were checked because they were seen to stand differently from what is known of their health."""

    def compose_content(self) -> ComposeResult:
        """The table, and below it where the selected one is."""
        yield Listing(_COLUMNS, id="storages", empty="No storage yet: n makes one")
        yield Details(self.engine_app.look, id="details")

    def on_mount(self) -> None:
        """The names stand at once."""
        self._show()

    def gather(self) -> None:
        """Ask the catalogue, and each storage in the background."""
        self.engine_app.ask(self, "usage", usage, self._take_usage, self.show_failure, about="all")
        for name in self.engine_app.config.storages:
            self._test(name)

    def on_screen_resume(self, _: events.ScreenResume) -> None:
        """Ask each storage anew: a disk comes and goes without anybody here being told."""
        if self.app.screen is self and self._states:
            for name in self.engine_app.config.storages:
                self._test(name)

    def _take_usage(self, found: dict[str, Usage]) -> None:
        self._usage = found
        self._show()

    def _test(self, name: str) -> None:
        self.engine_app.ask(
            self,
            f"storage {name}",
            lambda engine: engine.examine_storage(name),
            lambda state: self._take_state(name, state),
            slow=True,
        )
        self._show()

    def _take_state(self, name: str, state: StorageState) -> None:
        self._states[name] = state
        self._check_if_other(name, state)
        self._show()

    def _check_if_other(self, name: str, state: StorageState) -> None:
        """Where it is not as its last check found it, have it checked now: once, not with every look."""
        guard, subject = self.engine_app.guard, Watched(kind="storage", name=name)
        result = self._health(name).result
        if result is None or (result == "ok") == (state.status == "available"):
            self._checked_for.discard(name)
        elif name not in self._checked_for and not guard.is_checking(subject):
            self._checked_for.add(name)
            guard.check(subject)

    def _show(self) -> None:
        self.query_one("#storages", Listing).show([self._row(name) for name in self.engine_app.config.storages])
        self._show_details()

    def _row(self, name: str) -> Row:
        app = self.engine_app
        settings, state = app.config.storages[name], self._states.get(name)
        used = self._usage.get(name, Usage()) if self._usage is not None else None
        shown: Line = (copy_mark(state.status, app.look, word=True),) if state is not None else (Span("asking", "dim"),)
        health = self._health(name)
        free = state.free_bytes if state is not None else health.figures.disk_free_bytes
        total = state.total_bytes if state is not None else health.figures.disk_total_bytes
        low = free is not None and free < (health.figures.expected_bytes or 0)
        return Row(
            key=name,
            cells=(
                (span(name, "strong"),),
                (span(settings.type),),
                (self._health_cell(name),),
                shown,
                (Span(known_size(free), "warning" if low else ""),),
                (Span(known_size(total)),),
                (Span(known_size(health.figures.expected_bytes)),),
                (Span(str(used.backups)) if used is not None else to_come(app.look),),
                (Span(size_text(used.bytes)) if used is not None else to_come(app.look),),
            ),
            sort=(
                None,
                None,
                STATUS_ORDER.index(health.status),
                rank(COPY_MARKS, state.status) if state is not None else None,
                free,
                total,
                health.figures.expected_bytes,
                used.backups if used is not None else None,
                used.bytes if used is not None else None,
            ),
        )

    def _health(self, name: str) -> HealthState:
        return self.engine_app.guard.pulse.state(Watched(kind="storage", name=name))

    def _health_cell(self, name: str) -> Span:
        app = self.engine_app
        if app.guard.is_checking(Watched(kind="storage", name=name)):
            return Span("checking", "dim")
        return health_mark(self._health(name).status, app.look, word=True)

    def on_listing_moved(self, _: Listing.Moved) -> None:
        """Tell more on the selected one."""
        self._show_details()

    def _show_details(self) -> None:
        name = self.query_one("#storages", Listing).key
        known = name is not None and name in self.engine_app.config.storages
        self.query_one("#details", Details).show(self._details(name) if name is not None and known else [])

    def _details(self, name: str) -> list[Line]:
        settings = self.engine_app.config.storages[name]
        where = [settings.type, getattr(settings, "path", ""), settings.description]
        first: Line = (Span(" "), span(name, "strong"), span("  " + "  ".join(filter(None, where))))
        trouble = self._trouble(name, self._states.get(name))
        return [*trouble, first] if trouble else [first, self._room(name)]

    def on_listing_opened(self, message: Listing.Opened) -> None:
        """All there is to say of it, however little room there is below the table."""
        from dgtui.screens.text import TextScreen

        self.app.push_screen(TextScreen(f"Storage {message.key}", self._details(message.key)))

    def _trouble(self, name: str, state: StorageState | None) -> list[Line]:
        """What is not well, and what to do about it."""
        health = self._health(name)
        if state is not None and state.message:
            return trouble_lines(state.message, state.hint, "bad", self.engine_app.look)
        style = "bad" if health.status == "critical" else "warning"
        return trouble_lines(health.message, health.hint, style, self.engine_app.look)

    def _room(self, name: str) -> Line:
        """For how many of the next backups there is room."""
        health = self._health(name)
        free, expected = health.figures.disk_free_bytes, health.figures.expected_bytes
        if free is None or not expected:
            return ()
        times = free // expected
        room = f"room for them about {times:,} times" if times else "there is no room for them"
        return (Span(f" The next backups take about {size_text(expected)}; {room}", "" if times else "bad"),)

    def show_states(self) -> None:
        """Show how each one stands now."""
        self._show()

    def action_test(self) -> None:
        """Ask the selected one now."""
        name = self.listing.key
        if name is not None:
            self._states.pop(name, None)
            self._test(name)
            self.engine_app.guard.check(Watched(kind="storage", name=name))

    def action_scan(self) -> None:
        """Read what lies there into the catalogue."""
        name = self.listing.key
        if name is None:
            return
        self.engine_app.tell(f"Reading what lies at {name}")
        self.engine_app.ask(
            self.app,
            f"scan {name}",
            lambda engine: engine.scan(name),
            lambda report: self.engine_app.scanned(name, report),
            slow=True,
        )
