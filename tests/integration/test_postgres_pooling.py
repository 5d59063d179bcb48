"""A real pgbouncer in front of a server; without one installed nothing of this can be tried."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.homes import Home, wait_until
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer
from tests.support.round_trips import table, whole_backup

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed")
_SETTINGS = """
[databases]
* = host=127.0.0.1 port={port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
"""
_SESSION = (
    "SELECT current_setting('search_path'), current_setting('row_security'), current_setting('statement_timeout')"
)


@contextmanager
def _pool(server: PostgresServer, folder: Path, mode: str) -> Iterator[int]:
    assert PGBOUNCER is not None
    own = free_port()
    settings = folder / "pgbouncer.ini"
    settings.write_text(_SETTINGS.format(port=server.port, own=own, mode=mode))
    # It refuses to run as root.
    nobody = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
    with settings.open() as read:
        process = subprocess.Popen(
            [PGBOUNCER, f"/dev/fd/{read.fileno()}"],
            pass_fds=[read.fileno()], user=nobody, stderr=subprocess.DEVNULL, cwd="/",
        )  # fmt: skip

        def answers() -> bool:
            try:
                _connect(own, "postgres").close()
            except psycopg.OperationalError:
                return False
            return True

        try:
            wait_until(answers, "pgbouncer answers")
            yield own
        finally:
            process.kill()
            process.wait()


def _connect(port: int, database: str) -> psycopg.Connection[Any]:
    return psycopg.connect(host="127.0.0.1", port=port, user="postgres", dbname=database, autocommit=True)


def _configure(home: Home, port: int, database: str) -> None:
    home.configure(table("shop", type="postgres", host="127.0.0.1", port=port, username="postgres", database=database))


def test_nothing_is_set_for_others_by_a_pool_of_transactions(
    home: Home, postgres_server: PostgresServer, postgres_database: str, tmp_path: Path
) -> None:
    with _pool(postgres_server, tmp_path, "transaction") as port:
        with _connect(port, postgres_database) as connection:
            before = connection.execute(_SESSION).fetchall()
        _configure(home, port, postgres_database)
        checked = home.dgtui("check")
        assert checked.exit_code == 2, checked
        assert "is a pool that gives one session of the server to several clients" in checked.output
        health = home.dgtui("health", "--now", "--json")
        failed = home.dgtui("--run-job", "nightly")
        assert failed.exit_code != 0, failed
        assert "the server itself" in failed.errors
        with _connect(port, postgres_database) as connection:
            assert connection.execute(_SESSION).fetchall() == before, health


def test_a_pool_of_sessions_is_good_for_backups_and_named_by_a_restore(
    home: Home, postgres_server: PostgresServer, postgres_database: str, tmp_path: Path
) -> None:
    with _pool(postgres_server, tmp_path, "session") as port:
        _configure(home, port, postgres_database)
        whole_backup(home)
        failed = home.dgtui("restore", "nightly@latest", "--into", f"{postgres_database}_2", "--yes")
        assert failed.exit_code == 1, failed
        assert "is a pool of connections that a restore cannot go through" in failed.errors
        assert "the server itself" in failed.errors
    assert f"{postgres_database}_2__dgtui_new" not in postgres_server.databases()
