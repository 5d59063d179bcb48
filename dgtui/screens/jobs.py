"""The jobs: what is backed up where, when, and how it went last."""

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from dgtui.engine.health_model import STATUS_ORDER, HealthState, Watched
from dgtui.engine.model import UNDER_WAY
from dgtui.screens.editing import EditingScreen
from dgtui.screens.marks import execution_mark, health_mark, to_come
from dgtui.screens.times import age_text, moment_text
from dgtui.screens.widgets.details import Details, trouble_lines
from dgtui.screens.widgets.listing import Listing
from dgtui.screens.widgets.rows import Column, Row
from dgtui.screens.widgets.styled import span
from dgtui.wording.panel import Line, Span
from dgtui.wording.states import again_text

if TYPE_CHECKING:
    from dgtui.engine.guardian.overview import JobOverview

_COLUMNS = (
    Column("Job", flexible=True, enough=20),
    Column("Datasource", flexible=True, wide_only=True, spared=1),
    Column("Storages", flexible=True, wide_only=True, spared=1),
    Column("State"),
    Column("Schedule", flexible=True, wide_only=True),
    Column("Next run"),
    Column("Last result"),
)
_AGAIN_SECONDS = 60


class JobsScreen(EditingScreen):
    """All jobs."""

    TAB = "jobs"
    TABLE = "jobs"
    OPENS: ClassVar[dict[str, str]] = {"jobs": "Backups"}
    NEEDS_ROW = EditingScreen.NEEDS_ROW | {"run_now", "switch"}
    DEFAULT_CSS = "JobsScreen.-narrow Details { height: 5; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("b", "run_now", "Run now", id="job.run", tooltip="Start the selected job"),
        Binding("space", "switch", "On/off", id="job.switch", tooltip="Follow its schedule, or not"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._jobs: dict[str, JobOverview] = {}

    def compose_content(self) -> ComposeResult:
        """The table, and below it what the selected one is for."""
        yield Listing(_COLUMNS, id="jobs", empty="No job yet: n makes one")
        yield Details(self.engine_app.look, id="details")

    def on_mount(self) -> None:
        """The names stand at once."""
        self._show()
        self.set_interval(_AGAIN_SECONDS, self._look_again)

    def _look_again(self) -> None:
        """Time passes: another run is the next one."""
        if self.app.screen is self and self.engine_app.is_ready:
            self.gather()

    def gather(self) -> None:
        """Ask how each went last, and when it runs next."""
        self.engine_app.ask(
            self, "job overviews", lambda engine: engine.job_overviews(), self._take, self.show_failure, about="all"
        )

    def _take(self, jobs: "list[JobOverview]") -> None:
        self._jobs = {job.name: job for job in jobs}
        self._show()

    def show_states(self) -> None:
        """Show how each one stands now."""
        self._show()

    def _show(self) -> None:
        self.query_one("#jobs", Listing).show([self._row(name) for name in self.engine_app.config.jobs])
        self._show_details()

    def _row(self, name: str) -> Row:
        app = self.engine_app
        job, known = app.config.jobs[name], self._jobs.get(name)
        last = known.last if known is not None else None
        result: Line = (Span("never ran", "dim") if known is not None else to_come(app.look),)
        if last is not None:
            when = last.finished_at or last.started_at
            # The catalogue learns a little later that it waits no more.
            run = app.known_run(last.execution_id) if last.status in UNDER_WAY else None
            status = run.snapshot.status if run is not None else last.status
            result = (execution_mark(status, app.look), Span(f"  {age_text(when, app.clock())}"))
        next_run = known.next_run if known is not None else None
        return Row(
            key=name,
            cells=(
                (span(name, "strong"),),
                (span(job.datasource),),
                (span(", ".join(job.storages)),),
                (self._state_cell(name),),
                (span(self._schedule(name)),),
                (
                    Span(moment_text(next_run, app.clock()) if next_run is not None else "-")
                    if known is not None
                    else to_come(app.look),
                ),
                result,
            ),
            sort=(
                None,
                None,
                None,
                STATUS_ORDER.index(self._state(name).status) if app.config.is_followed(name) else len(STATUS_ORDER),
                None,
                next_run,
                last.started_at if last is not None else None,
            ),
        )

    def _schedule(self, name: str) -> str:
        known = self._jobs.get(name)
        return (
            (known.schedule_words if known is not None else "")
            or self.engine_app.config.jobs[name].schedule
            or "by hand"
        )

    def _state(self, name: str) -> HealthState:
        return self.engine_app.guard.pulse.state(Watched(kind="job", name=name))

    def _state_cell(self, name: str) -> Span:
        if not self.engine_app.config.is_followed(name):
            return Span("off", "warning")
        return health_mark(self._state(name).status, self.engine_app.look, word=True)

    def on_listing_moved(self, _: Listing.Moved) -> None:
        """Tell more on the selected one."""
        self._show_details()

    def _show_details(self) -> None:
        name = self.query_one("#jobs", Listing).key
        lines: list[Line] = []
        rest: list[Line] = []
        if name is not None and name in self.engine_app.config.jobs:
            job, known = self.engine_app.config.jobs[name], self._jobs.get(name)
            dot = self.engine_app.look.glyph(" · ", " - ")
            zone = f"time zone {known.timezone}" if known is not None and known.timezone else ""
            last = known.last if known is not None and known.again else None
            facts = [
                again_text(last.status) if last is not None else "",
                self._schedule(name),
                f"{job.datasource} to {', '.join(job.storages)}",
                job.backup_type,
                str(job.compression),
                zone,
                f"only {job.window}" if job.window else "",
                job.description,
            ]
            first: Line = (Span(" "), span(name, "strong"), span("  " + dot.join(filter(None, facts))))
            lines, rest = self._trouble(name, known), [first]
            if last is not None:
                lines, rest = [*lines, first], []
        self.query_one("#details", Details).show(lines, rest)

    def _trouble(self, name: str, known: "JobOverview | None") -> list[Line]:
        """What is not well with it: overdue, far off its size, a copy missing, or how the last run ended."""
        config, state, last = self.engine_app.config, self._state(name), known.last if known is not None else None
        job = config.jobs[name]
        if job.enabled and not config.is_followed(name):
            told = f"Its datasource {job.datasource} is switched off: it runs by hand alone"
            hint = f"enabled = true  in [datasources.{job.datasource}]"
            return trouble_lines(told, hint, "warning", self.engine_app.look)
        if state.message and job.enabled:
            style = "bad" if state.status == "critical" else "warning"
            return trouble_lines(state.message, state.hint, style, self.engine_app.look)
        if last is not None and last.problem is not None:
            return trouble_lines(last.problem.message, last.problem.hint, "bad", self.engine_app.look)
        return []

    def on_listing_opened(self, message: Listing.Opened) -> None:
        """The backups of its datasource."""
        self.engine_app.open_backups(self.engine_app.config.job(message.key).datasource)

    def action_run_now(self) -> None:
        """Start the selected job."""
        name = self.listing.key
        if name is not None:
            self.engine_app.start(lambda engine: engine.start_job(name), f"Backup {name}")

    def action_switch(self) -> None:
        """Enable or disable the selected job; where a person wrote it, the error tells where to."""
        name = self.listing.key
        if name is None or not self.engine_app.is_ready:
            return
        enabled = not self.engine_app.config.job(name).enabled
        self.engine_app.ask(
            self.app,
            f"switch {name}",
            lambda engine: engine.switch_job(name, enabled=enabled),
            lambda _: self.engine_app.config_changed(f"{name} is {'enabled' if enabled else 'disabled'}"),
        )
