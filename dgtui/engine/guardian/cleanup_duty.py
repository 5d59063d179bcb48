"""The duty that cleans up at its own time: what no rule keeps any more, and what broken runs left."""

from datetime import datetime, timedelta

from dgtui.engine.catalog.moments import last_moment, save_moment
from dgtui.engine.cleanup import Cleanup, Scope
from dgtui.engine.guardian.duty import DutyContext
from dgtui.engine.schedules import parse_schedule
from dgtui.engine.timetable import time_zone


class CleanupDuty:
    """Runs by the schedule `cleanup` of the `[guardian]` table; a time that was missed is caught up once."""

    name = "cleanup"
    limit = timedelta(hours=12)

    def __init__(self, context: DutyContext) -> None:
        self._context = context
        self._since: datetime | None = None

    def next_due(self, now: datetime) -> datetime | None:
        """The next time of the schedule after the last run, whichever daemon did it; after the first start of all."""
        if self._since is None:
            self._since = last_moment(self._context.catalog, self.name)
            if self._since is None:
                self._keep(now)
        # Where the clock was set back, what lies ahead of it counts no more.
        self._since = min(self._since or now, now)
        return parse_schedule(self._context.config.guardian.cleanup, time_zone(None)).next_after(self._since)

    def run(self, now: datetime) -> None:
        """Clean up everywhere, and tell what was freed and what could not be removed."""
        context = self._context
        report = Cleanup(
            context.catalog, context.config, context.paths, clock=context.clock, stop=context.stopping
        ).run(Scope(), strays=True)
        # Not before: one that was killed is done once more, and removes then what it did not come to.
        self._keep(now)
        if report.removed:
            context.log(f"Cleanup: {len(report.removed)} removed, {report.freed_bytes:,} bytes freed")
        for failure in report.not_removed:
            context.log(f"Cleanup: {failure.path or failure.storage}: {failure.problem.message}", "warning")

    def _keep(self, now: datetime) -> None:
        self._since = now
        save_moment(self._context.catalog, self.name, now)
