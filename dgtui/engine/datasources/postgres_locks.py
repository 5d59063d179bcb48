"""Who holds the tables of a PostgreSQL database that a restore waited for in vain."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

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
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND l.relation = ANY(%s::oid[])
ORDER BY 1, 2
"""


def lock_hint(access: Access, database: str, oids: Sequence[int], error: "psycopg.Error") -> str:
    """Who holds these tables, and how to end that; empty where the error is none of a lock that was waited for."""
    import psycopg

    if not isinstance(error, psycopg.errors.LockNotAvailable):
        return ""
    try:
        with access.connect(database, seconds=10) as connection:
            holders = connection.execute(_HOLDERS, (list(oids),)).fetchall()
    except (psycopg.Error, DataGuardianError):
        # What is wrong has been said already; who is to blame is an addition.
        holders = []
    told = "; ".join(f"{table} is held by {who}" for table, who, _ in holders[:_SHOWN])
    ends = "; ".join(dict.fromkeys(end for _, _, end in holders[:_SHOWN] if end))
    return (
        f"{told or 'Another session held a table'}. Wait until that has ended, or end it{f': {ends};' if ends else ''} "
        "or raise `lock_timeout` of the datasource"
    )
