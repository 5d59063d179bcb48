"""Which run of a job or of a datasource was its last, where the clock of the machine was set back."""

from collections.abc import Collection, Sequence

from dgtui.engine.catalog.database import Database
from dgtui.engine.catalog.rows import executions_of
from dgtui.engine.catalog.statements import Sql, all_of, among, any_of, json_list, words
from dgtui.engine.model import ENDED, RESTORABLE, UNDER_WAY, Execution

_LEFT_NOTHING = (ENDED | UNDER_WAY) - RESTORABLE
_LOOKED_AT_ONCE = 50


def newest_backup(database: Database, datasource: str, statuses: Collection[str]) -> Execution | None:
    """The backup of a datasource that was begun last of those that stand like this, whatever the clock said.

    Those saved before a restore do not count.
    """
    # An index has these numbers alone; in one question, SQLite would read every row to put them in order.
    numbers = f"""
        SELECT sequence FROM executions WHERE datasource = :datasource AND (:before IS NULL OR sequence < :before)
        ORDER BY sequence DESC LIMIT {_LOOKED_AT_ONCE}
    """
    usable = all_of(among("status", statuses), Sql("purpose = 'backup'"))
    before = None
    with database.transaction() as connection:
        while few := connection.scalars(numbers, {"datasource": datasource, "before": before}):
            chosen = all_of(usable, any_of("sequence", few))
            newest = Sql(f"{chosen.where} ORDER BY sequence DESC LIMIT 1", chosen.values)
            if found := executions_of(connection, newest):
                return found[0]
            before = few[-1]
    return None


def last_ids(jobs: Sequence[str], chosen: Sql) -> Sql:
    """The id of the newest chosen execution of each of these jobs.

    None of before the last run that left no backup counts, whatever the clock said then: such a run was begun here, so
    that the sequence is its order. Among those since then it is the time that counts, since a scan may have learned
    backups of long ago only now.
    """
    # The floors are read once for all jobs: no index tells it of one.
    text = f"""
        WITH floors AS (
            SELECT job, max(sequence) AS sequence FROM executions
            WHERE status IN {words(_LEFT_NOTHING)} AND ({chosen.text}) GROUP BY job
        )
        SELECT (
            SELECT execution_id FROM executions
            WHERE job = wanted.value AND sequence >= coalesce(floors.sequence, 0) AND ({chosen.text})
            ORDER BY started_at DESC, sequence DESC LIMIT 1
        )
        FROM json_each(:jobs) AS wanted LEFT JOIN floors ON floors.job = wanted.value
    """
    return Sql(text, {**chosen.values, "jobs": json_list(jobs)})


def last_past_ids(jobs: Sequence[str], chosen: Sql) -> Sql:
    """The same of those that are gone, of which only the time is known."""
    text = f"""
        SELECT (
            SELECT execution_id FROM past_executions WHERE job = wanted.value AND ({chosen.text})
            ORDER BY started_at DESC LIMIT 1
        )
        FROM json_each(:jobs) AS wanted
    """
    return Sql(text, {**chosen.values, "jobs": json_list(jobs)})
