"""Telling whether a transaction was committed whose end nobody saw."""

import time
from typing import TYPE_CHECKING, Any, Literal

from dgtui.engine.datasources.postgres_connection import Access
from dgtui.engine.datasources.postgres_names import shown
from dgtui.engine.errors import RestoreError

if TYPE_CHECKING:
    import psycopg

_SECONDS = 60.0
_END_ITS_SESSION = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE backend_xid = (%s::int8 %% 4294967296)::text::xid AND pid <> pg_backend_pid()
"""


def transaction_mark(connection: "psycopg.Connection[Any]") -> str:
    """The number of the transaction that is under way, which no other one of the server has."""
    row = connection.execute("SELECT txid_current()::text").fetchone()
    return str(row[0]) if row is not None else ""


def settle_transaction(access: Access, database: str, mark: str) -> Literal["old", "new"]:
    """Whether the transaction of this mark was committed; one that nobody will end any more is ended.

    Raises RestoreError, DatabaseConnectionError.
    """
    deadline = time.monotonic() + _SECONDS
    with access.connect(database, seconds=_SECONDS * 2) as connection:
        while (state := _state(connection, mark)) == "in progress":
            connection.execute(_END_ITS_SESSION, (mark,))
            if time.monotonic() > deadline:
                raise RestoreError(
                    f"{shown(database)} is still being changed",
                    subject=database,
                    hint="Look at pg_stat_activity for who does so, then try again",
                )
            time.sleep(0.02)
    if state is None:
        raise RestoreError(
            f"The server does not know any more how the last restore of a part of {shown(database)} ended",
            subject=database,
            hint="It was made whole or not at all. Look at the tables, and restore again where they are not as wanted",
        )
    return "new" if state == "committed" else "old"


def _state(connection: "psycopg.Connection[Any]", mark: str) -> str | None:
    row = connection.execute("SELECT txid_status(%s::int8)", (mark,)).fetchone()
    return None if row is None or row[0] is None else str(row[0])
