"""PostgreSQL extensions that bring tables with them, in which the user has rows too, as PostGIS does."""

from collections.abc import Iterator

import pytest

from tests.support.homes import Home
from tests.support.postgres import PostgresServer
from tests.support.postgres_extension import server_with_extension, with_own_rows
from tests.support.round_trips import comes_back, digest_of, postgres_table, whole_backup

_CHANGES = "DELETE FROM more.places WHERE id = 102; INSERT INTO more.places VALUES (103, 'new'); DELETE FROM more.notes"


@pytest.fixture(scope="module")
def server(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """A server that has such an extension."""
    with server_with_extension(postgres_server) as made:
        yield made


@pytest.fixture
def database(server: PostgresServer, home: Home) -> Iterator[str]:
    """A database with it, which is the datasource of the home."""
    name = server.create_database()
    with server.connect(name) as connection:
        with_own_rows(connection)
    home.configure(postgres_table(server, name))
    yield name
    for one in server.databases():
        if one.startswith(name):
            server.drop_database(one)


@pytest.mark.parametrize("choice", ["--deep", "--data-only"])
def test_the_rows_of_the_user_come_back_and_those_of_the_extension_stay(
    home: Home, server: PostgresServer, database: str, choice: str
) -> None:
    comes_back(home, server, database, _CHANGES, choice, "--overwrite")


def test_rows_of_an_extension_alone_are_none_that_would_be_replaced(
    home: Home, server: PostgresServer, database: str
) -> None:
    comes_back(
        home,
        server,
        database,
        "TRUNCATE t; DELETE FROM more.places WHERE id > 100; DELETE FROM more.notes",
        "--data-only",
    )


def test_a_table_that_the_extension_makes_is_chosen_by_its_rows_alone(
    home: Home, server: PostgresServer, database: str
) -> None:
    before = digest_of(server, database)
    whole_backup(home)
    server.execute("DELETE FROM more.places WHERE id > 100", database)
    chosen = ("restore", "nightly@latest", "--table", "more.places", "--overwrite", "--yes")
    refused = home.dgtui(*chosen)
    assert refused.exit_code == 2, refused
    assert "more.places is not in the backup, only its rows are" in refused.errors
    done = home.dgtui(*chosen, "--data-only")
    assert done.exit_code == 0, done
    assert digest_of(server, database) == before
