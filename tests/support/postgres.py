"""Throw-away PostgreSQL servers, a database with every hard feature, and a digest independent of pg_dump."""

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
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from dgtui.engine.tools import installed, search_folders, version_numbers
from tests.support.ports import free_port
from tests.support.postgres_nasty import postgres_nasty

_WELL_KNOWN = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")
_DEADLINE_SECONDS = 120.0


def postgres_binaries() -> Path | None:
    """The folder of the newest complete PostgreSQL installation, or None."""
    servers = installed(["postgres"], search_folders(None, _WELL_KNOWN))
    folders = [
        Path(tool.path).resolve().parent for tool in sorted(servers, key=lambda tool: version_numbers(tool.version))
    ]
    whole = [folder for folder in folders if all((folder / name).exists() for name in ("initdb", "pg_dump"))]
    return whole[-1] if whole else None


def _unprivileged(arguments: list[str]) -> list[str]:
    """PostgreSQL refuses to run as root: become the system's user `postgres`, or `nobody`."""
    if os.geteuid() != 0:
        return arguments
    return ["setpriv", f"--reuid={_owner()}", f"--regid={pwd.getpwnam(_owner()).pw_gid}", "--clear-groups", *arguments]


def _owner() -> str:
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _run(program: str, *arguments: str) -> None:
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    command = _unprivileged([program, *arguments])
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/tmp", env=environment)
    if done.returncode != 0:
        raise RuntimeError(f"{program}: {done.stdout}{done.stderr}")


def _own_folder(prefix: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    if os.geteuid() == 0:
        shutil.chown(folder, _owner())
    return folder


@functools.cache
def _made_cluster(binaries: Path, *more: str) -> Path:
    """A cluster that was never started: to copy it costs a sixth of what it costs to make one."""
    folder = _own_folder("dgpg-made-")
    atexit.register(shutil.rmtree, folder)
    data = folder / "data"
    arguments = ("-D", str(data), "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C", "-N", *more)
    _run(str(binaries / "initdb"), *arguments)
    # `scram` is asked of every role whose name starts with login_, so that wrong passwords can be tested.
    rules = data / "pg_hba.conf"
    rules.write_text("host all +login_group 127.0.0.1/32 scram-sha-256\n" + rules.read_text())
    return data


class PostgresServer:
    """A cluster of its own in a folder of its own, with `postgres` as superuser and no password asked."""

    def __init__(self, binaries: Path, options: tuple[str, ...] = (), making: tuple[str, ...] = ()) -> None:
        """`making` goes to initdb."""
        self.binaries = binaries
        self.port = free_port()
        self._options = options
        self.folder = _own_folder("dgpg-")
        self.data = self.folder / "data"
        _run("cp", "-a", str(_made_cluster(binaries, *making)), str(self.data))

    def _run(self, program: str, *arguments: str) -> None:
        _run(str(self.binaries / program), *arguments)

    def start(self) -> None:
        """Start it, and return once it answers."""
        settings = (
            f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off -c shared_buffers=64MB "
            "-c autovacuum=off -c max_locks_per_transaction=256"
        )
        options = " ".join((settings, *self._options))
        self._run(
            "pg_ctl", "-D", str(self.data), "-w", "-t", "120", "-l", str(self.folder / "log"), "-o", options, "start"
        )

    @property
    def pid(self) -> int:
        """Process id of the postmaster."""
        return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])

    def stop(self) -> None:
        """Stop it at once, whoever is connected."""
        if (self.data / "postmaster.pid").exists():
            self._run("pg_ctl", "-D", str(self.data), "-w", "-m", "immediate", "stop")

    def processes(self) -> list[int]:
        """The postmaster and its children."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [self.pid, *(int(child) for child in children)]

    def signal_all(self, number: signal.Signals) -> list[int]:
        """Send a signal to every process of the server, of which these are all; one that ends meanwhile needs none."""
        # It begins no others meanwhile.
        os.kill(self.pid, signal.SIGSTOP)
        wait_until(lambda: _state(self.pid) == "T", "the postmaster stands still")
        processes = self.processes()
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)
        return processes

    def kill(self) -> None:
        """As when the machine dies: no process of it is left."""
        killed = self.signal_all(signal.SIGKILL)
        # The next start is refused while one of them still has the shared memory.
        wait_until(lambda: all(_state(process) in ("Z", "") for process in killed), "the processes are gone")
        for lock in (self.data / "postmaster.pid", self.folder / f".s.PGSQL.{self.port}.lock"):
            lock.unlink(missing_ok=True)

    def remove(self) -> None:
        """Stop it and delete its folder."""
        self.stop()
        shutil.rmtree(self.folder)

    def connect(self, database: str = "postgres", user: str = "postgres", **options: Any) -> psycopg.Connection[Any]:
        """A connection in autocommit mode."""
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=user, dbname=database, autocommit=True, connect_timeout=10, **options
        )

    def execute(self, statement: Any, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement; its rows, if it has any."""
        with self.connect(database) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def create_database(self, name: str | None = None) -> str:
        """A new, empty database."""
        name = name or f"db_{secrets.token_hex(4)}"
        self.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is connected."""
        self.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def databases(self) -> set[str]:
        """The names of all databases."""
        return {row[0] for row in self.execute("SELECT datname FROM pg_database")}

    @contextmanager
    def database(self, name: str | None = None) -> Iterator[str]:
        """A database that is removed again."""
        made = self.create_database(name)
        try:
            yield made
        finally:
            self.drop_database(made)


@contextmanager
def running_server(*options: str, making: tuple[str, ...] = ()) -> Iterator[PostgresServer]:
    """A server of the caller's own, which it may kill, freeze or fill."""
    binaries = postgres_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed (Debian: apt-get install postgresql)")
    server = PostgresServer(binaries, options, making)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The session's PostgreSQL, shared: make databases in it, but do not stop it."""
    with running_server() as server:
        yield server


@pytest.fixture
def postgres_database(postgres_server: PostgresServer) -> Iterator[str]:
    """An empty database in the session's server."""
    with postgres_server.database() as name:
        yield name


@pytest.fixture(scope="session")
def postgres_nasty_database(postgres_server: PostgresServer) -> Iterator[str]:
    """A database with every hard feature; read only."""
    with postgres_server.database() as name:
        with postgres_server.connect(name) as connection:
            postgres_nasty(connection, many_tables=20, many_columns=50)
            connection.execute("ANALYZE")
        yield name


@pytest.fixture(scope="session")
def postgres_nasty_dump(
    postgres_server: PostgresServer, postgres_nasty_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An uncompressed archive of it."""
    path = tmp_path_factory.mktemp("nasty") / "backup.dump"
    command = [str(postgres_server.binaries / "pg_dump"), "-Fc", "-Z0", "-h", "127.0.0.1", "-U", "postgres"]
    subprocess.run([*command, "-p", str(postgres_server.port), "-f", str(path), postgres_nasty_database], check=True)
    return path


@pytest.fixture
def own_postgres_server() -> Iterator[PostgresServer]:
    """A server for one test, which may kill or freeze it."""
    with running_server() as server:
        yield server


def _state(process: int) -> str:
    """A process's state as one letter: `T` stands still, `Z` has ended; nothing where there is none."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def wait_until(condition: Any, what: str) -> None:
    """Poll until the condition holds; fails the test at the deadline."""
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {_DEADLINE_SECONDS:.0f} s in vain until {what}")
        time.sleep(0.02)
