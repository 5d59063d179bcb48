"""How to reach a MySQL or MariaDB server: with PyMySQL for ourselves, with a private option file for its programs."""

import contextlib
import getpass
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from dgtui.engine.child import printable
from dgtui.engine.datasources.base import IDLE_SECONDS
from dgtui.engine.datasources.datasource_settings import ServerSettings
from dgtui.engine.datasources.mysql_errors import LOCK_TIMEOUT, translate_error
from dgtui.engine.datasources.mysql_holders import in_use_hint
from dgtui.engine.datasources.mysql_tls import connection_type, tls_context
from dgtui.engine.errors import AuthenticationError, BackupCreationError, DataGuardianError
from dgtui.engine.model import Record
from dgtui.engine.tools import version_numbers

if TYPE_CHECKING:
    from pymysql.connections import Connection

Flavour = Literal["mariadb", "mysql"]
DEFAULT_PORT = 3306
_LOOK_SECONDS = 60
_PROBES = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 6}
"""As for PostgreSQL; PyMySQL asks for probes, which the system would begin with after two hours."""
_NO_ROW_LIMIT = (1 << 64) - 1
_OUR_MODE = "STRICT_ALL_TABLES,ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION"
"""The rows of others are taken as they are; names come in backticks, in which definitions are read."""
_NO_NEW_ACCOUNTS = ",NO_AUTO_CREATE_USER"
"""Without it MariaDB makes the account that a right is given to where it is not there, without a password."""


class Server(Record, frozen=True):
    """Which server answered."""

    flavour: Flavour
    version: str

    @property
    def product(self) -> str:
        """Name and version as people say it."""
        return f"{'MariaDB' if self.flavour == 'mariadb' else 'MySQL'} {self.version}"

    @property
    def numbers(self) -> tuple[int, ...]:
        """The version, to compare."""
        return version_numbers(self.version)


@dataclass(frozen=True)
class Access:
    """Where a server is and who we are there."""

    settings: ServerSettings
    password: str | None = field(default=None, repr=False)
    idle_timeout: float = IDLE_SECONDS
    """How long a client may get on with nothing, unless the server is at work for it."""

    @property
    def user(self) -> str:
        """The user to log in as."""
        return self.settings.username or getpass.getuser()

    @property
    def host(self) -> str:
        """Host, or the socket's path."""
        return self.settings.socket or self.settings.host

    @property
    def port(self) -> int:
        """Port of the server."""
        return self.settings.port or DEFAULT_PORT

    def error(
        self, code: int, text: str, *, fallback: type[DataGuardianError], detail: Sequence[str] = ()
    ) -> DataGuardianError:
        """The engine's error for one of the server's."""
        known = translate_error(
            code,
            printable(text),
            user=self.user,
            host=self.host,
            port=self.port,
            database=self.settings.database,
            fallback=fallback,
            detail=detail,
        )
        if isinstance(known, AuthenticationError) and self.settings.tls == "disable":
            # Some servers, and accounts with REQUIRE SSL, tell so as if the password were wrong.
            known.hint += '. Or does it take encrypted connections alone? Then set tls = "require"'
        return known

    @contextmanager
    def session(
        self,
        *,
        endless: bool = False,
        fallback: type[DataGuardianError] = BackupCreationError,
    ) -> Iterator["Session"]:
        """A connection for a few statements, none of which takes longer than a minute.

        Whatever the server complains about inside is raised as the engine's own error, `fallback` where it means
        nothing special. An `endless` one waits for as long as nobody cuts it (see `mysql_waiting`).
        """
        import pymysql

        connection: Connection[Any] | None = None
        session: Session | None = None
        patience = self._lock_patience(endless)
        try:
            connection = self.connect(_LOOK_SECONDS)
            session = Session(connection, patience)
            if endless:
                connection._read_timeout = connection._write_timeout = None
            yield session
        except pymysql.MySQLError as error:
            code, text = (*error.args, "", "")[:2] if error.args else (0, "")
            number = code if isinstance(code, int) else 0
            message = str(text or error) or type(error).__name__
            known = self.error(number or 2013, message, fallback=fallback)
            if number == LOCK_TIMEOUT and session is not None:
                known.hint = in_use_hint(session, self.settings.database, patience)
            raise known from None
        finally:
            if connection is not None and connection.open:
                connection.close()

    def _lock_patience(self, endless: bool) -> int:
        """How many seconds a session waits for a lock: no longer than it waits for an answer."""
        patience = self.settings.lock_timeout
        return max(1, int(patience if endless else min(patience, _LOOK_SECONDS * 3 / 4)))

    def connect(
        self, patience: float, *, greeting: float | None = None, database: str | None = None
    ) -> "Connection[Any]":
        """An open connection, no answer on which may take longer than `patience` seconds.

        `greeting` is how long connecting may take, as configured where None. Raises AuthenticationError, MySQLError.
        """
        tls: dict[str, Any] = {"ssl_disabled": True} if self.settings.tls == "disable" else {}
        if self.settings.tls in ("require", "verify-ca", "verify-full"):
            verify = self.settings.tls != "require"
            tls = {"ssl": tls_context(self.settings.tls_ca, verify, self.settings.tls == "verify-full")}
        greeting = greeting or max(1, int(self.settings.connect_timeout))
        try:
            connection: Connection[Any] = connection_type()(
                user=self.user,
                password=(self.password or "").encode(),  # PyMySQL would take a text as Latin-1
                charset="utf8mb4",
                autocommit=True,
                database=database,
                connect_timeout=greeting,
                read_timeout=greeting,
                write_timeout=patience,
                **({"unix_socket": self.settings.socket} if self.settings.socket else {}),
                **({} if self.settings.socket else {"host": self.settings.host, "port": self.port}),
                **tls,
            )
            # A frozen server still accepts connections, so its greeting is waited for as briefly as the connection.
            connection._read_timeout = patience
            if not self.settings.socket:
                _keep_alive(connection._sock)
            return connection
        except RuntimeError as error:  # PyMySQL's way to say that a login method needs another package
            raise AuthenticationError(
                str(error), subject=f"{self.user}@{self.host}", hint='Use tls = "require", or another user'
            ) from None


def _keep_alive(connection: socket.socket) -> None:
    """Have the system notice within minutes that nothing comes through any more, however long an answer may take."""
    for name, value in _PROBES.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def server_of(version: str, comment: str) -> Server:
    """Which server says this of its version."""
    mariadb = "mariadb" in f"{version} {comment}".lower()
    numbers = version_numbers(version)
    return Server(
        flavour="mariadb" if mariadb else "mysql",
        version=".".join(str(part) for part in numbers) or printable(version),
    )


class Session:
    """An open connection to the server."""

    def __init__(self, connection: "Connection[Any]", lock_patience: int = _LOOK_SECONDS) -> None:
        """`lock_patience` is how many seconds a statement waits for a table that others hold."""
        self._connection = connection
        self._lock_patience = lock_patience
        self.asked = 0
        """How many statements were begun."""
        self.statement: str | None = None
        """The one that is under way."""
        self.interruptible = True
        """Whether a wait of it for locks may be cut short: not once what was ordered is done."""
        version, comment, limit = self.rows("SELECT VERSION(), @@version_comment, @@sql_select_limit")[0]
        self.server = server_of(str(version), str(comment))
        self.row_limit = int(limit) if int(limit) < _NO_ROW_LIMIT else None
        """How many rows a SELECT of another session of this user gives at most."""
        self._release_limits()

    def _release_limits(self) -> None:
        """What the server sets for an application is not meant for us: limits, and another dialect."""
        import pymysql

        mariadb = self.server.flavour == "mariadb"
        name = "max_statement_time" if mariadb else "max_execution_time"
        mode = _OUR_MODE + (_NO_NEW_ACCOUNTS if mariadb else "")
        try:
            if self.row_limit is not None:
                self.execute(f"SET SESSION sql_select_limit = {_NO_ROW_LIMIT}")
            self.execute(
                f"SET SESSION sql_big_selects = 1, SESSION sql_safe_updates = 0, SESSION sql_mode = '{mode}', "
                f"SESSION sql_quote_show_create = 1, SESSION lock_wait_timeout = {self._lock_patience}"
            )
            self.execute(f"SET SESSION {name} = 0")
            if self.server.flavour == "mysql":
                self.execute("SET SESSION information_schema_stats_expiry = 0")
        except pymysql.MySQLError as error:
            if error.args[0] != 1193:  # an older server does not know the variable, so has no such limit
                raise

    def rows(self, statement: str, arguments: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Run a statement; its rows."""
        with self._asking(statement, arguments) as cursor:
            return list(cursor.fetchall())

    def value(self, statement: str, arguments: Sequence[object] = ()) -> Any:
        """Run a statement; the first value of its first row, None where there is none."""
        rows = self.rows(statement, arguments)
        return rows[0][0] if rows else None

    def execute(self, statement: str, arguments: Sequence[object] = ()) -> None:
        """Run a statement that gives nothing back."""
        with self._asking(statement, arguments):
            pass

    def cut(self) -> None:
        """End it from another thread: who waits for an answer gets an error."""
        with contextlib.suppress(OSError, AttributeError):  # None where it is closed already
            self._connection._sock.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def _asking(self, statement: str, arguments: Sequence[object]) -> Iterator[Any]:
        with self._connection.cursor() as cursor:
            self.asked, self.statement = self.asked + 1, statement
            try:
                cursor.execute(statement, tuple(arguments) or None)
                yield cursor
            finally:
                self.statement = None
