"""What is known of the runs that wait: what for, and until when a daemon was there to start them."""

import contextlib
import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Literal

from dgtui.config import JobSettings
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.due_runs import QueuedRun, end_waiting_run, move_due_run
from dgtui.engine.errors import Cancelled
from dgtui.engine.guardian.duty import DutyContext
from dgtui.engine.model import Problem
from dgtui.engine.run_writer import RunWriter
from dgtui.engine.runs import RunPaths
from dgtui.engine.timetable import Timetable

ON_TIME = timedelta(minutes=1)
"""A run that begins so little later than it should is not one that was missed."""


class WaitingRuns:
    """Tells in the log of each run that waits what it waits for, when it comes to be another thing, or why it ends."""

    def __init__(self, context: DutyContext) -> None:
        self._context = context
        self._told: dict[str, str] = {}

    def tell(self, run: QueuedRun, obstacle: str) -> None:
        """Say what a run waits for."""
        if self._told.get(run.execution_id) == obstacle:
            return
        self._told[run.execution_id] = obstacle
        # On a disk that takes nothing, it waits all the same.
        with (
            contextlib.suppress(OSError),
            contextlib.closing(RunWriter(self._context.paths.messages(run.execution_id))) as messages,
        ):
            messages.log(f"It waits for {obstacle}")
        self._context.log(f"{run.job}: {run.execution_id[:8]} waits for {obstacle}")

    def end(
        self, run: QueuedRun, why: str, hint: str, now: datetime, *, state: Literal["ended", "missed"] = "ended"
    ) -> None:
        """Take a run from the queue that is not to begin any more."""
        context = self._context
        problem = Problem(kind=Cancelled.__name__, message=why, subject=run.job, hint=hint)
        move_due_run(context.catalog, run.execution_id, old=("starting",), new="waiting")
        if end_waiting(context.catalog, context.paths, run.execution_id, problem, now, state=state):
            context.log(f"{run.job}: {run.execution_id[:8]} ends before it began: {why}", "warning")

    def keep(self, waiting: Iterable[QueuedRun], now: datetime) -> None:
        """Note that these still wait, and that a daemon is there to start them; others are forgotten."""
        ids = {run.execution_id for run in waiting}
        self._told = {execution_id: told for execution_id, told in self._told.items() if execution_id in ids}
        for execution_id in ids:
            note_seen(self._context.paths, execution_id, now)


def note_seen(paths: RunPaths, execution_id: str, now: datetime) -> None:
    """Note in the time of its log that a daemon saw a run wait: there is nothing to write that a full disk refuses."""
    with contextlib.suppress(OSError):
        os.utime(paths.messages(execution_id), (now.timestamp(), now.timestamp()))


def was_missed(
    paths: RunPaths, run: QueuedRun, job: JobSettings, timetable: Timetable, covered: datetime, now: datetime
) -> bool:
    """Whether the time of grace of a run that waits ended while no daemon was there to start it.

    `covered` is the last due time that it stands for. Where it waited for its turn beyond that time, nothing was
    missed, and a daemon that is started anew takes no run away.
    """
    try:
        seen = datetime.fromtimestamp(paths.messages(run.execution_id).stat().st_mtime, UTC)
    except OSError:
        return False
    in_time_until = timetable.starts_at(covered) + max(timedelta(seconds=job.grace), ON_TIME)
    return seen <= in_time_until < now and now - seen > ON_TIME


def end_waiting(
    catalog: Catalog,
    paths: RunPaths,
    execution_id: str,
    problem: Problem,
    now: datetime,
    *,
    state: Literal["ended", "missed"] = "ended",
) -> bool:
    """Take a run from the queue that is not to begin any more; False where it does not wait."""
    if not end_waiting_run(catalog, execution_id, "cancelled", problem, now, state=state):
        return False
    with contextlib.closing(RunWriter(paths.messages(execution_id))) as messages:
        messages.status("cancelled", problem=problem)
    return True
