"""Parts of a database and other places to restore to, through the engine."""

import os
import sqlite3
from pathlib import Path

import pytest

from dgtui.engine.datasources.loading import Selection
from tests.support.homes import Home
from tests.support.mariadb import MariadbServer, mysql_digest, mysql_nasty
from tests.support.postgres import PostgresServer, running_server
from tests.support.postgres_nasty import NASTY_ROLE, make_role
from tests.support.round_trips import (
    UNICODE,
    digest_of,
    mysql_table,
    postgres_table,
    restored,
    table,
    whole_backup,
)
from tests.support.sqlite import make_nasty, sqlite_digest
from tests.support.trees import tree_digest


def rows_of(digest: dict[str, str]) -> dict[str, str]:
    """The part of a digest that is data."""
    return {name: value for name, value in digest.items() if name.startswith(("data of ", "rows of "))}


def test_postgres_to_another_server_with_its_globals(
    home: Home, postgres_server: PostgresServer, postgres_nasty_database: str
) -> None:
    before = digest_of(postgres_server, postgres_nasty_database)
    with running_server() as other:
        home.configure(
            postgres_table(postgres_server, postgres_nasty_database)
            + postgres_table(other, "elsewhere", name="standby"),
            job="globals = true",
        )
        execution = whole_backup(home)
        globals_file = Path(execution.copies[0].path) / "globals.sql"
        assert globals_file.stat().st_mode & 0o777 == 0o600
        text = globals_file.read_text()
        assert "CREATE ROLE" in text
        assert NASTY_ROLE.replace('"', '""') in text
        with other.connect() as connection:
            make_role(connection, NASTY_ROLE)
        record = restored(home, execution, datasource="standby")
        assert (record.datasource, record.target) == ("standby", "elsewhere")
        assert digest_of(other, "elsewhere") == before


def test_postgres_schema_only(home: Home, postgres_server: PostgresServer, postgres_nasty_database: str) -> None:
    before = digest_of(postgres_server, postgres_nasty_database)
    home.configure(postgres_table(postgres_server, postgres_nasty_database), job='backup_type = "schema_only"')
    execution = whole_backup(home)
    assert execution.backup_type == "schema_only"
    other = "schema_alone"
    postgres_server.drop_database(other)
    try:
        restored(home, execution, database=other)
        after = digest_of(postgres_server, other)
        assert postgres_server.execute("SELECT count(*) FROM bytes", other) == [(0,)]
        for name in ("columns", "constraints", "indexes", "functions", "triggers", "policies"):
            assert after[name] == before[name]
    finally:
        postgres_server.drop_database(other)


def test_postgres_chosen_tables(home: Home, postgres_server: PostgresServer, postgres_nasty_database: str) -> None:
    before = digest_of(postgres_server, postgres_nasty_database)
    home.configure(postgres_table(postgres_server, postgres_nasty_database))
    execution = whole_backup(home)
    names = [entry.name for entry in home.engine().manifest(execution).objects]
    assert "public.bytes" in names
    chosen = tuple(name for name in names if "bytes" in name or "Tábla" in name or "Table" in name)
    assert len(chosen) == 3
    postgres_server.drop_database(UNICODE)
    try:
        restored(home, execution, database=UNICODE, selection=Selection(tables=chosen))
        rows = rows_of(digest_of(postgres_server, UNICODE))
        assert len(rows) == 3
        assert rows == {name: before[name] for name in rows}
    finally:
        postgres_server.drop_database(UNICODE)


def test_mariadb_chosen_tables(home: Home, mariadb: MariadbServer) -> None:
    name = mariadb.create_database()
    mysql_nasty(mariadb, name)
    before = mysql_digest(mariadb, name)
    home.configure(mysql_table(mariadb, name))
    other = f"{name}_other"
    chosen = ('we`ird; -- "x"', "two\nlines", "shapes")
    restored(home, whole_backup(home), database=other, selection=Selection(tables=chosen))
    rows = rows_of(mysql_digest(mariadb, other))
    assert rows.keys() == {f"rows of {table}" for table in chosen}
    assert rows == {name: before[name] for name in rows}


def test_mariadb_schema_only(home: Home, mariadb: MariadbServer) -> None:
    name = mariadb.create_database()
    mysql_nasty(mariadb, name)
    home.configure(mysql_table(mariadb, name), job='backup_type = "schema_only"')
    other = f"{name}_other"
    restored(home, whole_backup(home), database=other)
    before, after = mysql_digest(mariadb, name), mysql_digest(mariadb, other)
    assert all(value.startswith("0 ") for value in rows_of(after).values())
    assert after.keys() == before.keys()
    for key in ("view alpha", "trigger before_words", "routine plus_one", "event never"):
        assert after[key] == before[key]


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_rows_without_their_tables_are_refused_and_leave_nothing(
    home: Home, postgres_server: PostgresServer, mariadb: MariadbServer, kind: str
) -> None:
    with postgres_server.database() as name:
        if kind == "postgres":
            postgres_server.execute("CREATE TABLE t AS SELECT 1 AS a", name)
            home.configure(postgres_table(postgres_server, name), job='backup_type = "data_only"')
        else:
            mariadb.create_database(name)
            mariadb.execute("CREATE TABLE t (a INT)", "INSERT INTO t VALUES (1)", database=name)
            home.configure(mysql_table(mariadb, name), job='backup_type = "data_only"')
        execution = whole_backup(home)
        assert execution.backup_type == "data_only"
        databases = postgres_server.databases() | mariadb.databases()
        engine = home.engine()
        snapshot = home.finish(engine, engine.start_restore(execution, database=f"{name}_other"))
        assert snapshot.status == "failed"
        assert snapshot.problem is not None
        assert snapshot.problem.hint
        assert postgres_server.databases() | mariadb.databases() == databases


def test_mariadb_to_another_datasource(home: Home, mariadb: MariadbServer) -> None:
    name = mariadb.create_database()
    mysql_nasty(mariadb, name)
    before = mysql_digest(mariadb, name)
    home.configure(mysql_table(mariadb, name) + mysql_table(mariadb, "elsewhere", name="standby"))
    restored(home, whole_backup(home), datasource="standby")
    assert mysql_digest(mariadb, "elsewhere") == before


def test_sqlite_parts_and_another_datasource(home: Home, tmp_path: Path) -> None:
    source, standby, chosen = tmp_path / "source.db", tmp_path / "standby.db", tmp_path / "chosen.db"
    make_nasty(source)
    home.configure(table("shop", type="sqlite", path=str(source)) + table("standby", type="sqlite", path=str(standby)))
    execution = whole_backup(home)
    restored(home, execution, datasource="standby")
    assert sqlite_digest(standby) == sqlite_digest(source)
    names = ('we"ird; --x', "pairs")
    restored(home, execution, database=str(chosen), selection=Selection(tables=names))
    assert rows_in(chosen, names) == rows_in(source, names)
    connection = sqlite3.connect(chosen)
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    connection.close()
    assert {name for (name,) in tables} == set(names)


def rows_in(path: Path, tables: tuple[str, ...]) -> list[list[tuple[object, ...]]]:
    """The rows of some tables."""
    connection = sqlite3.connect(path)
    quoted = ['"' + name.replace('"', '""') + '"' for name in tables]
    rows = [connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in quoted]
    connection.close()
    assert all(rows)
    return rows


def test_sqlite_schema_only(home: Home, tmp_path: Path) -> None:
    source, other = tmp_path / "source.db", tmp_path / "other.db"
    make_nasty(source)
    home.configure(table("shop", type="sqlite", path=str(source)), job='backup_type = "schema_only"')
    restored(home, whole_backup(home), database=str(other))
    connection = sqlite3.connect(other)
    assert connection.execute("SELECT count(*) FROM plain").fetchone() == (0,)
    found = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    connection.close()
    assert {"plain", "second view", "child_log", "plain_expression", "таблица"} <= found


def test_a_file_that_a_shell_names_by_bytes_that_are_no_text(home: Home, tmp_path: Path) -> None:
    """As the shell completes it, and as the list of the content shows it; a target has to have a name in UTF-8."""
    source, name = tmp_path / "source", os.fsdecode(b"caf\xe9")
    source.mkdir()
    (source / name).write_text("kept")
    home.configure(table("shop", type="files", path=str(source)))
    whole_backup(home)
    for given in (name, "caf\\xe9"):
        (source / name).write_text("spoilt")
        done = home.dgtui("restore", "nightly@latest", "--table", given, "--overwrite", "--yes")
        assert done.exit_code == 0, done
        assert (source / name).read_text() == "kept"
    for option in ("--into", "--as"):
        refused = home.dgtui("restore", "nightly@latest", option, str(tmp_path / name), "--yes")
        assert refused.exit_code == 2, refused
        assert "UTF-8" in refused.errors


def test_chosen_files_to_another_datasource(home: Home, small_tree: Path, tmp_path: Path) -> None:
    standby, chosen = tmp_path / "standby", tmp_path / "chosen"
    home.configure(
        table("shop", type="files", path=str(small_tree)) + table("standby", type="files", path=str(standby))
    )
    execution = whole_backup(home)
    restored(home, execution, datasource="standby")
    assert tree_digest(standby) == tree_digest(small_tree)
    restored(home, execution, database=str(chosen), selection=Selection(tables=("a/cache", "top.txt")))
    found = {str(path.relative_to(chosen)) for path in chosen.rglob("*") if path.is_file()}
    assert found == {"a/cache/x.bin", "top.txt"}
