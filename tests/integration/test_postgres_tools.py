"""Which of the installed versions of pg_dump is used, and what pg_dumpall gives."""

from pathlib import Path

import pytest

from dgtui.engine.datasources.dumping import DumpOptions
from dgtui.engine.datasources.postgres import PostgresDatasource
from dgtui.engine.errors import BackupCreationError, ToolMissing, ToolTooOld
from dgtui.engine.reporting import SilentReporter
from dgtui.engine.tools import search_folders
from tests.integration.postgres_case import datasource, failure_of, role
from tests.support.fakebin import write_fake
from tests.support.homes import Home
from tests.support.postgres import PostgresServer
from tests.support.round_trips import postgres_table, whole_backup


def fake_tools(folder: Path, **versions: str) -> str:
    """A folder with programs that only know their version."""
    folder.mkdir(parents=True)
    for name, version in versions.items():
        program = folder / name
        program.write_text(f'#!/bin/sh\necho "{name} (PostgreSQL) {version}"\n')
        program.chmod(0o755)
    return str(folder)


def test_a_pg_dump_that_is_too_old_is_named_with_the_package(postgres_server: PostgresServer, tmp_path: Path) -> None:
    old = fake_tools(tmp_path / "old", pg_dump="9.6.1")
    with postgres_server.connect() as connection:
        server = connection.info.server_version // 10000
    with pytest.raises(ToolTooOld) as caught:
        datasource(postgres_server, "postgres", tools=old).probe()
    assert "9.6.1" in caught.value.message
    assert str(server) in caught.value.message
    assert f"postgresql-client-{server}" in caught.value.hint


def test_a_missing_pg_dump_is_named_with_where_it_was_sought(postgres_server: PostgresServer, tmp_path: Path) -> None:
    with pytest.raises(ToolMissing) as caught:
        datasource(postgres_server, "postgres", tools=str(tmp_path)).probe()
    assert str(tmp_path) in caught.value.message


def test_the_nearest_pg_dump_is_chosen(
    postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with postgres_server.connect() as connection:
        server = connection.info.server_version // 10000
    for number in (server - 1, server + 2, server + 1):
        fake_tools(tmp_path / str(number), pg_dump=f"{number}.3")
    monkeypatch.setattr("dgtui.engine.datasources.postgres_tools.WELL_KNOWN_FOLDERS", (f"{tmp_path}/*",))
    monkeypatch.setattr("dgtui.engine.tools.COMMON_FOLDERS", ())
    monkeypatch.setenv("PATH", "")
    source: PostgresDatasource = datasource(postgres_server, "postgres")
    tool = source.probe().tool
    assert tool is not None
    assert tool.version == f"{server + 1}.3"
    fake_tools(tmp_path / "same", pg_dump=f"{server}.99")
    tool = source.probe().tool
    assert tool is not None
    assert tool.version == f"{server}.99"
    assert search_folders(str(tmp_path)) == (tmp_path,)


def test_a_copy_is_validated_by_the_tools_of_its_datasource(
    home: Home, postgres_server: PostgresServer, postgres_database: str, tmp_path: Path
) -> None:
    """Those of the system may be older than the pg_dump that made it."""
    folder, used = tmp_path / "tools", tmp_path / "used"
    folder.mkdir()
    (folder / "pg_dump").symlink_to(postgres_server.binaries / "pg_dump")
    reader = folder / "pg_restore"
    reader.write_text(
        '#!/bin/sh\nif [ "$1" = --version ]; then echo "pg_restore (PostgreSQL) 98.1"; exit; fi\n'
        f'touch "{used}"\nexec "{postgres_server.binaries}/pg_restore" "$@"\n'
    )
    reader.chmod(0o755)
    home.configure(postgres_table(postgres_server, postgres_database, tools=str(folder)))
    whole_backup(home)
    used.unlink()
    done = home.dgtui("validate", "nightly@latest")
    assert done.exit_code == 0, done
    assert used.exists()


def test_globals_hold_the_roles(postgres_server: PostgresServer) -> None:
    with role(postgres_server, "someone special", "LOGIN PASSWORD 'S3CRET'"):
        source = datasource(postgres_server, "postgres")
        text = source.dump_globals().decode()
        assert 'CREATE ROLE "someone special"' in text
        assert "SCRAM-SHA-256" in text
        modest = datasource(postgres_server, "postgres", username="someone special")
        text = modest.dump_globals().decode()
        assert 'CREATE ROLE "someone special"' in text
        assert "SCRAM-SHA-256" not in text


def test_what_sessions_are_told_of_the_encoding_keeps_no_role_out(postgres_server: PostgresServer) -> None:
    with role(postgres_server, "日本"):
        postgres_server.execute("ALTER DATABASE postgres SET client_encoding = 'LATIN1'")
        try:
            text = datasource(postgres_server, "postgres").dump_globals().decode()
        finally:
            postgres_server.execute("ALTER DATABASE postgres RESET client_encoding")
    assert 'CREATE ROLE "日本"' in text


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("empty", "end mark is missing"),
        ("cut0:-40", "end mark is missing"),
        ("cut0:60%", "end mark is missing"),
        ("cut1:60%", "ended with exit code 1"),
        ("kill:60%", "SIGKILL"),
    ],
)
def test_globals_that_are_not_whole_are_refused(
    postgres_server: PostgresServer, tmp_path: Path, mode: str, told: str
) -> None:
    write_fake(tmp_path, "pg_dumpall", mode, real=str(postgres_server.binaries / "pg_dumpall"))
    source = datasource(postgres_server, "postgres", tools=str(tmp_path))
    with pytest.raises(BackupCreationError, match=told) as caught:
        source.dump_globals()
    assert caught.value.hint


def test_a_limit_that_ends_the_first_question_of_pg_dump_is_told_as_what_it_is(
    postgres_server: PostgresServer, postgres_database: str, tmp_path: Path
) -> None:
    """Not as a lock of somebody, for which pg_dump makes use of the same limit."""
    program = tmp_path / "pg_dump"
    program.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo "pg_dump (PostgreSQL) 99.1" && exit\n'
        "echo 'pg_dump: error: query failed: ERROR:  canceling statement due to statement timeout' >&2\n"
        "echo 'pg_dump: detail: Query was: SELECT pg_catalog.pg_is_in_recovery()' >&2\nexit 1\n"
    )
    program.chmod(0o755)
    source = datasource(postgres_server, postgres_database, tools=str(tmp_path))
    error = failure_of(source.open_dump(source.probe(), DumpOptions(), SilentReporter()))
    assert "statement timeout" in error.message
    assert "SET statement_timeout" in error.hint
