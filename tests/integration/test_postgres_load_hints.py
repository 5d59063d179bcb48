"""What to do next where a statement fails while a PostgreSQL archive is loaded: by what the server itself says."""

import psycopg
import pytest

from dgtui.engine.datasources.loading import LoadError
from dgtui.engine.datasources.postgres_load_hints import load_hint
from tests.integration.postgres_case import role
from tests.support.homes import Home
from tests.support.postgres import PostgresServer
from tests.support.round_trips import postgres_table, whole_backup

_TABLE = "CREATE TABLE t (i int CHECK (i > 0) NOT NULL); CREATE UNIQUE INDEX one ON t (i); INSERT INTO t VALUES (1);"
_CASES = (
    ('CREATE TABLE o (); ALTER TABLE o OWNER TO "go ne"', 'CREATE ROLE "go ne";'),
    ("CREATE EXTENSION no_such_thing", "Install the package"),
    ("CREATE FUNCTION f() RETURNS int LANGUAGE plnothing AS ''", "Install the package"),
    ("CREATE FUNCTION f() RETURNS int LANGUAGE c AS '$libdir/nothing', 'f'", "Install the package"),
    (f"{_TABLE} INSERT INTO t VALUES (-1)", "Rows of the backup break this rule"),
    (f"{_TABLE} INSERT INTO t VALUES (NULL)", "Rows of the backup break this rule"),
    (f"{_TABLE} INSERT INTO t VALUES (1)", "Rows of the backup break this rule"),
    ("CREATE TABLE p AS SELECT 1 AS i FROM generate_series(1, 2); CREATE UNIQUE INDEX ON p (i)", "break this rule"),
    ("CREATE TABLE p AS SELECT -1 AS i; ALTER TABLE p ADD CHECK (i > 0)", "break this rule"),
    ("CREATE TABLE p (i int) PARTITION BY LIST (i); INSERT INTO p VALUES (1)", "break this rule"),
    ("CREATE TABLE p (t text COLLATE nowhere)", "locale -a"),
    ("CREATE TABLE p () TABLESPACE nowhere", "make it there first"),
    ("SELECT convert_from('\\xff', 'UTF8')", "another encoding"),
    ("CREATE TABLE p () WITH (no_such_setting = 1)", "may be older"),
    ("CREATE NOTHING p", "may be older"),
    (f"{_TABLE} CREATE TABLE t ()", "made it before"),
    ("SELECT no_such_function(1)", "not there yet"),
    ("CREATE TABLE p (c public.no_such_type)", "not there yet"),
)


def _hint(connection: "psycopg.Connection[object]", statements: str) -> str:
    with pytest.raises(psycopg.Error) as failed:
        connection.execute(statements.encode())
    return load_hint([LoadError(message=f"ERROR:  {failed.value}"), LoadError(message="deadlock detected")], "us er")


@pytest.mark.parametrize(("statements", "told"), _CASES)
def test_the_hint_is_of_what_failed_first(
    postgres_server: PostgresServer, postgres_database: str, statements: str, told: str
) -> None:
    with postgres_server.connect(postgres_database) as connection:
        assert told in _hint(connection, statements)


@pytest.mark.parametrize(
    "statement", ["CREATE SCHEMA s", "SELECT * FROM pg_authid", "CREATE FOREIGN DATA WRAPPER w", "DROP TABLE others"]
)
def test_a_missing_right_is_told_as_one(
    postgres_server: PostgresServer, postgres_database: str, statement: str
) -> None:
    postgres_server.execute("CREATE TABLE others ()", postgres_database)
    with (
        role(postgres_server, "hints_plain") as plain,
        postgres_server.connect(postgres_database, user=plain) as connection,
    ):
        assert "us er lacks a right" in _hint(connection, statement)


def test_what_is_not_known_gets_no_hint_of_its_own() -> None:
    assert load_hint([], "user") == ""
    assert load_hint([LoadError(message="FEHLER:  Relation »t« existiert nicht")], "user") == ""


def test_rows_that_break_a_rule_come_back_without_their_source(
    home: Home, postgres_server: PostgresServer, postgres_database: str
) -> None:
    """By what the hint says: nothing can be mended at a source that is gone."""
    server, name = postgres_server, f"{postgres_database}_back"
    server.execute(
        "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (i int PRIMARY KEY, p int CONSTRAINT tie REFERENCES p);"
        "SET session_replication_role = replica; INSERT INTO c VALUES (1, 99); INSERT INTO p VALUES (1)",
        postgres_database,
    )
    home.configure(postgres_table(server, postgres_database))
    whole_backup(home)
    into = ("restore", "nightly@latest", "--into", name, "--yes")
    failed = home.dgtui(*into)
    assert failed.exit_code == 1, failed
    assert "restore with --schema-only under another name with --into NAME" in failed.errors
    try:
        assert home.dgtui(*into, "--schema-only").exit_code == 0
        server.execute("ALTER TABLE c DROP CONSTRAINT tie", name)
        done = home.dgtui(*into, "--data-only")
        assert done.exit_code == 0, done
        assert server.execute("SELECT i, p, (SELECT count(*) FROM p) FROM c", name) == [(1, 99, 1)]
    finally:
        server.drop_database(name)
