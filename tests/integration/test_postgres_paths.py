"""Databases of PostgreSQL whose functions name others without their schema: they come back all the same."""

from typing import Any

import pytest

from dgtui.engine.datasources.loading import LoadError, LoadOutcome
from dgtui.engine.datasources.postgres_paths import misses_path, path_option, with_path_of_session
from tests.support.homes import Home
from tests.support.postgres import PostgresServer
from tests.support.round_trips import postgres_table, whole_backup

_BY_PATH = """
CREATE SCHEMA "a b";
CREATE FUNCTION "a b".low(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower($1)';
CREATE FUNCTION lower_still(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT low($1)';
CREATE FUNCTION lowest(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN lower_still($1); END';
CREATE TABLE known (k int); INSERT INTO known VALUES (1);
CREATE FUNCTION is_known(int) RETURNS bool LANGUAGE plpgsql AS
    'BEGIN RETURN EXISTS (SELECT 1 FROM known WHERE k = $1); END';
CREATE TABLE t (x text, y text GENERATED ALWAYS AS (lowest(x)) STORED, k int CHECK (is_known(k)));
INSERT INTO t VALUES ('A', DEFAULT, 1), ('B', DEFAULT, 1);
CREATE INDEX ON t (lower_still(x));
CREATE MATERIALIZED VIEW m AS SELECT lower_still(k::text) AS x FROM known;
"""


@pytest.fixture
def database(postgres_database: str, postgres_server: PostgresServer) -> str:
    """A database that is loaded in vain without a search path."""
    postgres_server.execute(f'ALTER DATABASE {postgres_database} SET search_path TO "$user", public, "a b"')
    postgres_server.execute(_BY_PATH, postgres_database)
    return postgres_database


def content(server: PostgresServer, database: str) -> list[Any]:
    """What is in it; the common digest reads tables without a path, as these cannot be read."""
    rows = server.execute("SELECT x, y, k, (SELECT string_agg(x, '') FROM m) FROM t ORDER BY x", database)
    return [*rows, *server.execute("SELECT indexdef FROM pg_indexes WHERE tablename = 't'", database)]


def test_it_comes_back_in_place_and_elsewhere(home: Home, postgres_server: PostgresServer, database: str) -> None:
    """It is loaded again with the path that its users have, and that is told."""
    home.configure(postgres_table(postgres_server, database))
    execution = whole_backup(home)
    before = content(postgres_server, database)
    proven = home.dgtui("rehearse", execution.execution_id, "--deep")
    assert proven.exit_code == 0, proven
    for place, told in (
        (("--into", f"{database}_2"), "loaded again with the search path"),
        (("--overwrite",), "loaded again with the search path"),
        (("--overwrite", "--data-only"), ""),
    ):
        done = home.dgtui("restore", execution.execution_id, *place, "--yes")
        assert done.exit_code == 0, done
        assert told in done.errors
        postgres_server.execute("REFRESH MATERIALIZED VIEW m", database)
    assert content(postgres_server, database) == before
    assert content(postgres_server, f"{database}_2") == before
    for name in postgres_server.databases():
        if name.startswith(database):
            postgres_server.drop_database(name)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_archive_stays_as_long_as_it_is(size: int) -> None:
    """However it is cut; what says the same later is somebody's text."""
    says = b"SELECT pg_catalog.set_config('search_path', '', false);"
    archive = b"PGDMP" + says + b"\n" + says
    blocks = (archive[start : start + size] for start in range(0, len(archive), size))
    changed = b"".join(with_path_of_session(blocks))
    assert len(changed) == len(archive)
    assert changed.count(says) == 1
    assert changed.endswith(says)
    assert b"".join(with_path_of_session([b"PGDMP", b"x"])) == b"PGDMPx"


@pytest.mark.parametrize(
    ("message", "misses"),
    [
        ('COPY failed for table "t": ERROR:  relation "known" does not exist', True),
        ("ERROR:  function low(text) does not exist (HINT:  No function matches)", True),
        ('ERROR:  function "Low"(text, integer) does not exist', True),
        ("ERROR:  operator does not exist: text === text", True),
        ('ERROR:  type "mood" does not exist', True),
        ('ERROR:  relation "public.known" does not exist', False),
        ("ERROR:  function public.low(text) does not exist", False),
        ('ERROR:  column "b" of relation "bytes" does not exist', False),
        ('ERROR:  schema "many" already exists', False),
        ('ERROR:  role "owner" does not exist', False),
    ],
)
def test_what_a_path_may_lead_to(message: str, misses: bool) -> None:
    assert misses_path(LoadOutcome(errors=(LoadError(message=message),), error_count=1)) is misses


def test_a_path_as_an_option() -> None:
    assert path_option('"$user", "a\\b"') == r'-c search_path="$user",\ "a\\b"'
