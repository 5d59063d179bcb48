"""`--deep`: the content of every object is compared with the backup, and one changed value shows."""

import contextlib
import os
import sqlite3
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dgtui.engine.datasources import postgres_contents
from dgtui.engine.datasources.loading import Selection
from dgtui.engine.datasources.postgres_contents import content_checksums
from dgtui.engine.datasources.postgres_toc import Toc
from dgtui.engine.facade import Engine
from dgtui.engine.restore_model import ObjectReport
from tests.integration.postgres_case import datasource
from tests.support.homes import Home
from tests.support.mariadb import MariadbServer, mysql_nasty
from tests.support.postgres import PostgresServer
from tests.support.pump import FileArchive, dump_to
from tests.support.round_trips import mysql_table, postgres_table
from tests.support.sqlite import make_nasty
from tests.support.trees import make_tree


def restored_deeply(home: Home, target: str, *arguments: str) -> dict[str, ObjectReport]:
    """Restore the newest backup under another name and compare; the objects of the report."""
    done = home.dgtui("restore", "nightly@latest", "--into", target, "--deep", "--yes", *arguments)
    assert done.exit_code == 0, done
    engine = home.engine()
    report = engine.restores()[0].report
    assert report is not None
    assert report.deep
    assert {entry.outcome for entry in report.objects} == {"restored"}
    shown = home.dgtui("restores", engine.restores()[0].restore_id[:8])
    assert shown.exit_code == 0, shown
    assert " equal " in shown.output
    return {entry.name: entry for entry in report.objects}


def checksums(engine: Engine, target: str, names: tuple[str, ...], scratch: Path) -> dict[str, str]:
    """The checksums of what is in a target now."""
    return engine.config.datasource("shop").content_checksums(target, names, scratch)


def test_a_nasty_postgres_database(home: Home, postgres_server: PostgresServer, postgres_nasty_database: str) -> None:
    home.configure(postgres_table(postgres_server, postgres_nasty_database))
    assert home.back_up().status in ("completed", "partial")
    try:
        objects = restored_deeply(home, "deep_copy")
        assert sum(entry.content == "equal" for entry in objects.values()) > 5
        assert "different" not in {entry.content for entry in objects.values()}
    finally:
        postgres_server.drop_database("deep_copy")


def test_one_changed_value_shows_in_postgres(postgres_server: PostgresServer) -> None:
    """The order of the rows does not matter; the last digit of a number does."""
    with postgres_server.database() as database:
        postgres_server.execute("CREATE TABLE t (a float8, b text)", database=database)
        postgres_server.execute("INSERT INTO t VALUES (0.1, 'x'), (0.2, 'y')", database=database)
        access = datasource(postgres_server, database)._access
        toc = Toc(database, "15", "15", ())
        before = content_checksums(access, database, ("public.t",), toc, {})
        postgres_server.execute("BEGIN; DELETE FROM t; INSERT INTO t VALUES (0.2, 'y'), (0.1, 'x'); COMMIT", database)
        assert content_checksums(access, database, ("public.t",), toc, {}) == before
        postgres_server.execute("UPDATE t SET a = 0.30000000000000004 - 0.1 WHERE b = 'y'", database)
        assert content_checksums(access, database, ("public.t",), toc, {}) != before


@pytest.mark.parametrize("by_hand", [False, True])
def test_rows_are_equal_whatever_is_set_where_they_are_compared(
    postgres_server: PostgresServer, postgres_database: str, by_hand: bool, tmp_path: Path
) -> None:
    """Zone and form of bytes are those of the database that was dumped, and not of the one beside."""
    path, source = tmp_path / "backup.dump", datasource(postgres_server, postgres_database)
    postgres_server.execute(
        "CREATE TABLE t (a timestamptz, b bytea, c interval, d date); CREATE TABLE u (a int);"
        "INSERT INTO t VALUES ('2024-01-02 03:04:05+00', '\\x00ff275c', '1 day -5 minutes', '2024-01-02')",
        postgres_database,
    )
    for setting in ("timezone = 'Asia/Kathmandu'", "bytea_output = escape", "datestyle = 'SQL, DMY'"):
        postgres_server.execute(f"ALTER DATABASE {postgres_database} SET {setting}")
    if by_hand:
        options = ["-Fc", "-Z0", "-h", "127.0.0.1", "-U", "postgres", "-p", str(postgres_server.port)]
        subprocess.run(
            [str(postgres_server.binaries / "pg_dump"), *options, "-f", str(path), postgres_database], check=True
        )
    else:
        dump_to(source, path, scratch=tmp_path)
    if not by_hand:
        postgres_server.execute(f"ALTER DATABASE {postgres_database} RESET ALL")
        postgres_server.execute(f"ALTER DATABASE {postgres_database} SET timezone = 'America/Lima'")
    expected = source.archive_checksums(FileArchive(path), Selection(), tmp_path)
    assert set(expected) == {"public.t", "public.u"}
    assert source.content_checksums(postgres_database, tuple(expected), tmp_path) == expected
    postgres_server.execute("UPDATE t SET a = a + interval '1 hour'", postgres_database)
    found = source.content_checksums(postgres_database, tuple(expected), tmp_path)
    assert {name for name in expected if found[name] != expected[name]} == {"public.t"}


def test_columns_that_come_back_in_another_order_are_the_same(
    home: Home, postgres_server: PostgresServer, postgres_database: str
) -> None:
    """A table that became the child of another one gets what it inherits first when it is made again."""
    postgres_server.execute(
        'CREATE TABLE parent ("of, all" int, b text); CREATE TABLE child (x int, b text, "of, all" int, "q""(" text);'
        "ALTER TABLE child INHERIT parent; INSERT INTO child VALUES (1, 'b', 2, 'q'), (3, 'c', NULL, '')",
        postgres_database,
    )
    home.configure(postgres_table(postgres_server, postgres_database))
    home.back_up()
    target = f"{postgres_database}_copy"
    done = home.dgtui("restore", "nightly@latest", "--into", target, "--deep", "--yes")
    try:
        assert done.exit_code == 0, done
        ordered = "SELECT attname FROM pg_attribute WHERE attrelid = 'child'::regclass AND attnum > 0 ORDER BY attnum"
        assert postgres_server.execute(ordered, target) != postgres_server.execute(ordered, postgres_database)
    finally:
        postgres_server.drop_database(target)


def test_a_table_that_differs_is_read_no_more_often_than_it_may_be_written(
    postgres_server: PostgresServer, postgres_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows are the same in each zone and form where it holds neither times nor bytes."""
    postgres_server.execute(
        "CREATE TYPE mood AS ENUM ('glad'); CREATE TABLE plain (i int, t text, m mood, a text[]);"
        "CREATE TABLE zoned (z timestamptz, i int); CREATE TABLE bytes (b bytea); CREATE TABLE odd (p point, c plain);"
        f"ALTER DATABASE {postgres_database} SET timezone = 'Asia/Kathmandu'",
        postgres_database,
    )
    source, toc = datasource(postgres_server, postgres_database), Toc("", "", "", ())
    read: list[str] = []
    checksum = postgres_contents._checksum

    def counted(connection: Any, table: Any) -> str:
        read.append(table.name)
        return checksum(connection, table)

    monkeypatch.setattr(postgres_contents, "_checksum", counted)
    names = ("public.plain", "public.zoned", "public.bytes", "public.odd")
    content_checksums(source._access, postgres_database, names, toc, dict.fromkeys(names, "other"))
    assert Counter(read) == {"plain": 1, "zoned": 2, "bytes": 2, "odd": 4}


def test_a_nasty_mariadb_database(home: Home, mariadb: MariadbServer, tmp_path: Path) -> None:
    name, target = mariadb.create_database(), "deep_copy"
    mysql_nasty(mariadb, name)
    home.configure(mysql_table(mariadb, name))
    home.back_up()
    try:
        objects = restored_deeply(home, target)
        compared = tuple(entry.name for entry in objects.values() if entry.content == "equal")
        assert len(compared) > 3
        before = checksums(home.engine(), target, compared, tmp_path)
        mariadb.execute("DELETE FROM words LIMIT 1", database=target)
        assert checksums(home.engine(), target, compared, tmp_path) != before
    finally:
        mariadb.drop_database(target)


def test_a_mariadb_table_whose_columns_are_named_with_its_rows(
    home: Home, mariadb: MariadbServer, tmp_path: Path
) -> None:
    """That is so where a column is invisible."""
    name = mariadb.create_database()
    mariadb.execute(
        "CREATE TABLE t (a INT PRIMARY KEY, `h,)` INT INVISIBLE DEFAULT 3, x TEXT)",
        "INSERT INTO t (a, `h,)`, x) VALUES (1, 9, 'one'), (2, 3, 'two')",
        database=name,
    )
    home.configure(mysql_table(mariadb, name))
    assert home.back_up().status == "completed"
    assert restored_deeply(home, f"{name}_2")["t"].content == "equal"
    engine = home.engine()
    before = checksums(engine, f"{name}_2", ("t",), tmp_path)
    mariadb.execute("UPDATE t SET `h,)` = 4 WHERE a = 1", database=f"{name}_2")
    assert checksums(engine, f"{name}_2", ("t",), tmp_path) != before


def test_a_mariadb_database_without_tables_is_equal(home: Home, mariadb: MariadbServer) -> None:
    """There is nothing that could differ."""
    name = mariadb.create_database()
    mariadb.execute("CREATE PROCEDURE p () SELECT 1", database=name)
    home.configure(mysql_table(mariadb, name))
    assert home.back_up().status == "completed"
    proven = home.dgtui("rehearse", "nightly@latest", "--deep")
    assert proven.exit_code == 0, proven


def test_a_nasty_sqlite_database(home: Home, tmp_path: Path) -> None:
    source, target = tmp_path / "shop.db", tmp_path / "copy.db"
    make_nasty(source, wal=False)
    home.configure(f'[datasources.shop]\ntype = "sqlite"\npath = "{source}"\n')
    home.back_up()
    objects = restored_deeply(home, str(target))
    compared = tuple(entry.name for entry in objects.values() if entry.content == "equal")
    assert len(compared) > 5
    before = checksums(home.engine(), str(target), compared, tmp_path)
    with contextlib.closing(sqlite3.connect(target)) as connection, connection:
        connection.execute(
            "UPDATE plain SET c = CAST('t' AS BLOB), b = 't' WHERE rowid = (SELECT min(rowid) FROM plain)"
        )
    changed = checksums(home.engine(), str(target), compared, tmp_path)
    assert changed.keys() == before.keys()
    assert {name for name in before if before[name] != changed[name]} == {"plain"}


def test_what_has_no_content_to_compare_is_refused(home: Home, tmp_path: Path) -> None:
    """Before anything is done, and not left out without a word."""
    source = tmp_path / "shop.db"
    make_nasty(source, wal=False)
    home.configure(f'[datasources.shop]\ntype = "sqlite"\npath = "{source}"\n')
    home.back_up()
    for chosen in (("--data-only", "--overwrite"), ("--schema-only", "--into", str(tmp_path / "copy.db"))):
        for way in ("--dry-run", "--yes"):
            refused = home.dgtui("restore", "nightly@latest", "--deep", *chosen, way)
            assert refused.exit_code == 2, refused
            assert "Leave out --deep" in refused.errors
    assert home.engine().restores() == []


@pytest.mark.parametrize("chosen", [(), ("--table", "folder/deep/b")])
def test_a_tree(home: Home, tmp_path: Path, chosen: tuple[str, ...]) -> None:
    source, target = tmp_path / "tree", tmp_path / "copy"
    if not chosen:
        make_tree(source)
    (source / "folder/deep").mkdir(parents=True)
    (source / "folder/deep/b").write_bytes(b"content")
    home.configure(f'[datasources.shop]\ntype = "files"\npath = "{source}"\n')
    home.back_up()
    objects = restored_deeply(home, str(target), *chosen)
    names = {entry.name for entry in objects.values() if entry.content == "equal"}
    before = checksums(home.engine(), str(target), ("folder",), tmp_path)
    assert before
    (target / "folder/deep/b").write_bytes(b"Content")
    assert checksums(home.engine(), str(target), ("folder",), tmp_path) != before
    assert "folder" in names


def test_a_tree_with_a_huge_hole(home: Home, tmp_path: Path) -> None:
    """Nothing of the hole is read, which would take many minutes; where it lies makes no difference."""
    source, target = tmp_path / "tree", tmp_path / "copy"
    source.mkdir()
    for name, size in (("huge", 1 << 40), ("small", 3 << 20)):
        with (source / name).open("wb") as file:
            file.truncate(size)
            file.seek(size // 2)
            file.write(b"middle")
            file.truncate(size)
    (source / "zeros").write_bytes(bytes(3 << 20))
    home.configure(f'[datasources.shop]\ntype = "files"\npath = "{source}"\n')
    home.back_up()
    objects = restored_deeply(home, str(target))
    assert {entry.content for entry in objects.values()} == {"equal"}
    names = ("huge", "small", "zeros")
    before = checksums(home.engine(), str(target), names, tmp_path)
    assert set(before) == set(names)
    written = (target / "small").read_bytes()
    (target / "small").unlink()
    (target / "small").write_bytes(written)
    (target / "zeros").unlink()
    (target / "zeros").touch()
    os.truncate(target / "zeros", 3 << 20)
    assert checksums(home.engine(), str(target), names, tmp_path) == before
    os.truncate(target / "zeros", (3 << 20) + 1)
    with (target / "huge").open("r+b") as file:
        file.write(b"x")
    after = checksums(home.engine(), str(target), names, tmp_path)
    assert {name for name in names if after[name] != before[name]} == {"huge", "zeros"}
