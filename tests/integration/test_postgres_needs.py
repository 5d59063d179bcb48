"""What chosen tables of PostgreSQL need to work, though the archive does not say that they depend on it."""

import pytest

from tests.support.homes import Home
from tests.support.postgres import PostgresServer
from tests.support.round_trips import comes_back, digest_of, postgres_table, whole_backup

_DOMAIN = """
CREATE DOMAIN amount AS int; CREATE TABLE t (i amount); INSERT INTO t VALUES (-1); CREATE TABLE other (i amount);
ALTER DOMAIN amount ADD CONSTRAINT late CHECK (VALUE > 0) NOT VALID;
COMMENT ON CONSTRAINT late ON DOMAIN amount IS 'for what comes from now on';
"""
_DOMAIN_CONSTRAINTS = """
SELECT conname, convalidated, obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE contypid >= 16384
"""
_EXCLUDED = """
CREATE SCHEMA more; CREATE EXTENSION btree_gist SCHEMA more; COMMENT ON EXTENSION btree_gist IS 'ours';
CREATE TABLE t (room int, at int4range, EXCLUDE USING gist (room WITH =, at WITH &&));
INSERT INTO t VALUES (1, '[1,3)');
"""


def test_a_domain_that_comes_along_has_the_constraints_that_were_not_validated(
    home: Home, postgres_server: PostgresServer, postgres_database: str
) -> None:
    postgres_server.execute(_DOMAIN, postgres_database)
    home.configure(postgres_table(postgres_server, postgres_database))
    whole_backup(home)
    target = f"{postgres_database}_2"
    done = home.dgtui("restore", "nightly@latest", "--table", "t", "--into", target, "--yes")
    try:
        assert done.exit_code == 0, done
        assert postgres_server.execute(_DOMAIN_CONSTRAINTS, target) == [("late", False, "for what comes from now on")]
        assert postgres_server.execute("SELECT to_regclass('other')", target) == [(None,)]
    finally:
        postgres_server.drop_database(target)


def test_a_domain_that_is_there_stays_as_it_is(
    home: Home, postgres_server: PostgresServer, postgres_database: str
) -> None:
    postgres_server.execute(_DOMAIN, postgres_database)
    home.configure(postgres_table(postgres_server, postgres_database))
    whole_backup(home)
    postgres_server.execute("ALTER DOMAIN amount DROP CONSTRAINT late; DELETE FROM t", postgres_database)
    done = home.dgtui("restore", "nightly@latest", "--table", "t", "--overwrite", "--yes")
    assert done.exit_code == 0, done
    assert postgres_server.execute("SELECT * FROM t", postgres_database) == [(-1,)]
    assert postgres_server.execute(_DOMAIN_CONSTRAINTS, postgres_database) == []


@pytest.mark.parametrize("into", [True, False])
def test_a_table_whose_constraint_needs_an_extension_comes_back(
    home: Home, postgres_server: PostgresServer, postgres_database: str, into: bool
) -> None:
    postgres_server.execute(_EXCLUDED, postgres_database)
    before = digest_of(postgres_server, postgres_database)
    home.configure(postgres_table(postgres_server, postgres_database))
    whole_backup(home)
    postgres_server.execute("DELETE FROM t", postgres_database)
    target = f"{postgres_database}_2" if into else postgres_database
    where = ("--into", target) if into else ("--overwrite",)
    done = home.dgtui("restore", "nightly@latest", "--table", "t", *where, "--yes")
    try:
        assert done.exit_code == 0, done
        assert "was not there and was made" not in done.errors
        assert digest_of(postgres_server, target) == before
    finally:
        if into:
            postgres_server.drop_database(target)


def test_a_text_search_configuration_that_is_there_stays(
    home: Home, postgres_server: PostgresServer, postgres_database: str
) -> None:
    """The server does not say of it, as of all else, that there is one already."""
    postgres_server.execute(
        "CREATE TEXT SEARCH DICTIONARY words (TEMPLATE = simple);"
        "CREATE TEXT SEARCH CONFIGURATION ours (COPY = simple);"
        "ALTER TEXT SEARCH CONFIGURATION ours ALTER MAPPING FOR asciiword WITH words;"
        "CREATE TABLE t (a text, v tsvector GENERATED ALWAYS AS (to_tsvector('public.ours', a)) STORED);"
        "INSERT INTO t VALUES ('a b')",
        postgres_database,
    )
    comes_back(home, postgres_server, postgres_database, "DELETE FROM t", "--table", "t", "--overwrite")


def test_an_event_trigger_that_forbids_definitions_is_named_as_what_does(
    home: Home, postgres_server: PostgresServer, postgres_database: str
) -> None:
    postgres_server.execute(
        "CREATE TABLE t (i int); INSERT INTO t VALUES (1); CREATE FUNCTION forbid() RETURNS event_trigger "
        "LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'not by day: %', tg_tag; END$$;"
        "CREATE EVENT TRIGGER forbid ON ddl_command_start EXECUTE FUNCTION forbid()",
        postgres_database,
    )
    before = digest_of(postgres_server, postgres_database)
    home.configure(postgres_table(postgres_server, postgres_database))
    whole_backup(home)
    refused = home.dgtui("restore", "nightly@latest", "--table", "t", "--overwrite", "--yes")
    assert refused.exit_code == 1, refused
    assert "not by day: DROP TABLE" in refused.errors
    assert "ALTER EVENT TRIGGER NAME DISABLE" in refused.errors
    assert digest_of(postgres_server, postgres_database) == before


def test_a_materialised_view_comes_with_the_tables_that_it_reads(
    home: Home, postgres_server: PostgresServer, postgres_database: str
) -> None:
    postgres_server.execute(
        "CREATE TABLE t (i int); INSERT INTO t VALUES (1), (2); CREATE VIEW v AS SELECT i FROM t;"
        "CREATE MATERIALIZED VIEW m AS SELECT i FROM v; CREATE MATERIALIZED VIEW empty AS SELECT i FROM v WITH NO DATA",
        postgres_database,
    )
    home.configure(postgres_table(postgres_server, postgres_database))
    whole_backup(home)
    target = f"{postgres_database}_2"
    refused = home.dgtui("restore", "nightly@latest", "--table", "m", "--into", target, "--yes")
    assert refused.exit_code == 2, refused
    assert "The rows of the materialised view public.m are computed from public.t" in refused.errors
    for choice in (("--table", "empty"), ("--table", "m", "--table", "t"), ("--table", "m", "--schema-only")):
        done = home.dgtui("restore", "nightly@latest", *choice, "--into", target, "--yes")
        try:
            assert done.exit_code == 0, done
            if "t" in choice:
                assert postgres_server.execute("SELECT * FROM m ORDER BY 1", target) == [(1,), (2,)]
        finally:
            postgres_server.drop_database(target)
