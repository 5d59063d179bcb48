"""Which run of a job or of a datasource was its last, where the clock of the machine was set back."""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from dgtui.engine.catalog import tables
from dgtui.engine.catalog.database import Database
from dgtui.engine.catalog.past import past_executions
from dgtui.engine.catalog.rows import executions_of
from dgtui.engine.model import ENDED, RESTORABLE, UNDER_WAY, Execution

_LEFT_NOTHING = sorted((ENDED | UNDER_WAY) - RESTORABLE)
_LOOKED_AT_ONCE = 50


def newest_backup(database: Database, datasource: str, statuses: Collection[str]) -> Execution | None:
    """The backup of a datasource that was begun last of those that stand like this, whatever the clock said.

    Those saved before a restore do not count.
    """
    executions = tables.executions.c
    # An index has these numbers alone; in one question, SQLite would read every row to put them in order.
    numbers = sa.select(executions.sequence).where(executions.datasource == datasource)
    numbers = numbers.order_by(executions.sequence.desc()).limit(_LOOKED_AT_ONCE)
    chosen = sa.select(tables.executions).where(executions.status.in_(sorted(statuses)), executions.purpose == "backup")
    with database.transaction() as connection:
        few = connection.scalars(numbers).all()
        while few:
            query = chosen.where(executions.sequence.in_(few)).order_by(executions.sequence.desc()).limit(1)
            if found := executions_of(connection, query):
                return found[0]
            few = connection.scalars(numbers.where(executions.sequence < few[-1])).all()
    return None


def last_ids(jobs: Sequence[str], *chosen: sa.ColumnElement[bool]) -> sa.Select[tuple[Any]]:
    """The id of the newest chosen execution of each of these jobs.

    None of before the last run that left no backup counts, whatever the clock said then: such a run was begun here, so
    that the sequence is its order. Among those since then it is the time that counts, since a scan may have learned
    backups of long ago only now.
    """
    executions = tables.executions.c
    wanted = _names(jobs)
    # Read once for all jobs: no index tells it of one.
    floors = (
        sa.select(executions.job, sa.func.max(executions.sequence).label("sequence"))
        .where(executions.status.in_(_LEFT_NOTHING), *chosen)
        .group_by(executions.job)
        .cte("floors")
    )
    newest = (
        sa.select(executions.execution_id)
        .where(
            executions.job == wanted.c.value,
            executions.sequence >= sa.func.coalesce(floors.c.sequence, 0),
            *chosen,
        )
        .order_by(executions.started_at.desc(), executions.sequence.desc())
        .limit(1)
        .correlate(wanted, floors)
        .scalar_subquery()
    )
    return sa.select(newest).select_from(wanted.outerjoin(floors, floors.c.job == wanted.c.value))


def last_past_ids(jobs: Sequence[str], *chosen: sa.ColumnElement[bool]) -> sa.Select[tuple[Any]]:
    """The same of those that are gone, of which only the time is known."""
    past, wanted = past_executions.c, _names(jobs)
    newest = sa.select(past.execution_id).where(past.job == wanted.c.value, *chosen)
    newest_id = newest.order_by(past.started_at.desc()).limit(1).correlate(wanted).scalar_subquery()
    return sa.select(newest_id).select_from(wanted)


def _names(jobs: Sequence[str]) -> sa.TableValuedAlias:
    return sa.func.json_each(msgspec.json.encode(list(jobs)).decode()).table_valued("value")
