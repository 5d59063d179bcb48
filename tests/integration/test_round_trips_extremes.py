"""Empty, enormous and partial: round trips through the engine at the edges of what a database can be."""

from pathlib import Path

from tests.support.homes import Home
from tests.support.mariadb import MariadbServer, mysql_digest, mysql_nasty
from tests.support.postgres import PostgresServer
from tests.support.round_trips import (
    digest_of,
    mysql_table,
    postgres_table,
    restored,
    table,
    whole_backup,
)
from tests.support.trees import tree_digest

_MANY = 1500
_LARGE_ROW = 60_000_000


def test_an_empty_postgres_database(home: Home, postgres_server: PostgresServer, postgres_database: str) -> None:
    before = digest_of(postgres_server, postgres_database)
    home.configure(postgres_table(postgres_server, postgres_database))
    execution = whole_backup(home)
    restored(home, execution)
    assert digest_of(postgres_server, postgres_database) == before
    other = f"{postgres_database}_other"
    try:
        restored(home, execution, database=other)
        assert digest_of(postgres_server, other) == before
    finally:
        postgres_server.drop_database(other)


def test_an_empty_mariadb_database(home: Home, mariadb: MariadbServer) -> None:
    name = mariadb.create_database(None, "CHARACTER SET greek COLLATE greek_bin")
    before = mysql_digest(mariadb, name)
    home.configure(mysql_table(mariadb, name))
    execution = whole_backup(home)
    restored(home, execution)
    assert mysql_digest(mariadb, name) == before
    restored(home, execution, database=f"{name}_other")
    assert mysql_digest(mariadb, f"{name}_other") == before


def test_an_empty_folder(home: Home, tmp_path: Path) -> None:
    source, other = tmp_path / "empty", tmp_path / "other"
    source.mkdir(mode=0o750)
    home.configure(table("shop", type="files", path=str(source)))
    restored(home, whole_backup(home), database=str(other))
    assert tree_digest(other) == tree_digest(source)


def test_many_tables(home: Home, postgres_server: PostgresServer) -> None:
    with postgres_server.database() as name, postgres_server.connect(name) as connection:
        connection.execute(
            b"DO $$ BEGIN FOR i IN 1 .. %d LOOP EXECUTE format('CREATE TABLE t%%s (a int); "
            b"INSERT INTO t%%s VALUES (%%s)', i, i, i); COMMIT; END LOOP; END $$" % _MANY
        )
        home.configure(postgres_table(postgres_server, name))
        execution = whole_backup(home)
        manifest = home.engine().manifest(execution)
        assert {entry.name: entry.rows for entry in manifest.objects} == {
            f"public.t{i}": 1 for i in range(1, _MANY + 1)
        }
        other = f"{name}_other"
        try:
            restored(home, execution, database=other)
            assert digest_of(postgres_server, other) == digest_of(postgres_server, name)
        finally:
            postgres_server.drop_database(other)


def test_a_large_row_of_postgres(home: Home, postgres_server: PostgresServer) -> None:
    with postgres_server.database() as name, postgres_server.connect(name) as connection:
        connection.execute("CREATE TABLE large (id integer, raw bytea)")
        connection.execute("INSERT INTO large SELECT 1, decode(repeat('00ff5c0a27', %s), 'hex')", (_LARGE_ROW // 5,))
        home.configure(postgres_table(postgres_server, name), job='compression = "lz4"')
        execution = whole_backup(home)
        assert execution.total_size_bytes is not None
        assert execution.total_size_bytes > 2 * _LARGE_ROW
        other = f"{name}_other"
        query = "SELECT count(*), md5(raw) FROM large GROUP BY raw"
        try:
            restored(home, execution, database=other)
            assert postgres_server.execute(query, other) == postgres_server.execute(query, name)
        finally:
            postgres_server.drop_database(other)


def test_a_large_row_of_mariadb(home: Home, mariadb: MariadbServer) -> None:
    name = mariadb.create_database()
    mysql_nasty(mariadb, name, big_row_bytes=26_000_000)
    before = mysql_digest(mariadb, name)
    packet = mariadb.execute("SELECT @@GLOBAL.max_allowed_packet")
    assert packet == [(16 << 20,)]
    home.configure(mysql_table(mariadb, name), job='compression = "lz4"')
    restored(home, whole_backup(home), database=f"{name}_other")
    assert mysql_digest(mariadb, f"{name}_other") == before
    assert mariadb.execute("SELECT @@GLOBAL.max_allowed_packet") == packet
