"""Runs of the timetable that the machine stopped: each due time is made again once.

A worker that a signal stopped, or that died without a word, was not cancelled: whoever cancels a run sends another
signal. So a machine that went down did it, or the system for a reason of its own; and the backup of that night is
still to be had.
"""

from datetime import datetime, timedelta

from dgtui.config import JobSettings
from dgtui.engine.catalog.due_runs import TimetableState, UndecidedRun, claim_again, undecided_runs
from dgtui.engine.guardian.duty import DutyContext
from dgtui.engine.guardian.queueing import due_text, queued_execution, write_queued
from dgtui.engine.timetable import Timetable

_LOOK_EVERY = timedelta(minutes=1)
_SETTLED = timedelta(minutes=1)
"""A machine that goes down stops workers and the daemon in any order: what begins meanwhile would be stopped too."""


class StoppedRuns:
    """Finds them, and has them wait for their turn once more."""

    def __init__(self, context: DutyContext) -> None:
        self._context = context
        self._look_at: datetime | None = None

    def next_look(self, now: datetime) -> datetime | None:
        """When to look again; None while no run of the timetable is under way or may have to be made again."""
        if self._look_at is not None and self._look_at > now + _LOOK_EVERY:
            self._look_at = now  # the clock was set back
        return self._look_at

    def expect(self, now: datetime) -> None:
        """There is a run that may have to be made again later."""
        self._look_at = now + _LOOK_EVERY

    def undecided(self) -> dict[str, UndecidedRun]:
        """The runs that may have to be made again, by the ids of their jobs."""
        self._look_at = None
        return {run.job_id: run for run in undecided_runs(self._context.catalog)}

    def make_again(
        self, run: UndecidedRun, name: str, job: JobSettings, timetable: Timetable, state: TimetableState, now: datetime
    ) -> None:
        """Have a run wait again where the machine stopped it, its time of grace is not over, and it may begin now."""
        stopped_at = run.stopped_at
        is_too_late = now - timetable.starts_at(run.due_at) > timedelta(seconds=job.grace)
        # A timetable that began anew since then catches up nothing of the past.
        if stopped_at is not None and (is_too_late or state.handled_until > stopped_at):
            return
        if stopped_at is None or now - stopped_at < _SETTLED or not timetable.may_start(now):
            self.expect(now)
            return
        execution = queued_execution(self._context.config, name, job, now)
        messages = write_queued(
            self._context.paths,
            execution,
            f"It was due at {due_text(run.due_at)} by the timetable, and runs again, "
            f"after the machine stopped it ({run.execution_id[:8]})",
        )
        if claim_again(self._context.catalog, execution, run.execution_id):
            self._context.log(f"{name}: again, after the machine stopped {run.execution_id[:8]}", "warning")
        else:
            messages.unlink(missing_ok=True)
