"""Databases that cannot be dumped, or change meanwhile: a run fails with a hint and without litter, or is right."""

import contextlib
import shutil
import sqlite3

import pytest

from dgtui.engine.model import Problem
from tests.support.homes import Home, wait_until
from tests.support.mariadb import MariadbServer, mysql_digest
from tests.support.postgres import PostgresServer, running_server
from tests.support.postgres_writers import writers_at_work
from tests.support.round_trips import mysql_table, postgres_table, restored, table, whole_backup
from tests.support.sqlite import make_spoilt_index, sqlite_digest


def failed(home: Home) -> Problem:
    """Run the job and expect it to fail with everything that a person needs."""
    execution = home.back_up()
    assert execution.status == "failed"
    assert execution.problem is not None
    assert execution.problem.hint
    assert not [copy for copy in execution.copies if copy.status == "available"]
    assert home.litter() == []
    return execution.problem


@pytest.mark.parametrize("kind", ["nobody may connect", "gone"])
def test_a_database_that_nobody_gets_into(home: Home, postgres_server: PostgresServer, kind: str) -> None:
    with postgres_server.database("closed") as name:
        postgres_server.execute("CREATE TABLE t AS SELECT 1 AS a", name)
        home.configure(postgres_table(postgres_server, name))
        whole_backup(home)
        if kind == "gone":
            postgres_server.drop_database(name)
        else:
            postgres_server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        assert name in failed(home).message
        assert home.engine().execution("nightly@latest").status == "completed"


def test_a_template_is_refused_by_name_and_other_jobs_go_on(home: Home, postgres_server: PostgresServer) -> None:
    with postgres_server.database() as name:
        postgres_server.execute("CREATE TABLE t AS SELECT 1 AS a", name)
        home.configure(
            postgres_table(postgres_server, "template0") + postgres_table(postgres_server, name, "other"),
            more='[jobs.other]\ndatasource = "other"\nstorages = ["disk"]\n',
        )
        assert "template0" in failed(home).message
        assert home.back_up("other").status == "completed"


def test_a_mariadb_database_that_is_gone(home: Home, mariadb: MariadbServer) -> None:
    name = mariadb.create_database()
    mariadb.execute("CREATE TABLE t (a INT)", database=name)
    home.configure(mysql_table(mariadb, name))
    whole_backup(home)
    mariadb.execute(f"DROP DATABASE {name}")
    assert name in failed(home).message


def test_more_tables_than_the_server_has_locks_for(home: Home) -> None:
    with running_server("-c max_locks_per_transaction=10", "-c max_connections=10") as server:
        with server.connect() as connection:
            for first in range(0, 2000, 50):
                connection.execute(";".join(f"CREATE TABLE t{first + number} ()" for number in range(50)).encode())
        home.configure(postgres_table(server, "postgres"))
        assert "max_locks_per_transaction" in failed(home).hint


def test_a_broken_view_of_mariadb_is_named(home: Home, mariadb: MariadbServer) -> None:
    name = mariadb.create_database()
    mariadb.execute("CREATE TABLE t (a INT)", "CREATE VIEW broken AS SELECT a FROM t", database=name)
    home.configure(mysql_table(mariadb, name))
    good = whole_backup(home)
    mariadb.execute("DROP TABLE t", database=name)
    problem = failed(home)
    assert "broken" in problem.message + problem.subject
    assert home.dgtui("validate", good.execution_id).exit_code == 0


def test_a_view_of_mariadb_without_its_definer_comes_back_with_a_word_on_it(home: Home, mariadb: MariadbServer) -> None:
    name = mariadb.create_database()
    mariadb.execute(
        "CREATE TABLE t (a INT)",
        "CREATE USER gone@'%'",
        "CREATE DEFINER = gone@'%' SQL SECURITY DEFINER VIEW orphan AS SELECT a FROM t",
        database=name,
    )
    home.configure(mysql_table(mariadb, name))
    mariadb.execute("DROP USER gone@'%'")
    execution = whole_backup(home)
    engine = home.engine()
    snapshot = home.finish(engine, engine.start_restore(execution, database=f"{name}_copy"))
    assert snapshot.status == "completed", snapshot.problem
    assert any("gone@%" in line.text for line in snapshot.log)
    assert mysql_digest(mariadb, f"{name}_copy") == mysql_digest(mariadb, name)


def test_a_damaged_sqlite_leaves_the_last_good_backup(home: Home) -> None:
    source = home.folder / "shop.db"
    with contextlib.closing(sqlite3.connect(source)) as connection, connection:
        connection.execute("CREATE TABLE t AS SELECT randomblob(100000) AS a")
    home.configure(table("shop", type="sqlite", path=str(source)))
    good = whole_backup(home)
    source.unlink()
    make_spoilt_index(source)
    assert "damaged" in failed(home).message
    assert home.engine().execution("nightly@latest").execution_id == good.execution_id
    assert home.dgtui("validate", "nightly@latest").exit_code == 0


def test_a_sqlite_that_is_replaced_while_it_is_copied_is_one_or_the_other(home: Home) -> None:
    """The new file comes by a rename, as restores and careful programs do it."""
    source, copies = home.folder / "shop.db", []
    for number in range(2):
        path = home.folder / f"version-{number}.db"
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("CREATE TABLE t (a)")
            connection.executemany("INSERT INTO t VALUES (?)", [(number,)] * 50_000)
        copies.append(path)
    shutil.copy(copies[0], source)
    home.configure(table("shop", type="sqlite", path=str(source)))
    engine = home.engine()
    run_id = engine.start_job("nightly")
    number = 0
    while engine.paths.is_alive(run_id) or number == 0:
        number += 1
        shutil.copy(copies[number % 2], home.folder / "next.db")
        (home.folder / "next.db").rename(source)
    snapshot = home.finish(engine, run_id)
    if snapshot.status == "failed":
        assert snapshot.problem is not None
        assert "replaced" in snapshot.problem.message
        return
    restored(home, engine.execution(run_id), database=str(home.folder / "restored.db"))
    assert sqlite_digest(home.folder / "restored.db") in [sqlite_digest(path) for path in copies]


def test_transfers_between_tables_of_postgres_are_whole_or_not_there(
    home: Home, postgres_server: PostgresServer
) -> None:
    with postgres_server.database() as name:
        for account in ("a", "z"):
            postgres_server.execute(f"CREATE TABLE {account} AS SELECT 1000000::bigint AS money", name)
        postgres_server.execute("CREATE TABLE b AS SELECT i, md5(i::text) FROM generate_series(1, 100000) i", name)
        home.configure(postgres_table(postgres_server, name))
        transfer = "UPDATE a SET money = money - 1; UPDATE z SET money = money + 1"
        with writers_at_work(postgres_server, name, transfer, home.folder, count=2) as files:
            wait_until(lambda: all(file.stat().st_size for file in files), "the first transfers")
            execution = whole_backup(home)
        restored(home, execution, database=f"{name}_copy")
        try:
            [(total, moved)] = postgres_server.execute(
                "SELECT (SELECT money FROM a) + (SELECT money FROM z), (SELECT 1000000 - money FROM a)", f"{name}_copy"
            )
        finally:
            postgres_server.drop_database(f"{name}_copy")
        assert total == 2_000_000
        assert moved > 0
