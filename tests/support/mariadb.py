"""Throw-away MariaDB servers, and with them a nasty database and a digest independent of the dump tool."""

import atexit
import contextlib
import functools
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest

from dgtui.engine.datasources.mysql import MysqlDatasource
from dgtui.engine.datasources.mysql_parts import MysqlSettings
from tests.support.mariadb_digest import mysql_digest as mysql_digest
from tests.support.mariadb_digest import quoted as quoted
from tests.support.mariadb_nasty import mysql_nasty as mysql_nasty
from tests.support.ports import free_port

_DEADLINE_SECONDS = 120.0
_PROGRAMS = ("mariadbd", "mariadb-install-db", "mariadb-dump", "mariadb")
_NOT_SYNCED = (
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-flush-method=nosync",
    "--innodb-doublewrite=OFF",
    "--sync-frm=OFF",
    "--debug-no-sync",
)
"""No test cuts the power of a server: what it wrote is there for the next start, and nothing waits for the disk."""
_FOLDERS = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


def mariadb_program(name: str) -> str | None:
    """Path of a program of MariaDB, or None."""
    return shutil.which(name, path=_FOLDERS)


def missing_mariadb() -> str:
    """Why no server can be started; empty when one can."""
    absent = [name for name in _PROGRAMS if mariadb_program(name) is None]
    return f"not installed: {', '.join(absent)} (apt-get install mariadb-server-core mariadb-client)" if absent else ""


def _owner() -> str:
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "mysql" if "mysql" in known else "nobody"


@functools.cache
def _made_data() -> Path:
    """What a server begins with: to copy it costs a tenth of what it costs to make it."""
    folder = Path(tempfile.mkdtemp(prefix="dgmy-made-", dir="/tmp"))
    atexit.register(shutil.rmtree, folder)
    scratch = folder / "tmp"
    scratch.mkdir()
    owner: list[str] = []
    if os.geteuid() == 0:
        owner = [f"--user={_owner()}"]
        for path in (folder, scratch):
            shutil.chown(path, _owner())
    install = [
        str(mariadb_program("mariadb-install-db")),
        "--no-defaults",
        f"--datadir={folder / 'data'}",
        f"--tmpdir={scratch}",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        *owner,
    ]
    subprocess.run(install, check=True, capture_output=True, cwd="/tmp")
    return folder / "data"


class MariadbServer:
    """A server of its own in a folder of its own, with `root` and no password."""

    def __init__(self, *options: str) -> None:
        """`options` are added to the server's command line."""
        self.port = free_port()
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.folder = Path(tempfile.mkdtemp(prefix="dgmy-", dir="/tmp"))
        self.socket = str(self.folder / "s.sock")
        self.scratch = self.folder / "tmp"
        """Its temporary tables: a server that starts removes those of all others in the same folder."""
        self.scratch.mkdir()
        if os.geteuid() == 0:
            shutil.chown(self.folder, _owner())
            shutil.chown(self.scratch, _owner())
        subprocess.run(["cp", "-a", str(_made_data()), str(self.folder / "data")], check=True)

    def add_options(self, *options: str) -> None:
        """Options for the next start."""
        self._options = (*self._options, *options)

    def start(self) -> None:
        """Start it, and return once it answers."""
        command = [
            str(mariadb_program("mariadbd")),
            "--no-defaults",
            f"--datadir={self.folder / 'data'}",
            f"--tmpdir={self.scratch}",
            f"--socket={self.socket}",
            f"--pid-file={self.folder / 'pid'}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--innodb-buffer-pool-size=64M",
            "--skip-name-resolve",
            *_NOT_SYNCED,
            *self._options,
        ]
        if os.geteuid() == 0:
            group = pwd.getpwnam(_owner()).pw_gid
            command = ["setpriv", f"--reuid={_owner()}", f"--regid={group}", "--clear-groups", *command]
        self.run_command(command)

    def run_command(self, command: list[str]) -> None:
        """Start the server with this command, and return once it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/tmp")
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while True:
            try:
                self.connect().close()
            except pymysql.MySQLError as error:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text()[-3000:]) from error
                time.sleep(0.02)
            else:
                return

    @property
    def pid(self) -> int:
        """Process id of the server."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """End it at once."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.send_signal(signal.SIGCONT)
                self._process.kill()
            self._process.wait()
            self._process = None

    def kill(self) -> None:
        """As when the machine dies."""
        self.stop()

    def freeze(self) -> None:
        """Stop it from answering, without closing anything."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def remove(self) -> None:
        """Stop it and delete its folder."""
        self.stop()
        shutil.rmtree(self.folder)

    def connect(self, database: str | None = None, **options: Any) -> Any:
        """A connection of PyMySQL in autocommit mode."""
        settings = {"user": "root", "charset": "utf8mb4", "autocommit": True, "ssl_disabled": True, **options}
        return pymysql.connect(host="127.0.0.1", port=self.port, database=database, connect_timeout=10, **settings)

    def execute(self, *statements: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """Run statements; the rows of the last one."""
        rows: list[tuple[Any, ...]] = []
        with self.connect(database) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
                rows = list(cursor.fetchall())
        return rows

    def create_database(self, name: str | None = None, options: str = "CHARACTER SET utf8mb4") -> str:
        """A new database; its name."""
        name = name or f"db_{secrets.token_hex(4)}"
        self.execute(f"CREATE DATABASE {quoted(name)} {options}")
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database."""
        self.execute("SET foreign_key_checks = 0", f"DROP DATABASE IF EXISTS {quoted(name)}")

    def databases(self) -> set[str]:
        """All databases but the server's own."""
        own = {"information_schema", "mysql", "performance_schema", "sys"}
        return {name for (name,) in self.execute("SHOW DATABASES")} - own

    def settings(self, database: str, **settings: Any) -> MysqlSettings:
        """Settings of a datasource on this server."""
        values = {"host": "127.0.0.1", "port": self.port, "username": "root", **settings}
        return MysqlSettings(type="mysql", database=database, **values)

    def datasource(self, database: str, password: str | None = None, **settings: Any) -> MysqlDatasource:
        """An adapter for a database on this server."""
        return MysqlDatasource("shop", self.settings(database, **settings), password)

    def config(self, database: str, name: str = "shop") -> str:
        """The TOML table of a datasource on this server."""
        escaped = database.replace("\\", "\\\\").replace('"', '\\"')
        return (
            f'[datasources.{name}]\ntype = "mysql"\nhost = "127.0.0.1"\nport = {self.port}\n'
            f'username = "root"\ndatabase = "{escaped}"\n'
        )


KEEPER = "keeper"
"""A user who may do everything in one database and the ones beside it, and nothing in the others."""


def make_keeper(server: MariadbServer, database: str) -> None:
    """Make that user; it sees what is elsewhere, so that it knows of the foreign keys there."""
    server.execute(
        f"CREATE USER IF NOT EXISTS {KEEPER}@'%'",
        f"GRANT ALL ON {quoted(database.replace('_', chr(92) + '_') + '%')}.* TO {KEEPER}@'%'",
        f"GRANT SELECT, SET USER, PROCESS ON *.* TO {KEEPER}@'%'",
    )


def as_user(config: str, user: str) -> str:
    """The same datasource for another user."""
    return config.replace('username = "root"', f'username = "{user}"')


def _running() -> Iterator[MariadbServer]:
    if reason := missing_mariadb():
        pytest.skip(reason)
    server = MariadbServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariadbServer]:
    """A server for the whole session; tests make databases of their own."""
    yield from _running()


@pytest.fixture
def mariadb(mariadb_server: MariadbServer) -> Iterator[MariadbServer]:
    """The session's server; databases and users that a test made are removed after it."""
    databases, users = mariadb_server.databases(), _users(mariadb_server)
    yield mariadb_server
    for name in mariadb_server.databases() - databases:
        mariadb_server.drop_database(name)
    for account in _users(mariadb_server) - users:
        with contextlib.suppress(pymysql.MySQLError):
            mariadb_server.execute(f"DROP USER {account}")


def _users(server: MariadbServer) -> set[str]:
    return {str(name) for (name,) in server.execute("SELECT CONCAT(QUOTE(User), '@', QUOTE(Host)) FROM mysql.user")}


@pytest.fixture
def own_mariadb() -> Iterator[MariadbServer]:
    """A server that a test may kill or freeze."""
    yield from _running()
