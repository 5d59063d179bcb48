"""Watching for a dump that waits for somebody's lock: the dump programs themselves would wait for a day."""

import threading
from collections.abc import Callable

from dgtui.engine.child import printable
from dgtui.engine.datasources.mysql_connection import Access, Session
from dgtui.engine.errors import DataGuardianError
from dgtui.engine.threads import Thread

_LOOK_EVERY_SECONDS = 1.0
_BLOCKED = """
SELECT ID, TIME, INFO FROM information_schema.PROCESSLIST
WHERE ID > %s AND USER = SUBSTRING_INDEX(USER(), '@', 1) AND STATE LIKE 'Waiting for%%lock' AND TIME >= %s
AND INFO REGEXP '(?i)^(SHOW |SELECT .{0,3}40001 SQL_NO_CACHE|SELECT .*information_schema)'
"""
_HOLDERS = """
SELECT ID, USER, COMMAND FROM information_schema.PROCESSLIST
WHERE ID NOT IN (%s, CONNECTION_ID()) AND DB = %s AND STATE NOT LIKE 'Waiting for%%lock' ORDER BY TIME DESC LIMIT 1
"""


class LockWatch:
    """Looks once a second, with a connection of its own, whether the dump stands at a lock."""

    def __init__(self, access: Access, after_connection: int, give_up: Callable[[str], None]) -> None:
        """`after_connection` is a connection older than the dump's; `give_up` is called once, with the reason."""
        self._access = access
        self._after = after_connection
        self._give_up = give_up
        self._ended = threading.Event()
        self._thread = Thread(target=self._watch, name="lock watch", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Look no more; may be called again."""
        self._ended.set()
        self._thread.join(_LOOK_EVERY_SECONDS)

    def _watch(self) -> None:
        # Where connections are few, the dump has its own by then.
        if self._ended.wait(_LOOK_EVERY_SECONDS):
            return
        try:
            with self._access.session() as session:
                while not self._ended.wait(_LOOK_EVERY_SECONDS):
                    if reason := self._look(session):
                        self._give_up(reason)
                        return
        except DataGuardianError:
            return  # the dump itself tells what is wrong with the server

    def _look(self, session: Session) -> str:
        blocked = session.rows(_BLOCKED, [self._after, int(self._access.settings.lock_timeout)])
        if not blocked:
            return ""
        connection, seconds, statement = blocked[0]
        holders = session.rows(_HOLDERS, [connection, self._access.settings.database])
        by = ", perhaps by connection {} of {} ({})".format(*holders[0]) if holders else ""
        return printable(f"The dump waited {seconds} s for a table that is locked{by}: {str(statement)[:120]}")
