"""Who holds the tables of a PostgreSQL database that a backup or a restore waited for in vain."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from dgtui.engine.datasources.postgres_connection import Access
from dgtui.engine.errors import DataGuardianError

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
