"""Who may hold the tables of a MariaDB or MySQL database that are waited for, or were in vain.

Only the sessions are seen: which of them holds what, MariaDB tells by a plugin alone.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dgtui.engine.child import printable
from dgtui.engine.datasources.lock_watch import Wait

if TYPE_CHECKING:
    from dgtui.engine.datasources.mysql_connection import Session

_SHOWN = 3
_SESSIONS = """
SELECT p.ID, p.USER, p.COMMAND, NULL FROM information_schema.PROCESSLIST p
WHERE p.ID <> CONNECTION_ID() AND p.DB = %s AND COALESCE(p.STATE, '') NOT LIKE 'Waiting for%%lock'
ORDER BY p.TIME DESC
"""
_IN_TRANSACTIONS = """
SELECT p.ID, p.USER, p.COMMAND, TIMESTAMPDIFF(SECOND, t.trx_started, SYSDATE())
FROM information_schema.PROCESSLIST p JOIN information_schema.INNODB_TRX t ON t.trx_mysql_thread_id = p.ID
WHERE p.ID <> CONNECTION_ID() AND COALESCE(p.STATE, '') NOT LIKE 'Waiting for%%lock'
ORDER BY COALESCE(p.DB, '') = %s DESC, t.trx_started
"""
_WAITS = """
SELECT 1 FROM information_schema.PROCESSLIST WHERE ID = %s AND STATE LIKE 'Waiting for%%lock'
"""
_OF_ROWS = """
SELECT p.ID, p.USER, p.COMMAND, TIMESTAMPDIFF(SECOND, b.trx_started, SYSDATE())
FROM information_schema.INNODB_LOCK_WAITS w
JOIN information_schema.INNODB_TRX r ON r.trx_id = w.requesting_trx_id AND r.trx_mysql_thread_id = %s
JOIN information_schema.INNODB_TRX b ON b.trx_id = w.blocking_trx_id
JOIN information_schema.PROCESSLIST p ON p.ID = b.trx_mysql_thread_id
ORDER BY b.trx_started
"""
"""MariaDB tells who holds a row."""


def wait_of(session: "Session", connection: int, database: str) -> Wait | None:
    """For what a connection waits, and for whom; None where it does not, as far as may be seen."""
    if holders := _found(session, _OF_ROWS, connection):
        lock, held = f"rows of {database}", "held by "
    elif _found(session, _WAITS, connection):
        holders = _holders(session, database)
        lock, held = f"tables of {database}", "perhaps held by "
    else:
        return None
    who = " or ".join(_told(*row) for row in holders[:_SHOWN]) or "others (SHOW PROCESSLIST)"
    return Wait(lock, tuple(row[0] for row in holders), held + who)


def in_use_hint(session: "Session", database: str, lock_timeout: int) -> str:
    """Who may have kept the tables for longer than the datasource allows, and what to do."""
    found = _holders(session, database)[:_SHOWN]
    held = f"Tables of {database} were in use for more than {lock_timeout} s"
    if not found:
        return f"{held}; end what uses them (SHOW PROCESSLIST), or raise `lock_timeout` of the datasource"
    who = " or ".join(_told(*row) for row in found)
    end = f"KILL {found[0][0]}" if len(found) == 1 else "KILL and its number"
    how = f"Wait until that has ended, or end it ({end}), or raise `lock_timeout` of the datasource"
    return f"{held}, perhaps by {who}. {how}"


def _holders(session: "Session", database: str) -> Sequence[tuple[Any, ...]]:
    return _found(session, _IN_TRANSACTIONS, database) or _found(session, _SESSIONS, database)


def _found(session: "Session", query: str, argument: object) -> Sequence[tuple[Any, ...]]:
    import pymysql

    try:
        return session.rows(query, [argument])
    except pymysql.MySQLError:
        # What is wrong has been said already; who is to blame is an addition, which not every user may see.
        return ()


def _told(connection: int, user: str, command: str, seconds: int | None) -> str:
    doing = command if seconds is None else f"{command}, in a transaction for {seconds} s"
    return printable(f"connection {connection} of {user} ({doing})")
