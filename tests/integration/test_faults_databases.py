"""Databases that cannot be dumped, through the engine: each run ends failed, with a hint and without litter."""

import pytest

from dgtui.engine.model import Problem
from tests.support.homes import Home
from tests.support.mariadb import MariadbServer
from tests.support.postgres import PostgresServer, running_server
from tests.support.round_trips import mysql_table, postgres_table, whole_backup


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
