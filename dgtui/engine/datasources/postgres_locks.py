"""Who holds the tables of a PostgreSQL database that a backup or a restore waits for, or waited for in vain."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from dgtui.engine.datasources.lock_watch import LockWatch, Wait
from dgtui.engine.datasources.postgres_connection import Access, seen_out
from dgtui.engine.errors import DataGuardianError
from dgtui.engine.reporting import Reporter

if TYPE_CHECKING:
    import psycopg

_SHOWN = 5
_HOLDERS = """
SELECT DISTINCT l.relation::regclass::text,
       coalesce('pid ' || l.pid, 'the prepared transaction ' || p.gid, 'another session') || ' ('
       || concat_ws(', ', coalesce(a.usename, p.owner), nullif(a.application_name, ''), a.state) || ', since '
       || coalesce(to_char(coalesce(a.xact_start, p.prepared) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS UTC'), '?')
       || ')',
       coalesce('SELECT pg_terminate_backend(' || l.pid || ')', 'ROLLBACK PREPARED ' || quote_literal(p.gid), '')
FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
     LEFT JOIN pg_locks x ON l.pid IS NULL AND x.pid IS NULL AND x.locktype = 'transactionid'
          AND x.virtualtransaction = l.virtualtransaction
     LEFT JOIN pg_prepared_xacts p ON p.transaction = x.transactionid
WHERE l.granted AND l.pid IS DISTINCT FROM pg_backend_pid() AND l.locktype = 'relation'
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) {which}
ORDER BY 1, 2
"""
_WAITS = """
SELECT CASE WHEN l.relation IS NOT NULL THEN l.relation::regclass::text
            WHEN l.classid = 'pg_database'::regclass THEN 'the database ' || d.datname ELSE 'a row' END, b.pid,
       coalesce('pid ' || a.pid, 'a prepared transaction (see pg_prepared_xacts)')
       || coalesce(' (' || concat_ws(', ', a.usename, nullif(a.application_name, ''), a.state,
                   nullif(substring(left(a.query, 60) FROM $q$^[^'"$]*$q$), '')) || ')', '')
FROM pg_stat_activity w JOIN pg_locks l ON l.pid = w.pid AND NOT l.granted
     LEFT JOIN pg_database d ON d.oid = l.objid
     LEFT JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS b(pid) ON true
     LEFT JOIN pg_stat_activity a ON a.pid = b.pid
WHERE w.pid = %s AND w.wait_event_type = 'Lock' ORDER BY a.xact_start
"""
"""What runs there is told up to its first quote: what follows may be nobody's business."""
_CHOSEN = "AND l.relation = ANY(%s::oid[])"
_UNREADABLE = "AND l.mode = 'AccessExclusiveLock' AND l.relation::regclass::text !~ '^pg_'"


class Holder(NamedTuple):
    """Who holds a table."""

    table: str
    who: str
    end: str
    """The statement that ends it; empty where there is none."""


def exclusive_holders(access: Access, database: str) -> list[Holder]:
    """Who keeps others from reading a table."""
    return _holders(access, database, _UNREADABLE)


def _holders(access: Access, database: str, which: str, *values: object) -> list[Holder]:
    import psycopg

    try:
        with access.connect(database, seconds=10) as connection:
            rows = connection.execute(_HOLDERS.format(which=which).encode(), values or None).fetchall()
    except (psycopg.Error, DataGuardianError):
        # What is wrong has been said already; who is to blame is an addition.
        return []
    return [Holder(*row) for row in rows]


def lock_hint(access: Access, database: str, oids: Sequence[int], error: "psycopg.Error") -> str:
    """Who holds these tables, and how to end that; empty where the error is none of a lock that was waited for."""
    import psycopg

    if not isinstance(error, psycopg.errors.LockNotAvailable):
        return ""
    holders = _holders(access, database, _CHOSEN, list(oids))
    told = "; ".join(f"{one.table} is held by {one.who}" for one in holders[:_SHOWN])
    return f"{told or 'Another session held a table'}. {ending(holders)}"


def ending(holders: Sequence[Holder]) -> str:
    """What to do about them."""
    ends = "; ".join(dict.fromkeys(one.end for one in holders[:_SHOWN] if one.end))
    how = f": {ends};" if ends else ""
    return f"Wait until that has ended, or end it{how} or raise `lock_timeout` of the datasource"


class PostgresLockWatch(LockWatch["psycopg.Connection[Any]"]):
    """For a block that uses a connection."""

    def __init__(
        self, access: Access, database: str, connection: "psycopg.Connection[Any]", reporter: Reporter
    ) -> None:
        """`database` is where others look from: any, or the one whose tables are waited for."""
        super().__init__(reporter)
        self._access = access
        self._database = database
        self._connection = connection
        self._process = connection.info.backend_pid

    def _busy(self) -> bool:
        return self._connection.info.transaction_status.name == "ACTIVE"

    @contextmanager
    def _side(self) -> "Iterator[psycopg.Connection[Any] | None]":
        try:
            connection = self._access.open(self._database)
        except DataGuardianError:
            yield None
            return
        with seen_out(connection), connection:
            yield connection

    def _look(self, side: "psycopg.Connection[Any]") -> Wait | None:
        import psycopg

        try:
            rows = side.execute(_WAITS, (self._process,)).fetchall()
        except psycopg.Error:
            return None
        if not rows:
            return None
        told = "; ".join(str(who) for _, _, who in rows[:_SHOWN])
        return Wait(rows[0][0], tuple(process for _, process, _ in rows), f"held by {told}")

    def _interrupt(self, side: "psycopg.Connection[Any]") -> None:
        import psycopg

        with suppress(psycopg.Error):
            side.execute("SELECT pg_cancel_backend(%s)", (self._process,))
