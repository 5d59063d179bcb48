"""How many rows each table took in while it was loaded, by the server's own account.

To count them would take a restore longer than all else that follows the loading: all of them would be read once more.
The server counts what it inserts anyway (`pg_stat_get_tuples_inserted`), and nobody else writes to a database that is
being loaded. Where its number is not the one of the backup, the comparison counts the rows themselves.
"""

import time
from collections.abc import Iterable

from dgtui.engine.datasources.postgres_connection import Access
from dgtui.engine.datasources.postgres_names import table_name
from dgtui.engine.datasources.postgres_toc import TocEntry
from dgtui.engine.errors import DataGuardianError

_KEPT_IN_SHARED_MEMORY = 150000
"""The version from which a session has told all of it once it is gone; before, it was sent, and could be lost."""
_SESSION_END_SECONDS = 2.0
"""A session that a pool keeps never ends."""
_LOOK_AGAIN_SECONDS = 0.01
_OTHERS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
_INSERTED = """
SELECT nspname, relname, pg_stat_get_tuples_inserted(pg_class.oid)
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relkind = 'r'
"""


def loaded_rows(access: Access, database: str, entries: Iterable[TocEntry]) -> dict[str, int]:
    """The rows that tables took in since their database was made, by the names that an inventory gives them.

    Only of the tables whose rows are among the entries; none where the server does not know it for sure.
    """
    import psycopg

    wanted = {table_name(entry.schema, entry.tag) for entry in entries if entry.kind == "TABLE DATA"}
    try:
        with access.connect(database) as connection:
            if not wanted or connection.info.server_version < _KEPT_IN_SHARED_MEMORY:
                return {}
            # A session tells the rest of its numbers when it ends, which is a little after its client has ended.
            deadline = time.monotonic() + _SESSION_END_SECONDS
            while connection.execute(_OTHERS).fetchall()[0][0]:
                if time.monotonic() > deadline:
                    return {}
                time.sleep(_LOOK_AGAIN_SECONDS)
            rows = connection.execute(_INSERTED).fetchall()
    except (psycopg.Error, DataGuardianError):
        # It does not speak of it, as servers that only resemble PostgreSQL; the comparison counts itself then.
        return {}
    named = {table_name(schema, name): inserted for schema, name, inserted in rows}
    return {name: named[name] for name in wanted & named.keys()}
