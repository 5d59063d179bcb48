"""What the timetable asked for: each due time of each job once, and what became of it.

A due time is claimed in the transaction that writes its execution, before any worker starts: a daemon that is killed
at whatever moment finds it again as waiting, and the same time is never claimed a second time. Where the machine
stopped its run, it gets another one in its place, once.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Literal

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from dgtui.engine.catalog import tables
from dgtui.engine.catalog.catalog import Catalog
from dgtui.engine.catalog.database import time_text
from dgtui.engine.catalog.writing import write_execution
from dgtui.engine.model import UNDER_WAY, Execution, ExecutionStatus, Problem, Record

DueState = Literal["waiting", "starting", "started", "missed", "ended"]
"""`ended` is a run that was taken from the queue before it started; `missed` one that came too late to be started."""

_KEPT = timedelta(days=800)

due_runs = sa.Table(
    "due_runs",
    tables.metadata,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("job_id", sa.String, nullable=False),
    sa.Column("job", sa.String, nullable=False),
    sa.Column("datasource", sa.String, nullable=False),
    sa.Column("due_at", sa.String, nullable=False),
    sa.Column("noticed_at", sa.String, nullable=False),
    sa.Column("state", sa.String, nullable=False, index=True),
    sa.Column("execution_id", sa.String, unique=True),
    sa.Column("stopped_execution_id", sa.String),
    sa.UniqueConstraint("job_id", "due_at"),
    sqlite_autoincrement=True,
)

timetables = sa.Table(
    "timetables",
    tables.metadata,
    sa.Column("job_id", sa.String, primary_key=True),
    sa.Column("timetable", sa.String, nullable=False),
    sa.Column("handled_until", sa.String, nullable=False),
)


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
        rows = connection.execute(sa.select(timetables)).mappings().all()
    return {row["job_id"]: msgspec.convert(_plain(row), TimetableState) for row in rows}


def save_timetable(catalog: Catalog, job_id: str, state: TimetableState) -> None:
    """Note up to when a job's timetable was acted on."""
    with catalog.transaction() as connection:
        _write_timetable(connection, job_id, state)


def begin_timetable(catalog: Catalog, job_id: str, state: TimetableState, *, ahead: datetime) -> None:
    """Begin to follow a job's timetable from a moment on; what was taken up that is due after `ahead` is due again."""
    settled = ("started", "missed", "ended")
    taken_up = sa.and_(due_runs.c.job_id == job_id, due_runs.c.due_at > time_text(ahead), due_runs.c.state.in_(settled))
    with catalog.transaction() as connection:
        connection.execute(sa.delete(due_runs).where(taken_up))
        _write_timetable(connection, job_id, state)


def forget_timetables(catalog: Catalog, job_ids: set[str]) -> None:
    """Follow the timetables of these jobs no more."""
    if job_ids:
        with catalog.transaction() as connection:
            connection.execute(sa.delete(timetables).where(timetables.c.job_id.in_(sorted(job_ids))))


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


def _thin(connection: sa.Connection, noticed_at: datetime) -> None:
    connection.execute(sa.delete(due_runs).where(due_runs.c.due_at < time_text(noticed_at - _KEPT)))


def _insert(
    connection: sa.Connection, execution: Execution, due_at: datetime, noticed_at: datetime, state: DueState
) -> bool:
    statement = insert(due_runs).values(
        job_id=execution.job_id,
        job=execution.job,
        datasource=execution.datasource,
        due_at=time_text(due_at),
        noticed_at=time_text(noticed_at),
        state=state,
        execution_id=execution.execution_id if state == "waiting" else None,
    )
    return connection.execute(statement.on_conflict_do_nothing()).rowcount == 1


def _write_timetable(connection: sa.Connection, job_id: str, state: TimetableState) -> None:
    values = {
        "job_id": job_id,
        "timetable": state.timetable,
        "handled_until": time_text(state.handled_until),
    }
    statement = insert(timetables).values(**values)
    connection.execute(statement.on_conflict_do_update(index_elements=["job_id"], set_=values))


def queued_runs(catalog: Catalog) -> list[QueuedRun]:
    """All that wait for their turn, or were being started, in the order in which they will have it."""
    query = sa.select(due_runs).where(due_runs.c.state.in_(["waiting", "starting"])).order_by(due_runs.c.sequence)
    with catalog.transaction() as connection:
        return [msgspec.convert(_plain(row), QueuedRun) for row in connection.execute(query).mappings()]


def undecided_runs(catalog: Catalog) -> list[UndecidedRun]:
    """The runs that may have to be made again: each the newest one of its job, and the first one of its due time."""
    executions = tables.executions
    later = executions.alias()
    is_newest = ~(
        sa.select(later.c.sequence)
        .where(
            later.c.job_id == executions.c.job_id,
            later.c.sequence > executions.c.sequence,
            later.c.purpose == "backup",
        )
        .exists()
    )
    query = (
        sa.select(
            due_runs.c.execution_id, due_runs.c.job_id, due_runs.c.due_at, executions.c.finished_at.label("stopped_at")
        )
        .join(executions, executions.c.execution_id == due_runs.c.execution_id)
        .where(
            executions.c.status.in_([*sorted(UNDER_WAY), "interrupted"]),
            # Nearly all have this state, and few executions one of those: the index to begin with is theirs.
            sa.func.likely(due_runs.c.state == "started"),
            due_runs.c.stopped_execution_id.is_(None),
            is_newest,
        )
        .order_by(due_runs.c.sequence)
    )
    with catalog.transaction() as connection:
        return [msgspec.convert(_plain(row), UndecidedRun) for row in connection.execute(query).mappings()]


def claim_again(catalog: Catalog, execution: Execution, stopped_execution_id: str) -> bool:
    """Have a run that the machine stopped wait again, as another execution. False where it was made again before."""
    statement = sa.update(due_runs).where(
        due_runs.c.execution_id == stopped_execution_id,
        due_runs.c.state == "started",
        due_runs.c.stopped_execution_id.is_(None),
    )
    values = {
        "state": "waiting",
        "execution_id": execution.execution_id,
        "stopped_execution_id": stopped_execution_id,
    }
    with catalog.transaction() as connection:
        claimed = connection.execute(statement.values(**values)).rowcount == 1
        if claimed:
            write_execution(connection, execution)
    return claimed


def stopped_before(catalog: Catalog, execution_ids: Iterable[str]) -> dict[str, str]:
    """Those of the executions that are made again, each with the one that the machine stopped."""
    query = sa.select(due_runs.c.execution_id, due_runs.c.stopped_execution_id).where(
        due_runs.c.execution_id.in_(list(execution_ids)), due_runs.c.stopped_execution_id.is_not(None)
    )
    with catalog.transaction() as connection:
        return {str(made): str(stopped) for made, stopped in connection.execute(query)}


def missed_runs(catalog: Catalog, since: datetime) -> list[MissedRun]:
    """Runs that were due since a moment and never came."""
    query = sa.select(due_runs).where(due_runs.c.state == "missed", due_runs.c.due_at >= time_text(since))
    with catalog.transaction() as connection:
        rows = connection.execute(query.order_by(due_runs.c.due_at)).mappings().all()
    return [msgspec.convert(_plain(row), MissedRun) for row in rows]


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


def _plain(row: sa.RowMapping) -> dict[str, str | None]:
    return {str(name): value for name, value in row.items()}


def _move(connection: sa.Connection, execution_id: str, old: tuple[DueState, ...], new: DueState) -> bool:
    statement = sa.update(due_runs).where(due_runs.c.execution_id == execution_id, due_runs.c.state.in_(old))
    return connection.execute(statement.values(state=new)).rowcount == 1
