"""The first place: every datasource, how it is, and when it was last backed up."""

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from dgtui.engine.model import RESTORABLE, Execution, Record
from dgtui.screens.editing import EditingScreen
from dgtui.screens.marks import TYPE_LABELS, execution_mark, health_mark
from dgtui.screens.times import age_text, latency_text
from dgtui.screens.widgets.listing import Column, Listing, Row
from dgtui.screens.widgets.styled import Lines, span
from dgtui.wording.panel import Line, Span
from dgtui.wording.words import known_size, size_text

if TYPE_CHECKING:
    from dgtui.engine.facade import Engine
    from dgtui.engine.glance import DatasourceCheck

_COLUMNS = (
    Column("Name", flexible=True),
    Column("Type", flexible=True),
    Column("Status"),
    Column("Latency", right=True, wide_only=True),
    Column("Checked", wide_only=True),
    Column("Last backup"),
)


class LastBackups(Record, frozen=True):
    """The newest execution of a datasource, and the newest that left a backup."""

    newest: Execution | None = None
    backup: Execution | None = None


def last_backups(engine: "Engine") -> dict[str, LastBackups]:
    """For each configured datasource."""
    found = {}
    for name in engine.config.datasources:
        newest = next(iter(engine.executions(datasource=name, limit=1)), None)
        kept = [newest] if newest is not None and newest.status in RESTORABLE else []
        if not kept:
            for status in RESTORABLE:
                kept += engine.executions(datasource=name, status=status, limit=1)
        found[name] = LastBackups(newest=newest, backup=max(kept, key=lambda one: one.started_at, default=None))
    return found


class DatasourcesScreen(EditingScreen):
    """All datasources."""

    TAB = "datasources"
    TABLE = "datasources"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("b", "back_up", "Back up", id="datasource.back_up", tooltip="Back up the selected datasource now"),
        Binding("r", "restore", "Restore", id="datasource.restore", tooltip="Restore the newest backup"),
        Binding("c", "check", "Check", id="datasource.check", tooltip="See whether it answers"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._backups: dict[str, LastBackups] = {}
        self._checked: set[str] = set()

    def compose_content(self) -> ComposeResult:
        """The table, and below it more on the selected one."""
        yield Listing(_COLUMNS, id="datasources", empty="No datasource yet: n makes one")
        yield Lines([()], id="details")

    def on_mount(self) -> None:
        """The names stand at once; what the engine knows follows."""
        self._show()
        self.set_interval(60, self._show)

    def gather(self) -> None:
        """Ask for the last backups, and look at every datasource that was not looked at yet."""
        self.engine_app.ask(self, "last backups", last_backups, self._take_backups, self.show_failure)
        for name, settings in self.engine_app.config.datasources.items():
            if settings.enabled and name not in self._checked:
                self._check(name)

    def _take_backups(self, backups: dict[str, LastBackups]) -> None:
        self._backups = backups
        self._show()

    def _show(self) -> None:
        names = self.engine_app.config.datasources
        self.query_one("#datasources", Listing).show([self._row(name) for name in names])
        self._show_details()

    # Rows

    def _row(self, name: str) -> Row:
        app = self.engine_app
        settings, check = app.config.datasources[name], app.checks.get(name)
        health = check.health if check is not None else "unknown"
        status: Line = (health_mark(health, app.look, word=True),)
        if not settings.enabled:
            status = (Span("off", "dim"),)
        elif app.asking.is_asked(f"check {name}"):
            status = (Span("checking", "dim"),)
        now = app.clock()
        return Row(
            key=name,
            cells=(
                (span(name, "strong"),),
                (span(TYPE_LABELS.get(settings.type, settings.type)),),
                status,
                (Span(latency_text(check)),),
                (Span(_checked_text(check, now)),),
                self._backup_cell(name, now),
            ),
            sort=(None, None, None, check.latency_seconds if check else None, None, self._backup_time(name)),
        )

    def _backup_time(self, name: str) -> datetime | None:
        backup = self._backups.get(name, LastBackups()).backup
        return backup.started_at if backup is not None else None

    def _backup_cell(self, name: str, now: datetime) -> Line:
        known = self._backups.get(name)
        if known is None:
            return (Span("…" if self.engine_app.look.unicode else "...", "dim"),)
        failed: Line = ()
        newest = known.newest
        if newest is not None and newest.status not in (*RESTORABLE, "queued", "running"):
            failed = (Span("  "), execution_mark(newest.status, self.engine_app.look))
        if known.backup is None:
            return (Span("never", "bad"), *failed)
        copies = known.backup.copies
        there = sum(copy.status == "available" for copy in copies)
        dot = self.engine_app.look.glyph("·", "-")
        return (
            Span(f"{age_text(known.backup.started_at, now)} {dot} {known_size(known.backup.total_size_bytes)} {dot} "),
            Span(f"{there} of {len(copies)}", "" if there == len(copies) else "warning"),
            *failed,
        )

    # The selected one

    def on_listing_moved(self, _: Listing.Moved) -> None:
        """Show more on the selected one."""
        self._show_details()

    def _show_details(self) -> None:
        name = self.query_one("#datasources", Listing).key
        self.query_one("#details", Lines).show([self._details(name) if name is not None else ()])

    def _details(self, name: str) -> Line:
        check = self.engine_app.checks.get(name)
        start: Line = (Span(" "), span(name, "strong"), Span("  "))
        if check is None:
            settings = self.engine_app.config.datasources.get(name)
            return (*start, span(settings.description if settings else "", "dim"))
        if check.problem is not None:
            return (*start, span(check.problem.message, "bad"), span(f"  {check.problem.hint}", "dim"))
        facts = [
            check.product,
            "" if self.size.width >= 100 else f"checked {age_text(check.checked_at, self.engine_app.clock())}",
            f"{check.client_count} connected",
            f"{check.object_count} tables" if check.product else "",
            size_text(check.size_bytes) if check.size_bytes is not None else "",
            *check.warnings,
        ]
        dot = self.engine_app.look.glyph(" · ", " - ")
        return (*start, span(dot.join(filter(None, facts))))

    # Keys

    def on_listing_opened(self, message: Listing.Opened) -> None:
        """Its backups."""
        self.engine_app.open_backups(message.key)

    def action_check(self) -> None:
        """Look at the selected one now."""
        if self.listing.key is not None and self.engine_app.is_ready:
            self._check(self.listing.key)

    def _check(self, name: str) -> None:
        self._checked.add(name)
        self.engine_app.ask(
            self, f"check {name}", lambda engine: engine.check_datasource(name), self._take_check, slow=True
        )
        self._show()

    def _take_check(self, check: "DatasourceCheck") -> None:
        self.engine_app.checks[check.name] = check
        self.show_header()
        self._show()

    def action_back_up(self) -> None:
        """Ask which job or where to."""
        if self.listing.key is not None:
            self.engine_app.back_up(self.listing.key)

    def action_restore(self) -> None:
        """Restore the newest backup of the selected one."""
        name = self.listing.key
        if name is None:
            return
        backup = self._backups.get(name, LastBackups()).backup
        if backup is None:
            self.engine_app.tell(f"{name} has no backup yet", hint="b backs it up")
        else:
            self.engine_app.restore(backup)


def _checked_text(check: "DatasourceCheck | None", now: datetime) -> str:
    if check is None:
        return "-"
    return age_text(check.checked_at, now) if check.status == "ok" else check.status.replace("_", " ")
