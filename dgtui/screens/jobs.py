"""The jobs: what is backed up where, when, and how it went last."""

from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from dgtui.config.store import is_ours
from dgtui.engine.model import Execution
from dgtui.screens.editing import EditingScreen
from dgtui.screens.marks import execution_mark
from dgtui.screens.times import age_text
from dgtui.screens.widgets.listing import Column, Listing, Row
from dgtui.screens.widgets.styled import Lines, span
from dgtui.wording.panel import Line, Span

if TYPE_CHECKING:
    from dgtui.engine.facade import Engine

_COLUMNS = (
    Column("Job", flexible=True),
    Column("Datasource", flexible=True),
    Column("Storages", flexible=True, wide_only=True),
    Column("Schedule", flexible=True),
    Column("Enabled"),
    Column("Last result"),
)


def last_results(engine: "Engine") -> dict[str, Execution]:
    """The newest execution of each configured job."""
    found = {}
    for name in engine.config.jobs:
        newest = engine.executions(job=name, limit=1)
        if newest:
            found[name] = newest[0]
    return found


class JobsScreen(EditingScreen):
    """All jobs."""

    TAB = "jobs"
    TABLE = "jobs"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("b", "run_now", "Run now", id="job.run", tooltip="Start the selected job"),
        Binding("space", "switch", "On/off", id="job.switch", tooltip="Follow its schedule, or not"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, Execution] = {}

    def compose_content(self) -> ComposeResult:
        """The table, and below it what the selected one is for."""
        yield Listing(_COLUMNS, id="jobs", empty="No job yet: n makes one")
        yield Lines([()], id="details")

    def on_mount(self) -> None:
        """The names stand at once."""
        self._show()

    def gather(self) -> None:
        """Ask how each went last."""
        self.engine_app.ask(self, "last results", last_results, self._take, self.show_failure)

    def _take(self, last: dict[str, Execution]) -> None:
        self._last = last
        self._show()

    def _show(self) -> None:
        self.query_one("#jobs", Listing).show([self._row(name) for name in self.engine_app.config.jobs])
        self._show_details()

    def _row(self, name: str) -> Row:
        app = self.engine_app
        job, last = app.config.jobs[name], self._last.get(name)
        result: Line = (Span("never ran", "dim"),)
        if last is not None:
            when = last.finished_at or last.started_at
            result = (execution_mark(last.status, app.look), Span(f"  {age_text(when, app.clock())}"))
        return Row(
            key=name,
            cells=(
                (span(name, "strong"),),
                (span(job.datasource),),
                (span(", ".join(job.storages)),),
                (span(job.schedule or "-"),),
                (Span("yes") if job.enabled else Span("off", "warning"),),
                result,
            ),
            sort=(None, None, None, None, None, last.started_at if last is not None else None),
        )

    def on_listing_moved(self, _: Listing.Moved) -> None:
        """Tell more on the selected one."""
        self._show_details()

    def _show_details(self) -> None:
        name = self.query_one("#jobs", Listing).key
        line: Line = ()
        if name is not None:
            job, last = self.engine_app.config.jobs[name], self._last.get(name)
            dot = self.engine_app.look.glyph(" · ", " - ")
            facts = [f"to {', '.join(job.storages)}", job.backup_type, str(job.compression), job.description]
            line = (Span(" "), span(name, "strong"), span("  " + dot.join(filter(None, facts))))
            if last is not None and last.problem is not None:
                line = (*line, span(f"  {last.problem.message}", "bad"))
        self.query_one("#details", Lines).show([line])

    def on_listing_opened(self, message: Listing.Opened) -> None:
        """The backups of its datasource."""
        self.engine_app.open_backups(self.engine_app.config.job(message.key).datasource)

    def action_run_now(self) -> None:
        """Start the selected job."""
        name = self.listing.key
        if name is not None:
            self.engine_app.start(lambda engine: engine.start_job(name), f"Backup {name}")

    def action_switch(self) -> None:
        """Enable or disable the selected job."""
        name = self.listing.key
        if name is None or not self.engine_app.is_ready:
            return
        if not is_ours(self.engine_app.config, "jobs", name):
            origin = self.engine_app.config.origin("jobs", name)
            self.engine_app.tell(
                f"{name} was written by a person, in {origin.file}", hint="e opens it in your editor: enabled = ..."
            )
            return
        enabled = not self.engine_app.config.job(name).enabled

        def switch(engine: "Engine") -> None:
            values: dict[str, Any] = {**engine.values("jobs", name), "enabled": enabled}
            engine.save_object("jobs", name, values, new=False)

        text = f"{name} is {'enabled' if enabled else 'disabled'}"
        self.engine_app.ask(self.app, f"switch {name}", switch, lambda _: self.engine_app.config_changed(text))
