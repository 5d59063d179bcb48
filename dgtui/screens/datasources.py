"""The first place: every datasource, how it is, and when it was last backed up."""

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from dgtui.engine.datasources.kinds import kind_named
from dgtui.engine.health_model import STATUS_ORDER, HealthState, Watched
from dgtui.engine.model import ENDED, RESTORABLE, UNDER_WAY, Execution, Record
from dgtui.screens.copies_back import CopiesBack
from dgtui.screens.editing import EditingScreen
from dgtui.screens.looked import object_count
from dgtui.screens.marks import execution_mark, health_mark, to_come
from dgtui.screens.themes import WIDE_COLUMNS
from dgtui.screens.times import age_text, checked_text, seconds_text
from dgtui.screens.widgets.details import Details
from dgtui.screens.widgets.listing import Listing
from dgtui.screens.widgets.rows import Column, Row
from dgtui.screens.widgets.styled import span
from dgtui.wording.panel import Line, Span
from dgtui.wording.sparkline import sparkline
from dgtui.wording.words import cells, counted, known_size, size_text

if TYPE_CHECKING:
    from textual.timer import Timer

    from dgtui.engine.facade import Engine
    from dgtui.engine.glance import DatasourceCheck
    from dgtui.engine.health.view import Series

_COLUMNS = (
    Column("Name", flexible=True, enough=44),
    Column("Type", flexible=True, enough=10),
    Column("Status"),
    Column("Latency", right=True, wide_only=True, spared=1),
    Column("Checked", wide_only=True),
    Column("Last backup"),
)
_LOOK_SECONDS = 0.5


class LastBackups(Record, frozen=True):
    """The newest execution of a datasource, and the newest that left a backup."""

    newest: Execution | None = None
    backup: Execution | None = None


def last_backups(engine: "Engine") -> dict[str, LastBackups]:
    """For each configured datasource; what a restore saved before it is no backup to go back to unasked."""
    found = {}
    for name in engine.config.datasources:
        newest = engine.newest_backup(name, ENDED | UNDER_WAY)
        restorable = newest is None or newest.status in RESTORABLE
        backup = newest if restorable else engine.newest_backup(name, RESTORABLE)
        found[name] = LastBackups(newest=newest, backup=backup)
    return found


class DatasourcesScreen(EditingScreen):
    """All datasources."""

    TAB = "datasources"
    TABLE = "datasources"
    OPENS: ClassVar[dict[str, str]] = {"datasources": "Backups"}
    NEEDS_ROW = EditingScreen.NEEDS_ROW | {"back_up", "restore", "check"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("b", "back_up", "Back up", id="datasource.back_up", tooltip="Back up the selected datasource now"),
        Binding("r", "restore", "Restore", id="datasource.restore", tooltip="Restore the newest backup"),
        Binding("c", "check", "Check", id="datasource.check", tooltip="Ask now whether it answers"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._backups: dict[str, LastBackups] = {}
        self._copies_back = CopiesBack(self, self._ask_backups)
        self._restore_wanted = ""
        """What shall be restored once its backups are known."""
        self._latencies: dict[str, tuple[datetime | None, Series]] = {}
        """By name: after which check, and the latencies up to then."""
        self._looking: Timer | None = None
        self._was_narrow = False

    def compose_content(self) -> ComposeResult:
        """The table, and below it more on the selected one."""
        yield Listing(_COLUMNS, id="datasources", empty="No datasource yet: n makes one")
        yield Details(self.engine_app.look, id="details")

    def on_mount(self) -> None:
        """The names stand at once; what the engine knows follows."""
        self._show()
        # Ages grow by themselves.
        self.set_interval(60, self.show_pulse)

    def gather(self) -> None:
        """Ask for the last backups; how the datasources are comes with the pulse."""
        self._ask_backups()
        self.engine_app.guard.check_new()
        self._look_closer()

    def _ask_backups(self) -> None:
        self.engine_app.ask(self, "last backups", last_backups, self._take_backups, self.show_failure, about="all")

    def show_states(self) -> None:
        """Show how each one is now."""
        self._show()
        self._ask_copies_back()
        self._look_closer()

    def _take_backups(self, backups: dict[str, LastBackups]) -> None:
        self._backups = backups
        self._show()
        self._ask_copies_back()
        wanted, self._restore_wanted = self._restore_wanted, ""
        if wanted and wanted == self.listing.key and self.is_current:
            self.action_restore()

    def _ask_copies_back(self) -> None:
        self._copies_back.ask(known.backup for known in self._backups.values() if known.backup is not None)

    def _show(self) -> None:
        names = self.engine_app.config.datasources
        self.query_one("#datasources", Listing).show([self._row(name) for name in names])
        self._show_details()

    def on_resize(self) -> None:
        """Where there is little room, texts are shorter."""
        if self._was_narrow != self._is_narrow and self.query("#datasources"):
            self._was_narrow = self._is_narrow
            self._show()
        elif self.query("#datasources"):
            # The curve ends where the terminal does.
            self._show_details()

    @property
    def _is_narrow(self) -> bool:
        return self.size.width < WIDE_COLUMNS

    # Rows

    def _row(self, name: str) -> Row:
        app = self.engine_app
        settings, state = app.config.datasources[name], self._state(name)
        now = app.clock()
        latency = state.latency_seconds if settings.enabled else None
        return Row(
            key=name,
            cells=(
                (span(name, "strong"),),
                (span(_type_label(settings.type, state.figures.product)),),
                (self._status(name),),
                (Span(seconds_text(latency)),),
                (Span(checked_text(state, now, app.look) if settings.enabled else "-"),),
                self._backup_cell(name, now),
            ),
            sort=(None, None, STATUS_ORDER.index(state.status), latency, state.checked_at, self._backup_time(name)),
        )

    def _state(self, name: str) -> HealthState:
        return self.engine_app.guard.pulse.state(Watched(kind="datasource", name=name))

    def _status(self, name: str) -> Span:
        app = self.engine_app
        if not app.config.datasources[name].enabled:
            return Span("off", "dim")
        if app.guard.is_checking(Watched(kind="datasource", name=name)):
            return Span("checking", "dim")
        return health_mark(self._state(name).status, app.look, word=True)

    def _backup_time(self, name: str) -> datetime | None:
        backup = self._backups.get(name, LastBackups()).backup
        return backup.started_at if backup is not None else None

    def _backup_cell(self, name: str, now: datetime) -> Line:
        known = self._backups.get(name)
        if known is None:
            return (to_come(self.engine_app.look),)
        failed: Line = ()
        newest = known.newest
        if newest is not None and newest.status not in (*RESTORABLE, "queued", "running"):
            failed = (Span("  "), execution_mark(newest.status, self.engine_app.look))
        if known.backup is None:
            return (Span("never", "bad"), *failed)
        copies = known.backup.copies
        there = sum(copy.status == "available" for copy in copies)
        dot = self.engine_app.look.glyph("·", "-")
        age, of = age_text(known.backup.started_at, now), " of "
        if self._is_narrow:
            age, of = age.removesuffix(" ago"), "/"
        return (
            Span(f"{age} {dot} {known_size(known.backup.total_size_bytes)} {dot} "),
            Span(f"{there}{of}{len(copies)}", "" if there == len(copies) else "warning"),
            *failed,
        )

    # The selected one

    def on_listing_moved(self, _: Listing.Moved) -> None:
        """Show more on the selected one; whoever only passes by asks no server anything."""
        self._show_details()
        if self._looking is not None:
            self._looking.stop()
        self._looking = self.set_timer(_LOOK_SECONDS, self._look_closer)

    def _show_details(self) -> None:
        name = self.query_one("#datasources", Listing).key
        lines: list[Line] = []
        if name is not None and name in self.engine_app.config.datasources:
            lines = self._details(name)
            self._ask_latencies(name)
        self.query_one("#details", Details).show(lines)

    def _details(self, name: str) -> list[Line]:
        app, state, look = self.engine_app, self._state(name), self.engine_app.looks.get(name)
        start: Line = (Span(" "), span(name, "strong"), Span("  "))
        settings = app.config.datasources[name]
        if state.checked_at is None or not settings.enabled:
            return [(*start, span(settings.description, "dim")), ()]
        if state.message:
            style = "bad" if state.failures else "warning"
            since = Span(f" ({age_text(state.checked_at, app.clock())})", "dim")
            told: Line = (*start, span(state.message, style), since)
            arrow = app.look.glyph("→", "->")
            hint: Line = (span(f" {arrow} {state.hint}" if state.hint else "", "dim"),)
            beside = self._with_latencies(name, hint)
            return [told, beside] if beside != hint else [told, hint, self._with_latencies(name, (Span(" "),))]
        figures = state.figures
        connections, size = figures.connection_count, figures.size_bytes
        facts = [
            figures.product or (look.product if look is not None else ""),
            counted(connections, "connections") if connections is not None else "",
            object_count(look, settings.type) if look is not None else "",
            size_text(size) if size is not None else "",
        ]
        dot = app.look.glyph(" · ", " - ")
        first = (*start, span(dot.join(filter(None, facts))))
        odd = span("  ".join(look.warnings) if look is not None else "", "warning")
        if not self._is_narrow:
            return [self._with_latencies(name, first), (Span(" "), odd)]
        checked = f" {seconds_text(state.latency_seconds)}, checked {checked_text(state, app.clock(), app.look)}  "
        return [first, self._with_latencies(name, (Span(checked, "dim"), odd))]

    def _with_latencies(self, name: str, line: Line) -> Line:
        """At the right the last day's latencies, where there is room."""
        bars = sparkline(self._latencies.get(name, (None, ()))[1], self.engine_app.look)
        used, width = sum(cells(piece.text) for piece in line), self.size.width
        for label in ("latency, 24 h  ", "24 h "):
            room = width - used - cells(label) - cells(bars) - 2
            if bars and room >= 1:
                return (*line, Span(" " * room), Span(label, "dim"), Span(bars), Span(" "))
        return line

    def _ask_latencies(self, name: str) -> None:
        checked_at = self._state(name).checked_at
        if checked_at is None or self._latencies.get(name, (None, ()))[0] == checked_at:
            return

        def take(found: "dict[str, Series]") -> None:
            self._latencies[name] = (checked_at, found.get(name, ()))
            self._show_details()

        self.engine_app.ask(self, "latencies", lambda engine: engine.health.latencies(name=name), take)

    def _look_closer(self) -> None:
        """Count what is in the selected one, and see what is odd about it; no whole tree is walked through for that."""
        app, name = self.engine_app, self.query_one("#datasources", Listing).key
        settings = app.config.datasources.get(name or "")
        if name is None or settings is None or not settings.enabled or settings.counted_by_walking:
            return
        if name not in app.looks and self._state(name).result == "ok" and not app.asking.is_asked(f"look {name}"):
            app.ask(self, f"look {name}", lambda engine: engine.check_datasource(name), self._take_look, slow=True)

    def _take_look(self, look: "DatasourceCheck") -> None:
        self.engine_app.looks[look.name] = look
        self._show_details()

    # Keys

    def on_listing_opened(self, message: Listing.Opened) -> None:
        """Its backups."""
        self.engine_app.open_backups(message.key)

    def action_check(self) -> None:
        """Ask the selected one now; the answer goes into its history."""
        if (name := self.listing.key) is not None:
            self.when_ready(lambda: self._check(name))

    def _check(self, name: str) -> None:
        if self.engine_app.config.datasources[name].enabled:
            self.engine_app.looks.pop(name, None)
            self.engine_app.guard.check(Watched(kind="datasource", name=name))
        else:
            self.engine_app.tell(f"{name} is switched off", hint="e edits it: enabled")

    def action_back_up(self) -> None:
        """Ask which job or where to."""
        if self.listing.key is not None:
            self.engine_app.back_up(self.listing.key)

    def action_restore(self) -> None:
        """Restore the newest backup of the selected one."""
        name = self.listing.key
        if name is None:
            return
        if name not in self._backups:
            # The catalogue has not answered yet, which is no reason to say that there is none.
            self._restore_wanted = name
            return
        backup = self._backups[name].backup
        if backup is None:
            self.engine_app.tell(f"{name} has no backup yet", hint="b backs it up")
        else:
            self.engine_app.restore(backup)


def _type_label(kind: str, product: str) -> str:
    """What people call the kind; where that is one of several products, the one that was found."""
    label = kind_named(kind).label
    return next((name for name in label.split("/") if product.startswith(name)), label)
