"""Who may hold the tables of a MariaDB or MySQL database that were waited for in vain.

Only the sessions are seen: which of them holds what, MariaDB tells by a plugin alone.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dgtui.engine.child import printable

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


def in_use_hint(session: "Session", database: str, lock_timeout: int) -> str:
    """Who may have kept the tables for longer than the datasource allows, and what to do."""
    found = (_found(session, _IN_TRANSACTIONS, database) or _found(session, _SESSIONS, database))[:_SHOWN]
    held = f"Tables of {database} were in use for more than {lock_timeout} s"
    if not found:
        return f"{held}; end what uses them (SHOW PROCESSLIST), or raise `lock_timeout` of the datasource"
    who = " or ".join(_told(*row) for row in found)
    end = f"KILL {found[0][0]}" if len(found) == 1 else "KILL and its number"
    how = f"Wait until that has ended, or end it ({end}), or raise `lock_timeout` of the datasource"
    return f"{held}, perhaps by {who}. {how}"


def _found(session: "Session", query: str, database: str) -> Sequence[tuple[Any, ...]]:
    import pymysql

    try:
        return session.rows(query, [database])
    except pymysql.MySQLError:
        # What is wrong has been said already; who is to blame is an addition, which not every user may see.
        return ()


def _told(connection: int, user: str, command: str, seconds: int | None) -> str:
    doing = command if seconds is None else f"{command}, in a transaction for {seconds} s"
    return printable(f"connection {connection} of {user} ({doing})")
