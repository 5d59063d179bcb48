"""From a source with every hard feature, through the engine and two storages, and back again: exactly the same."""

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.support.homes import Home
from tests.support.mariadb import MariadbServer, mysql_digest, mysql_nasty, quoted
from tests.support.postgres import PostgresServer
from tests.support.round_trips import (
    HOSTILE,
    TWO_STORAGES,
    UNICODE,
    digest_of,
    mysql_table,
    parts,
    postgres_copy,
    postgres_table,
    restored,
    table,
    whole_backup,
)
from tests.support.sqlite import BANK_TOTAL, bank_at_work, bank_state, make_bank, make_nasty, sqlite_digest
from tests.support.trees import tree_digest

_NOISE_BYTES = 2_500_000
"""Content that does not compress, so that a limit of 1 MB gives several parts."""


def test_postgres(home: Home, postgres_server: PostgresServer, postgres_nasty_database: str) -> None:
    server = postgres_server
    home.configure(
        postgres_table(server, HOSTILE), storages=TWO_STORAGES, job='compression = "zstd:3"\nmax_file_size_mb = 1'
    )
    with postgres_copy(server, postgres_nasty_database, HOSTILE, noise_bytes=_NOISE_BYTES) as before:
        execution = whole_backup(home, storages=2)
        assert parts(execution) >= 3
        try:
            assert restored(home, execution, storage="nas", database=UNICODE).storage == "nas"
            assert digest_of(server, UNICODE) == before
        finally:
            server.drop_database(UNICODE)
        server.execute('DROP TABLE noise, "many"."t7"; DELETE FROM bytes', HOSTILE)
        record = restored(home, execution, overwrite=True, jobs=2)
        assert digest_of(server, HOSTILE) == before
        assert record.kept_as is not None
        assert "data of public.noise" not in digest_of(server, record.kept_as)
        server.drop_database(record.kept_as)


@pytest.mark.parametrize("database", [HOSTILE, "größe ☃ 日本"])
def test_mariadb(home: Home, mariadb: MariadbServer, database: str) -> None:
    mariadb.create_database(database)
    mysql_nasty(mariadb, database)
    if '"' in database or "'" in database:
        # mariadb-dump itself cannot, and says so.
        mariadb.execute("DROP EVENT never", database=database)
    with mariadb.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE noise (raw LONGBLOB)")
        cursor.execute("INSERT INTO noise VALUES (%s)", (os.urandom(_NOISE_BYTES),))
    before = mysql_digest(mariadb, database)
    home.configure(
        mysql_table(mariadb, database), storages=TWO_STORAGES, job='compression = "gzip"\nmax_file_size_mb = 1'
    )
    execution = whole_backup(home, storages=2)
    assert parts(execution) >= 3
    assert restored(home, execution, storage="nas", database=f"{database} 2").storage == "nas"
    assert mysql_digest(mariadb, f"{database} 2") == before
    mariadb.drop_database(database)
    restored(home, execution, storage="disk")
    assert mysql_digest(mariadb, database) == before


def test_mariadb_over_a_living_database(home: Home, mariadb: MariadbServer) -> None:
    name = mariadb.create_database(HOSTILE)
    mariadb.execute(
        "CREATE TABLE hen (id INT PRIMARY KEY, name TEXT)",
        "CREATE TABLE egg (id INT PRIMARY KEY, hen INT, CONSTRAINT laid FOREIGN KEY (hen) REFERENCES hen (id))",
        "INSERT INTO hen VALUES (1, 'Berta'), (2, 'Frida')",
        "INSERT INTO egg VALUES (1, 2)",
        database=name,
    )
    before = mysql_digest(mariadb, name)
    home.configure(mysql_table(mariadb, name))
    execution = whole_backup(home)
    mariadb.execute("DELETE FROM egg", "ALTER TABLE hen DROP COLUMN name", database=name)
    record = restored(home, execution, overwrite=True)
    assert mysql_digest(mariadb, name) == before
    assert record.kept_as in mariadb.databases()
    assert mariadb.execute(f"SELECT COUNT(*) FROM {quoted(record.kept_as or '')}.egg") == [(0,)]


def test_sqlite(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "with spaces ? # %41 \n ü"
    folder.mkdir()
    source = folder / f"{HOSTILE}.db"
    make_nasty(source)
    before = sqlite_digest(source)
    home.configure(
        table("shop", type="sqlite", path=str(source)),
        storages=TWO_STORAGES,
        job='compression = "lz4"\nmax_file_size_mb = 1',
    )
    execution = whole_backup(home, storages=2)
    assert parts(execution) >= 3
    assert sqlite_digest(source) == before
    other = folder / UNICODE
    assert restored(home, execution, storage="nas", database=str(other)).storage == "nas"
    assert sqlite_digest(other) == before
    with sqlite3.connect(source) as connection:
        connection.execute("DELETE FROM plain")
    connection.close()
    record = restored(home, execution, overwrite=True)
    assert sqlite_digest(source) == before
    assert record.kept_as is not None
    assert Path(record.kept_as).exists()


def test_sqlite_while_a_program_writes(home: Home, tmp_path: Path) -> None:
    source = tmp_path / "bank.db"
    make_bank(source)
    home.configure(table("shop", type="sqlite", path=str(source)), job='compression = "zstd:1"')
    with bank_at_work(source):
        executions = [whole_backup(home) for _ in range(2)]
    lasts = []
    for number, execution in enumerate(executions):
        target = tmp_path / f"restored-{number}.db"
        restored(home, execution, database=str(target))
        total, last = bank_state(target)
        assert total == BANK_TOTAL
        lasts.append(last)
    assert 30 <= lasts[0] < lasts[1]


@pytest.mark.skipif(os.geteuid() != 0, reason="owners and closed files need root")
def test_tree(home: Home, tree_nasty: Path, tmp_path: Path) -> None:
    (tree_nasty / "noise").write_bytes(os.urandom(_NOISE_BYTES))
    before = tree_digest(tree_nasty)
    home.configure(
        table("shop", type="files", path=str(tree_nasty)),
        storages=TWO_STORAGES,
        job='compression = "none"\nmax_file_size_mb = 1',
    )
    execution = whole_backup(home, storages=2)
    assert parts(execution) >= 3
    other = tmp_path / f"{UNICODE}\n{HOSTILE}"
    assert restored(home, execution, storage="nas", database=str(other)).storage == "nas"
    assert tree_digest(other) == before
    shutil.rmtree(tree_nasty / "names")
    (tree_nasty / "noise").write_bytes(b"")
    (tree_nasty / "newer").mkdir()
    record = restored(home, execution, overwrite=True)
    assert tree_digest(tree_nasty) == before
    assert (Path(record.kept_as or "") / "newer").is_dir()
