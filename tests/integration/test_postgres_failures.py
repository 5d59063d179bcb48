"""What goes wrong with a backup of PostgreSQL is found out, and told in a way that helps."""

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from dgtui.engine.datasources import postgres_connection
from dgtui.engine.datasources.dumping import DumpOptions
from dgtui.engine.datasources.postgres_toc import read_toc
from dgtui.engine.errors import (
    AuthenticationError,
    BackupCreationError,
    ConfigError,
    DatabaseConnectionError,
    DataGuardianError,
    PermissionDenied,
    ToolTooOld,
    ValidationError,
)
from dgtui.engine.reporting import SilentReporter
from tests.integration.postgres_case import datasource, failure_of, read_all, role
from tests.support.cutting import cutting
from tests.support.homes import PATIENCE_SECONDS, Home
from tests.support.postgres import PostgresServer, wait_until
from tests.support.pump import FileArchive, check_archive, dump_to
from tests.support.round_trips import postgres_table


def test_a_cut_archive_is_found_out(postgres_nasty_dump: Path, postgres_server: PostgresServer, tmp_path: Path) -> None:
    source = datasource(postgres_server, "postgres")
    whole = postgres_nasty_dump.read_bytes()
    cut = tmp_path / "cut.dump"
    for length in (0, 1, 4, 5, 1000, len(whole) // 3, len(whole) * 6 // 10, len(whole) - 1):
        cut.write_bytes(whole[:length])
        with pytest.raises(ValidationError):
            check_archive(source, cut, tmp_path)
    cut.write_bytes(whole)
    check_archive(source, cut, tmp_path)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"PGDMX" + bytes(3_000_000), ValidationError),
        (b"-- SQL\n" * 1000, ValidationError),
        (b"PGDMP" + b"\xff" * 3_000_000, ToolTooOld),
    ],
    ids=["another mark", "SQL", "of a version that nobody knows"],
)
def test_a_foreign_archive_is_refused(
    postgres_server: PostgresServer, tmp_path: Path, content: bytes, kind: type[DataGuardianError]
) -> None:
    (tmp_path / "foreign").write_bytes(content)
    with pytest.raises(kind):
        check_archive(datasource(postgres_server, "postgres"), tmp_path / "foreign", tmp_path)
    with pytest.raises(kind):
        read_toc(FileArchive(tmp_path / "foreign").blocks())


def test_bytes_behind_the_end_do_no_harm(
    postgres_nasty_dump: Path, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    """pg_restore never reads them; what must not happen is that their writer hangs or dies."""
    longer = tmp_path / "longer.dump"
    longer.write_bytes(postgres_nasty_dump.read_bytes() + bytes(8_000_000))
    check_archive(datasource(postgres_server, "postgres"), longer, tmp_path)


def test_a_wrong_password_is_told_and_not_shown(postgres_server: PostgresServer) -> None:
    with role(postgres_server, "login_wrong", "LOGIN PASSWORD 'right' SUPERUSER"), secured(postgres_server):
        source = datasource(postgres_server, "postgres", "S3CRET", username="login_wrong")
        with pytest.raises(AuthenticationError) as caught:
            source.probe()
        assert "login_wrong" in caught.value.message
        assert "expired" in caught.value.hint
        assert "S3CRET" not in repr(caught.value) + caught.value.hint
        right = datasource(postgres_server, "postgres", "right", username="login_wrong")
        probe = right.probe()
        error = failure_of(source.open_dump(probe, DumpOptions(), SilentReporter()))
        assert isinstance(error, AuthenticationError)
        dump = right.open_dump(probe, DumpOptions(), SilentReporter())
        commands = Path(f"/proc/{dump._child.process.pid}/cmdline").read_bytes()  # type: ignore[attr-defined]
        read_all(dump)
        dump.finish()
        assert b"right" not in commands


class secured:  # noqa: N801  # reads as a word
    """Roles of the group `login_group` have to give their password."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    def __enter__(self) -> None:
        self._server.execute("CREATE ROLE login_group ROLE login_wrong")

    def __exit__(self, *_: object) -> None:
        self._server.execute("DROP ROLE login_group")


def test_a_statement_that_the_server_ends_is_no_server_that_is_down(postgres_server: PostgresServer) -> None:
    """The next step is for what happened: by the server's code for it, where its text is not known."""
    access = datasource(postgres_server, "postgres")._access
    with pytest.raises(DatabaseConnectionError) as caught, access.connect("postgres") as connection:
        connection.execute("SET statement_timeout = 1; SELECT pg_sleep(60)")
    assert "statement timeout" in caught.value.message
    assert "pg_cancel_backend" in caught.value.hint
    with pytest.raises(ConfigError) as refused, access.connect("postgres") as connection:
        connection.execute("BEGIN READ ONLY; CREATE TABLE t (i int)")
    assert "is a standby" in refused.value.hint


def test_a_stopped_server_and_a_missing_database(own_postgres_server: PostgresServer) -> None:
    with pytest.raises(ConfigError, match="no database"):
        datasource(own_postgres_server, "nowhere").probe()
    source = datasource(own_postgres_server, "postgres")
    probe = source.probe()
    own_postgres_server.stop()
    with pytest.raises(DatabaseConnectionError) as caught:
        source.probe()
    assert str(own_postgres_server.port) in caught.value.message
    error = failure_of(source.open_dump(probe, DumpOptions(), SilentReporter()))
    assert isinstance(error, DatabaseConnectionError)
    assert not isinstance(error, AuthenticationError)


def test_a_database_that_was_dropped_in_part(own_postgres_server: PostgresServer) -> None:
    """As of PostgreSQL 15.4 an interrupted DROP DATABASE leaves one that says so."""
    own_postgres_server.execute("CREATE DATABASE half")
    own_postgres_server.execute("UPDATE pg_database SET datconnlimit = -2 WHERE datname = 'half'")
    with pytest.raises(ConfigError, match="interrupted DROP DATABASE left") as caught:
        datasource(own_postgres_server, "half").probe()
    assert 'DROP DATABASE "half"; then restore' in caught.value.hint


def test_a_server_killed_during_the_dump(own_postgres_server: PostgresServer) -> None:
    own_postgres_server.execute("CREATE TABLE t AS SELECT i, repeat('x', 500) AS x FROM generate_series(1, 100000) i")
    source = datasource(own_postgres_server, "postgres")
    dump = source.open_dump(source.probe(), DumpOptions(), SilentReporter())
    assert len(os.read(dump.fd, 4096)) > 0
    own_postgres_server.kill()
    error = failure_of(dump)
    assert isinstance(error, DatabaseConnectionError)
    assert "lost" in error.message


def test_a_killed_pg_dump(postgres_server: PostgresServer) -> None:
    with postgres_server.database() as name:
        postgres_server.execute("CREATE TABLE t AS SELECT i, repeat('x', 500) x FROM generate_series(1, 50000) i", name)
        source = datasource(postgres_server, name)
        dump = source.open_dump(source.probe(), DumpOptions(), SilentReporter())
        assert len(os.read(dump.fd, 4096)) > 0
        os.killpg(dump._child.process.pid, signal.SIGKILL)  # type: ignore[attr-defined]
        error = failure_of(dump)
        assert isinstance(error, BackupCreationError)
        assert "SIGKILL" in error.message
        wait_until(lambda: not sessions(postgres_server, name), "no session is left")


def sessions(server: PostgresServer, database: str) -> list[Any]:
    """The sessions in a database."""
    return server.execute(sql.SQL("SELECT pid FROM pg_stat_activity WHERE datname = {}").format(database))


def test_a_stopped_dump_leaves_no_session(postgres_server: PostgresServer) -> None:
    with postgres_server.database() as name:
        postgres_server.execute("CREATE TABLE t AS SELECT i, repeat('x', 500) x FROM generate_series(1, 50000) i", name)
        source = datasource(postgres_server, name)
        dump = source.open_dump(source.probe(), DumpOptions(), SilentReporter())
        assert len(os.read(dump.fd, 4096)) > 0
        dump.stop()
        dump.stop()
        wait_until(lambda: not sessions(postgres_server, name), "no session is left")


def test_a_missing_right_names_the_table_and_the_grant(postgres_server: PostgresServer, tmp_path: Path) -> None:
    with role(postgres_server, "Poor reader") as reader, postgres_server.database() as name:
        postgres_server.execute('CREATE TABLE "Secret things" (i int); CREATE TABLE open (i serial)', name)
        postgres_server.execute("SELECT lo_from_bytea(4711, 'x')", name)
        source = datasource(postgres_server, name, username=reader)
        error = failure_of(source.open_dump(source.probe(), DumpOptions(), SilentReporter()))
        assert isinstance(error, PermissionDenied)
        assert error.hint.startswith("Run as its owner: GRANT SELECT ON TABLE ")
        commands = source.missing_rights()
        assert 'GRANT SELECT ON TABLE public."Secret things" TO "Poor reader";' in commands
        assert 'GRANT SELECT ON LARGE OBJECT 4711 TO "Poor reader";' in commands
        for command in commands:
            postgres_server.execute(command, name)
        assert source.missing_rights() == ()
        dump_to(source, tmp_path / "backup.dump", scratch=tmp_path)
        postgres_server.execute('ALTER TABLE open ENABLE ROW LEVEL SECURITY; REVOKE "Poor reader" FROM postgres', name)
        assert source.missing_rights() == ('ALTER ROLE "Poor reader" BYPASSRLS;',)
        error = failure_of(source.open_dump(source.probe(), DumpOptions(), SilentReporter()))
        assert isinstance(error, PermissionDenied)
        assert "BYPASSRLS" in error.hint
        postgres_server.execute('DROP OWNED BY "Poor reader"', name)


def test_a_locked_table_names_who_locks_it(postgres_server: PostgresServer) -> None:
    with postgres_server.database() as name, postgres_server.connect(name) as other:
        other.execute("CREATE TABLE busy (i int); CREATE TABLE idle (i int)")
        source = datasource(postgres_server, name, lock_timeout=1)
        probe = source.probe()
        other.execute("BEGIN; LOCK TABLE busy IN ACCESS EXCLUSIVE MODE")
        dump = source.open_dump(probe, DumpOptions(), SilentReporter())
        error = failure_of(dump)
        assert f"public.busy is locked by pid {other.info.backend_pid}" in error.message
        assert "statement timeout" not in error.message
        source.probe()
        other.execute("ROLLBACK")


def test_timeouts_of_the_role_do_not_bite(postgres_server: PostgresServer) -> None:
    """Neither our own sessions, nor a dump whose statement takes longer than they allow."""
    limits = ("statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout")
    with role(postgres_server, "hasty", "LOGIN SUPERUSER") as hasty, postgres_server.database() as name:
        postgres_server.execute("CREATE TABLE t AS SELECT i, repeat('x', 300) x FROM generate_series(1, 99000) i", name)
        for limit in limits:
            postgres_server.execute(f"ALTER ROLE hasty SET {limit} = '2s'")
        source = datasource(postgres_server, name, username=hasty)
        with source._access.connect(name) as connection:
            assert [connection.execute(f"SHOW {limit}").fetchone() for limit in limits[:2]] == [("0",)] * 2
        dump = source.open_dump(source.probe(), DumpOptions(), SilentReporter())
        assert os.read(dump.fd, 4096)
        longer = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'COPY%' AND clock_timestamp() > query_start + '3s'"
        wait_until(lambda: postgres_server.execute(longer, name), "a statement that takes longer")
        assert len(read_all(dump)) > 25_000_000
        assert [item.name for item in dump.finish().objects] == ["public.t"]
        assert source.inventory(name)[0].rows == 99_000


@pytest.mark.parametrize("limited", ["role", "database"])
def test_one_connection_is_enough_for_a_dump(postgres_server: PostgresServer, tmp_path: Path, limited: str) -> None:
    """Where no second session is allowed, the rows are not counted, and the dump is made all the same."""
    limit = "CONNECTION LIMIT 1" if limited == "role" else ""
    with role(postgres_server, "lonely", f"LOGIN {limit}") as lonely, postgres_server.database() as name:
        if limited == "database":
            postgres_server.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 1")
        postgres_server.execute("CREATE TABLE t (i int); GRANT SELECT ON t TO lonely", name)
        wait_until(lambda: not sessions(postgres_server, name), "the end of our own session")
        source = datasource(postgres_server, name, username=lonely)
        summary = dump_to(source, tmp_path / "backup.dump", scratch=tmp_path)
        assert [(item.name, item.rows_exact) for item in summary.objects] == [("public.t", False)]


def test_a_session_is_over_for_the_server_too_before_the_next_one(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server takes its time to let one go, and counts it until then."""
    monkeypatch.setattr(postgres_connection, "_LET_GO_SECONDS", PATIENCE_SECONDS)
    with role(postgres_server, "lonely", "LOGIN CONNECTION LIMIT 1") as lonely:
        access = datasource(postgres_server, "postgres", username=lonely)._access
        with access.connect("postgres") as connection:
            backend = connection.info.backend_pid
            os.kill(backend, signal.SIGSTOP)
            continued = threading.Timer(0.3, os.kill, (backend, signal.SIGCONT))
            continued.start()
        try:
            access.open("postgres").close()
        finally:
            continued.join()


def test_a_server_that_falls_silent_once_one_is_logged_in_does_not_hold_a_look_for_ever(
    postgres_server: PostgresServer,
) -> None:
    with cutting(postgres_server.port, (b"SET statement_timeout",), "silent", lambda: None) as proxy:
        source = datasource(postgres_server, "postgres", port=proxy.port, connect_timeout=4)
        with pytest.raises(DatabaseConnectionError, match=f"{proxy.port} does not answer: nothing within 4 s"):
            source.target_state("postgres")
        assert proxy.has_cut


def test_a_frozen_server_does_not_hold_a_look_for_ever(own_postgres_server: PostgresServer) -> None:
    source = datasource(own_postgres_server, "postgres", connect_timeout=2)
    own_postgres_server.signal_all(signal.SIGSTOP)
    began = time.monotonic()
    try:
        with pytest.raises(DatabaseConnectionError):
            source.probe()
    finally:
        own_postgres_server.signal_all(signal.SIGCONT)
    assert time.monotonic() - began < 60


def test_too_many_tables_for_the_locks(own_postgres_server: PostgresServer) -> None:
    own_postgres_server.stop()
    own_postgres_server._options = ("-c max_locks_per_transaction=10 -c max_connections=10",)
    own_postgres_server.start()
    with own_postgres_server.connect() as connection:
        for first in range(0, 2000, 50):
            connection.execute(";".join(f"CREATE TABLE t{first + number} ()" for number in range(50)).encode())
    source = datasource(own_postgres_server, "postgres")
    error = failure_of(source.open_dump(source.probe(), DumpOptions(), SilentReporter()))
    assert "max_locks_per_transaction" in error.hint


@pytest.mark.parametrize("service", ["absent", "elsewhere"])
def test_a_service_of_the_caller_leads_nowhere_else(
    home: Home, postgres_server: PostgresServer, postgres_database: str, monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    """Nor does it add what is not said here, and what none of our databases may be."""
    postgres_server.execute("CREATE TABLE t AS SELECT 1 AS i", postgres_database)
    home.configure(postgres_table(postgres_server, postgres_database))
    services = home.folder / "services.conf"
    services.write_text("[elsewhere]\nhost=nowhere.invalid\noptions=-c search_path=x\ntarget_session_attrs=standby\n")
    environment = {"PGSERVICE": service, "PGSERVICEFILE": str(services), "PGTARGETSESSIONATTRS": "standby"}
    monkeypatch.setattr(Home, "environment", {**home.environment, **environment})
    for order in (("run", "nightly"), ("restore", "nightly@latest", "--overwrite", "--yes")):
        done = home.dgtui(*order)
        assert done.exit_code == 0, done
