"""Telling for whom a restore waits that exchanges tables of a MariaDB or MySQL database, or replaces their rows."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress

from dgtui.engine.datasources.lock_watch import LockWatch, Wait
from dgtui.engine.datasources.mysql_connection import Access, Session
from dgtui.engine.datasources.mysql_holders import wait_of
from dgtui.engine.datasources.mysql_rename import holder_of
from dgtui.engine.errors import DataGuardianError
from dgtui.engine.reporting import Reporter


class RestoreWatch(LockWatch[Session]):
    """For a block that uses a session, or has a client replay statements."""

    def __init__(self, access: Access, database: str, reporter: Reporter, waiting: Session | str) -> None:
        """`waiting` is the session, or what the client has claimed (see `mysql_rename`)."""
        super().__init__(reporter)
        self._access = access
        self._database = database
        self._session = None if isinstance(waiting, str) else waiting
        self._claimed = waiting if isinstance(waiting, str) else ""
        self._connection = None if self._session is None else int(self._session.value("SELECT CONNECTION_ID()"))

    def _busy(self) -> bool:
        return self._session is None or self._session.statement is not None

    def _interruptible(self) -> bool:
        # Who ends a client ends what that waits for, too.
        return self._session is not None and self._session.interruptible

    @contextmanager
    def _side(self) -> Iterator[Session | None]:
        import pymysql

        with ExitStack() as stack:
            side = None
            with suppress(pymysql.MySQLError, DataGuardianError):
                connection = stack.enter_context(closing(self._access.connect(self._access.settings.connect_timeout)))
                side = Session(connection)
            yield side

    def _look(self, side: Session) -> Wait | None:
        import pymysql

        try:
            connection = self._connection or holder_of(side, self._claimed)
        except pymysql.MySQLError:
            return None
        return None if connection is None else wait_of(side, connection, self._database)

    def _interrupt(self, side: Session) -> None:
        import pymysql

        with suppress(pymysql.MySQLError):
            side.execute(f"KILL QUERY {self._connection}")
