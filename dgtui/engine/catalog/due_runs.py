"""What the timetable asked for: each due time of each job once, and what became of it.

A due time is claimed in the transaction that writes its execution, before any worker starts: a daemon that is killed
at whatever moment finds it again as waiting, and the same time is never claimed a second time. Where the machine
stopped its run, it gets another one in its place, once.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from dgtui.engine.catalog.catalog import Catalog
from dgtui.engine.catalog.connection import Connection
from dgtui.engine.catalog.database import time_text
from dgtui.engine.catalog.statements import all_of, among, any_of, equal, words
from dgtui.engine.catalog.writing import write_execution
from dgtui.engine.model import UNDER_WAY, Execution, ExecutionStatus, Problem, Record

DueState = Literal["waiting", "starting", "started", "missed", "ended"]
"""`ended` is a run that was taken from the queue before it started; `missed` one that came too late to be started."""

_KEPT = timedelta(days=800)


class QueuedRun(Record, frozen=True):
    """A run that the timetable asked for and that waits for its turn."""

    execution_id: str
    job_id: str
    job: str
    datasource: str
    due_at: datetime
    state: DueState = "waiting"


class UndecidedRun(Record, frozen=True):
    """A run that the timetable started and that may have to be made again: under way, or stopped by the machine."""

    execution_id: str
    job_id: str
    due_at: datetime
    stopped_at: datetime | None
    """When it ended; None while it is under way."""


class MissedRun(Record, frozen=True):
    """A run that was due while no daemon ran, noticed too late to catch it up."""

    job_id: str
    job: str
    due_at: datetime
    noticed_at: datetime


class TimetableState(Record, frozen=True):
    """Up to when a job's timetable was acted on."""

    timetable: str
    """The schedule it was, with all that belongs to it."""
    handled_until: datetime


def timetable_states(catalog: Catalog) -> Mapping[str, TimetableState]:
    """How far each job's timetable was acted on, by the job's id."""
    with catalog.transaction() as connection:
        rows = connection.execute("SELECT job_id, timetable, handled_until FROM timetables").fetchall()
    return {row["job_id"]: msgspec.convert(dict(row), TimetableState) for row in rows}


def save_timetable(catalog: Catalog, job_id: str, state: TimetableState) -> None:
    """Note up to when a job's timetable was acted on."""
    with catalog.transaction() as connection:
        _write_timetable(connection, job_id, state)


def begin_timetable(catalog: Catalog, job_id: str, state: TimetableState, *, ahead: datetime) -> None:
    """Begin to follow a job's timetable from a moment on; what was taken up that is due after `ahead` is due again."""
    taken_up = "job_id = :job_id AND due_at > :ahead AND state IN ('started', 'missed', 'ended')"
    with catalog.transaction() as connection:
        connection.execute(f"DELETE FROM due_runs WHERE {taken_up}", {"job_id": job_id, "ahead": time_text(ahead)})
        _write_timetable(connection, job_id, state)


def forget_timetables(catalog: Catalog, job_ids: set[str]) -> None:
    """Follow the timetables of these jobs no more."""
    if job_ids:
        these = among("job_id", job_ids)
        with catalog.transaction() as connection:
            connection.execute(f"DELETE FROM timetables WHERE {these.text}", these.values)


def claim_due_run(
    catalog: Catalog, execution: Execution, due_at: datetime, noticed_at: datetime, state: TimetableState
) -> bool:
    """Take up a due time: its execution is written as queued. False where that due time was taken up before."""
    with catalog.transaction() as connection:
        claimed = _insert(connection, execution, due_at, noticed_at, "waiting")
        if claimed:
            write_execution(connection, execution)
            _thin(connection, noticed_at)
        _write_timetable(connection, execution.job_id, state)
    return claimed


def record_missed_run(
    catalog: Catalog, execution: Execution, due_at: datetime, noticed_at: datetime, state: TimetableState
) -> bool:
    """Record that a due time passed without a run. False where that due time was taken up before."""
    with catalog.transaction() as connection:
        recorded = _insert(connection, execution, due_at, noticed_at, "missed")
        _write_timetable(connection, execution.job_id, state)
        _thin(connection, noticed_at)
    return recorded


def _thin(connection: Connection, noticed_at: datetime) -> None:
    connection.execute("DELETE FROM due_runs WHERE due_at < :before", {"before": time_text(noticed_at - _KEPT)})


def _insert(
    connection: Connection, execution: Execution, due_at: datetime, noticed_at: datetime, state: DueState
) -> bool:
    values = {
        "job_id": execution.job_id,
        "job": execution.job,
        "datasource": execution.datasource,
        "due_at": time_text(due_at),
        "noticed_at": time_text(noticed_at),
        "state": state,
        "execution_id": execution.execution_id if state == "waiting" else None,
    }
    return connection.insert_new("due_runs", values)


def _write_timetable(connection: Connection, job_id: str, state: TimetableState) -> None:
    values = {
        "job_id": job_id,
        "timetable": state.timetable,
        "handled_until": time_text(state.handled_until),
    }
    connection.upsert("timetables", values, key="job_id")


def queued_runs(catalog: Catalog) -> list[QueuedRun]:
    """All that wait for their turn, or were being started, in the order in which they will have it."""
    query = """
        SELECT execution_id, job_id, job, datasource, due_at, state
        FROM due_runs
        WHERE state IN ('waiting', 'starting')
        ORDER BY sequence
    """
    with catalog.transaction() as connection:
        return [msgspec.convert(dict(row), QueuedRun) for row in connection.execute(query)]


def undecided_runs(catalog: Catalog) -> list[UndecidedRun]:
    """The runs that may have to be made again: each the newest one of its job, and the first one of its due time."""
    # Nearly all have the state 'started', and few executions one of those: the index to begin with is theirs.
    query = f"""
        SELECT due_runs.execution_id, due_runs.job_id, due_runs.due_at, executions.finished_at AS stopped_at
        FROM due_runs JOIN executions ON executions.execution_id = due_runs.execution_id
        WHERE executions.status IN {words([*UNDER_WAY, "interrupted"])}
        AND likely(due_runs.state = 'started')
        AND due_runs.stopped_execution_id IS NULL
        AND NOT EXISTS (
            SELECT later.sequence FROM executions AS later
            WHERE later.job_id = executions.job_id
            AND later.sequence > executions.sequence
            AND later.purpose = 'backup'
        )
        ORDER BY due_runs.sequence
    """
    with catalog.transaction() as connection:
        return [msgspec.convert(dict(row), UndecidedRun) for row in connection.execute(query)]


def claim_again(catalog: Catalog, execution: Execution, stopped_execution_id: str) -> bool:
    """Have a run that the machine stopped wait again, as another execution. False where it was made again before."""
    statement = """
        UPDATE due_runs SET state = 'waiting', execution_id = :again, stopped_execution_id = :stopped
        WHERE execution_id = :stopped AND state = 'started' AND stopped_execution_id IS NULL
    """
    values = {"again": execution.execution_id, "stopped": stopped_execution_id}
    with catalog.transaction() as connection:
        claimed = connection.execute(statement, values).rowcount == 1
        if claimed:
            write_execution(connection, execution)
    return claimed


def stopped_before(catalog: Catalog, execution_ids: Iterable[str]) -> dict[str, str]:
    """Those of the executions that are made again, each with the one that the machine stopped."""
    these = any_of("execution_id", execution_ids)
    query = f"""
        SELECT execution_id, stopped_execution_id
        FROM due_runs
        WHERE {these.text} AND stopped_execution_id IS NOT NULL
    """
    with catalog.transaction() as connection:
        return {str(made): str(stopped) for made, stopped in connection.execute(query, these.values)}


def missed_runs(catalog: Catalog, since: datetime) -> list[MissedRun]:
    """Runs that were due since a moment and never came."""
    query = """
        SELECT job_id, job, due_at, noticed_at
        FROM due_runs
        WHERE state = 'missed' AND due_at >= :since
        ORDER BY due_at
    """
    with catalog.transaction() as connection:
        rows = connection.execute(query, {"since": time_text(since)}).fetchall()
    return [msgspec.convert(dict(row), MissedRun) for row in rows]


def move_due_run(catalog: Catalog, execution_id: str, *, old: tuple[DueState, ...], new: DueState) -> bool:
    """Bring a due run from one state into another; False where it was in none of the old ones."""
    with catalog.transaction() as connection:
        return _move(connection, execution_id, old, new)


def end_waiting_run(
    catalog: Catalog,
    execution_id: str,
    status: ExecutionStatus,
    problem: Problem | None,
    at: datetime,
    *,
    state: Literal["ended", "missed"] = "ended",
) -> bool:
    """Take a waiting run from the queue for good; False where it does not wait any more."""
    execution = catalog.execution(execution_id)
    with catalog.transaction() as connection:
        moved = _move(connection, execution_id, ("waiting",), state)
        if moved and execution is not None:
            write_execution(
                connection, msgspec.structs.replace(execution, status=status, problem=problem, finished_at=at)
            )
    return moved


def _move(connection: Connection, execution_id: str, old: tuple[DueState, ...], new: DueState) -> bool:
    chosen = all_of(equal(execution_id=execution_id), among("state", old))
    statement = f"UPDATE due_runs SET state = :new {chosen.where}"
    return connection.execute(statement, {**chosen.values, "new": new}).rowcount == 1
