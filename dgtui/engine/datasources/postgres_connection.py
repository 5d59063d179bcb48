"""How a PostgreSQL server is reached: by psycopg for looking, by its own tools for dumping and loading."""

import contextlib
import getpass
import os
import re
import socket
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NoReturn

import msgspec

from dgtui.engine.datasources.answer import TimeLimit
from dgtui.engine.datasources.datasource_settings import ServerSettings, SettingRules
from dgtui.engine.datasources.own_names import is_loaded_into
from dgtui.engine.datasources.postgres_failures import known_failure
from dgtui.engine.datasources.postgres_names import connection_string, name_mistake
from dgtui.engine.datasources.postgres_pooling import refuse_shared_sessions
from dgtui.engine.datasources.postgres_states import failure_by_state
from dgtui.engine.datasources.server_hints import connection_hint
from dgtui.engine.errors import ConfigError, DatabaseConnectionError, DataGuardianError
from dgtui.engine.memory import out_of_memory
from dgtui.engine.threads import Timer

if TYPE_CHECKING:
    import psycopg

DEFAULT_PORT = 5432
_QUERY_SECONDS = 120.0
_LET_GO_SECONDS = 5.0
"""A busy server takes its time to let a session go."""
_BLOCK = 4096
_SESSION_SETTINGS = (
    "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET row_security = off; "
    "SET search_path = pg_catalog; SET default_transaction_read_only = off"
)

_TIMEOUTS = {"idle_session_timeout": 140000, "transaction_timeout": 170000}
"""Limits of a session that only newer servers have, and since when."""

_SINCE_LOGIN_TRIGGERS = 170000
_NO_EVENT_TRIGGERS = "-c event_triggers=off"
"""A trigger that logs who logs in would write into what was just loaded, and then has more rows than the backup."""

_AS_WHOM = """
SELECT current_user, (
    SELECT set_config('role', 'none', false) FROM pg_roles
    WHERE rolname = session_user AND rolsuper
      AND EXISTS (SELECT 1 FROM pg_db_role_setting, unnest(setconfig) AS setting WHERE setting LIKE 'role=%')
) IS NOT NULL
"""
"""A setting of a database or of the user makes sessions act as another role, which may do less than a superuser.

Others stay what they are made: they may have their rights by that role alone.
"""

DUMP_ZONE = "UTC"
"""The time zone in which dumps write times: their text is the same whatever is set where they are compared."""
_NO_MEMORY = re.compile(r"out of memory|cannot allocate memory")


class PostgresSettings(ServerSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of a PostgreSQL datasource."""

    rules: ClassVar[SettingRules] = {
        **ServerSettings.rules,
        "database": name_mistake,
        "maintenance_database": name_mistake,
    }

    maintenance_database: Annotated[
        str, msgspec.Meta(description="Database to connect to when databases are made, renamed or removed")
    ] = "postgres"


class Access:
    """A server, a user and a password."""

    def __init__(self, settings: PostgresSettings, password: str | None) -> None:
        self.settings = settings
        self._password = password
        # It would add to what is said here, and nothing could be reached where there is none of that name.
        os.environ.pop("PGSERVICE", None)
        self.host, self.port = _address(settings)
        self.tool_role: tuple[str, ...] = ()
        """What has the tools act as the superuser itself; known once a connection was open."""
        self.tool_settings: tuple[str, ...] = ()
        """What has no session of the tools ended in its midst; known once a connection was open."""
        self._acting: dict[str, str] = {}
        self._encodings: dict[str, str] = {}
        self._may_quiet = False
        """Whether it is known that event triggers can be kept from acting on our sessions."""
        self._own_sessions = False
        """Whether it is known that nobody else gets to the sessions of our connections."""

    @property
    def server(self) -> str:
        """The server as people write it."""
        return self.host if self.host.startswith("/") else f"{self.host}:{self.port}"

    @property
    def user(self) -> str:
        """Who logs in."""
        return self.settings.username or os.environ.get("PGUSER") or getpass.getuser()

    def acting(self, database: str) -> str:
        """Whose rights the sessions in a database have, as far as it is known: by a setting it is another role."""
        return self._acting.get(database, self.user)

    def encoding(self, database: str) -> str:
        """The encoding of a database, as far as it is known: a setting may ask for another one at its sessions."""
        return self._encodings.get(database, "")

    @property
    def password(self) -> str | None:
        """The password itself; it goes to the server and nowhere else."""
        return self._password

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must be blotted out of everything that is shown."""
        return (self._password,) if self._password else ()

    def conninfo(self, database: str) -> str:
        """The connection string for a tool's command line: all but the password.

        Everything is said explicitly, so that no PGHOSTADDR or service file of the caller leads elsewhere.
        """
        parameters = {
            "dbname": database,
            "host": self.host,
            "hostaddr": "",
            "port": str(self.port),
            "user": self.user,
            "sslmode": self.settings.tls,
            "target_session_attrs": "any",
            "keepalives_idle": "60",
            "keepalives_interval": "10",
            "keepalives_count": "6",
        }
        if self.settings.tls_ca:
            parameters["sslrootcert"] = self.settings.tls_ca
        return connection_string(parameters)

    def environment(self) -> dict[str, str]:
        """What the tools get in their environment; the password is nowhere else."""
        # Our own connections take it from there too where no password is configured.
        password = self._password or os.environ.get("PGPASSWORD")
        environment = {
            "PGCONNECT_TIMEOUT": str(max(2, int(self.settings.connect_timeout))),
            "PGAPPNAME": "dgtui",
            "PGOPTIONS": "",
        }
        return {**environment, "PGPASSWORD": password} if password else environment

    def open(self, database: str) -> "psycopg.Connection[Any]":
        """A connection in autocommit mode, without any timeout of the role's; raises our errors."""
        import psycopg

        patience = max(2, int(self.settings.connect_timeout))
        connection = self._login(database, patience)
        limit = TimeLimit(patience)
        try:
            # What answers a login need not go on: a server that is stopped then, or a pool that is paused.
            with limit.cutting(lambda: break_connection(connection)):
                if not self._own_sessions:
                    refuse_shared_sessions(connection, lambda: self._login(database, patience), self.server)
                    self._own_sessions = True
                connection.execute(_SESSION_SETTINGS)
                self._encodings[database] = connection.info.parameter_status("server_encoding") or ""
                server = connection.info.server_version
                superuser = connection.info.parameter_status("is_superuser") == "on"
                self._may_quiet = superuser and server >= _SINCE_LOGIN_TRIGGERS
                role, as_itself = connection.execute(_AS_WHOM).fetchall()[0]
                self._acting[database] = self.user if as_itself else role
                if as_itself:
                    self.tool_role = ("--role=none",)
                self.tool_settings = tuple(f"{name}=0" for name, since in _TIMEOUTS.items() if server >= since)
                for setting in self.tool_settings:
                    connection.execute(f"SET {setting}".encode())
        except ConfigError:
            connection.close()
            raise
        except psycopg.Error as error:
            connection.close()
            if limit.fired:
                raise limit.exceeded(self.server, "connect_timeout") from error
            self.fail(error, database)
        return connection

    def _login(self, database: str, patience: int) -> "psycopg.Connection[Any]":
        import psycopg

        try:
            return psycopg.connect(
                self.conninfo(database),
                password=self._password,
                autocommit=True,
                connect_timeout=patience,
                application_name="dgtui",
                options=_NO_EVENT_TRIGGERS if self._may_quiet and is_loaded_into(database) else "",
                client_encoding="utf8",
            )
        except psycopg.Error as error:
            self.fail(error)

    @contextlib.contextmanager
    def connect(self, database: str, *, seconds: float | None = _QUERY_SECONDS) -> Iterator["psycopg.Connection[Any]"]:
        """A connection for the block, cut off after `seconds`; errors of the connection leave it as ours."""
        import psycopg

        connection = self.open(database)
        with seen_out(connection), connection, _nothing_left(connection), _cut_off(connection, seconds):
            try:
                yield connection
            except (
                psycopg.OperationalError,
                psycopg.InternalError,
                psycopg.errors.InsufficientPrivilege,
                psycopg.errors.CharacterNotInRepertoire,
            ) as error:
                self.fail(error, database)

    def fail(self, error: "psycopg.Error", database: str | None = None) -> NoReturn:
        """Raise the error of ours that a psycopg error stands for; `database` where there was a session in one."""
        raise self._failure(error, self.user if database is None else self.acting(database)) from error

    def _failure(self, error: "psycopg.Error", acting: str) -> DataGuardianError:
        """The error of ours that a psycopg error stands for; a lost connection where it is not a known one."""
        text = str(error).strip()
        if error.sqlstate is None and _NO_MEMORY.search(text):
            # The server's own lack of it has a code.
            return out_of_memory()
        known = known_failure(text, server=self.server, user=self.user, acting=acting)
        if known is not None:
            return known
        message = text.splitlines()[0] if text else type(error).__name__
        if error.sqlstate is not None:
            return failure_by_state(error.sqlstate, message, server=self.server, user=acting)
        return DatabaseConnectionError(
            f"{self.server}: {message}", subject=self.server, hint=connection_hint(self.host, self.port)
        )


@contextlib.contextmanager
def _nothing_left(connection: "psycopg.Connection[Any]") -> Iterator[None]:
    """End a statement that the block was torn from: its server would wait for locks, and so keep others waiting."""
    import psycopg

    try:
        yield
    finally:
        if connection.info.transaction_status.name == "ACTIVE":
            with contextlib.suppress(psycopg.Error):
                connection.cancel_safe(timeout=_LET_GO_SECONDS)


@contextlib.contextmanager
def _cut_off(connection: "psycopg.Connection[Any]", seconds: float | None) -> Iterator[None]:
    """Break the connection from outside after a while: a frozen server answers no timeout of its own."""
    if seconds is None:
        yield
        return
    timer = Timer(seconds, break_connection, (connection,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextlib.contextmanager
def seen_out(connection: "psycopg.Connection[Any]") -> Iterator[None]:
    """After the block, in which a connection is closed, return only once the server has let its session go.

    It may be slower than the next program that we start, and refuses another session until then where a role has one.
    """
    with socket.socket(fileno=os.dup(connection.fileno())) as same:
        yield
        same.settimeout(_LET_GO_SECONDS)
        with contextlib.suppress(OSError):
            while same.recv(_BLOCK):
                pass


def break_connection(connection: "psycopg.Connection[Any]") -> None:
    """Cut a connection off under a thread that waits for it; that thread gets an error."""
    with contextlib.suppress(OSError, ValueError):
        if not connection.closed:
            duplicate = os.dup(connection.fileno())
            with socket.socket(fileno=duplicate) as same:
                same.shutdown(socket.SHUT_RDWR)


def _address(settings: PostgresSettings) -> tuple[str, int]:
    """Host (or socket folder) and port; a socket may be given as its folder or as the file in it."""
    if not settings.socket:
        return settings.host, settings.port or DEFAULT_PORT
    path = PurePosixPath(settings.socket)
    if path.name.startswith(".s.PGSQL."):
        return str(path.parent), settings.port or int(path.name.rpartition(".")[2])
    return str(path), settings.port or DEFAULT_PORT
