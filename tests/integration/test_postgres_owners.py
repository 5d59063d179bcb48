"""Backups of PostgreSQL whose objects belong to several roles, on a server that lacks one or gives no right to it."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.integration.postgres_case import role
from tests.support.homes import Home
from tests.support.postgres import PostgresServer
from tests.support.round_trips import postgres_table, whole_backup

GONE, STAYS = 'go"ne; x', "st ays"
_ALL_KINDS = """
SET SESSION AUTHORIZATION "{role}"; SET search_path = "{schema}";
CREATE TYPE mood AS ENUM ('a'); CREATE TYPE pair AS (a int, b int); CREATE DOMAIN posi AS int CHECK (VALUE > 0);
CREATE TYPE "ran ge" AS RANGE (subtype = float8);
CREATE TABLE t (id serial PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY, m mood, q posi, "te""xt" text);
INSERT INTO t (m, q, "te""xt") SELECT 'a'::mood, 3, repeat('x', 100) FROM generate_series(1, 1000);
CREATE SEQUENCE numbers; CREATE VIEW "vi; ew" AS SELECT * FROM t;
CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM t;
CREATE INDEX ON t ("te""xt"); CREATE STATISTICS st ON id, q FROM t;
CREATE FUNCTION f(a int, "b B" text DEFAULT ') (of x') RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
CREATE PROCEDURE p(a int) LANGUAGE sql AS 'SELECT 1'; CREATE AGGREGATE total(int) (sfunc = int4pl, stype = int);
CREATE FUNCTION equal(int, int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 = $2';
CREATE OPERATOR === (leftarg = int, rightarg = int, procedure = equal);
CREATE COLLATION co FROM "C"; CREATE CONVERSION conv FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1;
CREATE TEXT SEARCH DICTIONARY words (template = simple); CREATE TEXT SEARCH CONFIGURATION conf (copy = simple);
CREATE TABLE parted (i int) PARTITION BY RANGE (i); CREATE TABLE part PARTITION OF parted FOR VALUES FROM (0) TO (9);
CREATE POLICY pol ON t USING (true); GRANT SELECT ON t TO PUBLIC; REVOKE ALL ON FUNCTION f(int, text) FROM PUBLIC;
CREATE PUBLICATION "pub {role}" FOR TABLE t; SELECT lo_from_bytea({number}, 'abc');
RESET SESSION AUTHORIZATION;
CREATE OPERATOR FAMILY fam USING btree; ALTER OPERATOR FAMILY fam USING btree OWNER TO "{role}";
CREATE OPERATOR CLASS cl FOR TYPE int USING btree FAMILY fam AS OPERATOR 3 === (int, int);
ALTER OPERATOR CLASS cl USING btree OWNER TO "{role}";
CREATE FOREIGN DATA WRAPPER "w {role}"; GRANT USAGE ON FOREIGN DATA WRAPPER "w {role}" TO PUBLIC;
CREATE SERVER "s {role}" FOREIGN DATA WRAPPER "w {role}"; ALTER SERVER "s {role}" OWNER TO "{role}";
CREATE FOREIGN TABLE away (i int) SERVER "s {role}"; ALTER FOREIGN TABLE away OWNER TO "{role}";
"""
_OWNERS = """
SELECT what, name, who::regrole::text FROM (
SELECT 'relation' what, oid::regclass::text name, relowner who FROM pg_class WHERE oid >= 16384
UNION ALL SELECT 'type', oid::regtype::text, typowner FROM pg_type WHERE oid >= 16384 AND typname !~ 'multirange'
UNION ALL SELECT 'function', oid::regprocedure::text, proowner FROM pg_proc WHERE oid >= 16384
UNION ALL SELECT 'schema', nspname, nspowner FROM pg_namespace WHERE oid >= 16384
UNION ALL SELECT 'operator', oid::regoperator::text, oprowner FROM pg_operator WHERE oid >= 16384
UNION ALL SELECT 'class', opcname || opcnamespace::regnamespace, opcowner FROM pg_opclass WHERE oid >= 16384
UNION ALL SELECT 'family', opfname || opfnamespace::regnamespace, opfowner FROM pg_opfamily WHERE oid >= 16384
UNION ALL SELECT 'collation', collname || collnamespace::regnamespace, collowner FROM pg_collation WHERE oid >= 16384
UNION ALL SELECT 'conversion', conname || connamespace::regnamespace, conowner FROM pg_conversion WHERE oid >= 16384
UNION ALL SELECT 'dictionary', dictname || dictnamespace::regnamespace, dictowner FROM pg_ts_dict WHERE oid >= 16384
UNION ALL SELECT 'configuration', cfgname || cfgnamespace::regnamespace, cfgowner FROM pg_ts_config WHERE oid >= 16384
UNION ALL SELECT 'statistics', stxname || stxnamespace::regnamespace, stxowner FROM pg_statistic_ext
UNION ALL SELECT 'publication', pubname, pubowner FROM pg_publication
UNION ALL SELECT 'server', srvname, srvowner FROM pg_foreign_server
UNION ALL SELECT 'large object', oid::text || (lomacl IS NULL), lomowner FROM pg_largeobject_metadata
UNION ALL SELECT 'rights', oid::regclass::text || relacl::text, relowner FROM pg_class WHERE relname = 't'
) of_all WHERE name !~ 'pg_toast' ORDER BY 1, 2
"""


@contextmanager
def _two_owners(server: PostgresServer, database: str) -> Iterator[None]:
    with role(server, STAYS):
        for number, name in enumerate((GONE.replace('"', '""'), STAYS), 7):
            if number == 7:
                server.execute(f'CREATE ROLE "{name}"')
            server.execute(f'GRANT CREATE ON DATABASE {database} TO "{name}"')
            server.execute(f'CREATE SCHEMA "s{number}" AUTHORIZATION "{name}"', database)
            server.execute(_ALL_KINDS.format(role=name, schema=f"s{number}", number=number), database)
        yield
        server.execute(f'DROP OWNED BY "{STAYS}" CASCADE', database)


def _without_the_first(server: PostgresServer, database: str) -> list[tuple[str, ...]]:
    """Give what is of the first role to the user of the tests; who owns what then."""
    name = GONE.replace('"', '""')
    server.execute(f'REASSIGN OWNED BY "{name}" TO postgres; DROP OWNED BY "{name}"', database)
    server.execute(f'DROP ROLE "{name}"')
    return server.execute(_OWNERS, database)


@pytest.mark.parametrize("choice", [(), ("--jobs", "2")])
def test_only_what_belonged_to_a_missing_role_loses_its_owner(
    home: Home, postgres_server: PostgresServer, postgres_database: str, choice: tuple[str, ...]
) -> None:
    other = f"{postgres_database}_2"
    with _two_owners(postgres_server, postgres_database):
        home.configure(postgres_table(postgres_server, postgres_database))
        whole_backup(home)
        owners = _without_the_first(postgres_server, postgres_database)
        order = ("restore", "nightly@latest", "--into", other, "--without-roles")
        told = home.dgtui(*order, "--dry-run", "--json").json()["outlook"]["missing_roles"]
        assert told["owners"] == [GONE]
        lost = set(told["ownerless"])
        assert {
            f'schema s7 (of {GONE})', f'table s7.t (of {GONE})', f'view s7."vi; ew" (of {GONE})',
            f'function s7.f(a integer, "b B" text) (of {GONE})', f"operator s7.=== (integer, integer) (of {GONE})",
            f'publication "pub {GONE.replace(chr(34), chr(34) * 2)}" (of {GONE})', f"large object 7 (of {GONE})",
            f"sequence s7.t_id_seq (of {GONE})",
        } <= lost  # fmt: skip
        assert not [one for one in lost if "s8" in one or STAYS in one or "t_n_seq" in one]
        done = home.dgtui(*order, "--yes", *choice)
        try:
            assert done.exit_code == 0, done.errors
            assert postgres_server.execute(_OWNERS, other) == owners
        finally:
            postgres_server.drop_database(other)


def test_chosen_tables_keep_the_owners_that_are_there(
    home: Home, postgres_server: PostgresServer, postgres_database: str
) -> None:
    with _two_owners(postgres_server, postgres_database):
        for schema in ("s7", "s8"):
            postgres_server.execute(
                f'DROP VIEW {schema}."vi; ew"; DROP MATERIALIZED VIEW {schema}.counted; ', postgres_database
            )
            postgres_server.execute(
                f"ALTER TABLE {schema}.t ADD CHECK ({schema}.f(1) > 0), ADD CHECK (id OPERATOR({schema}.===) id)",
                postgres_database,
            )
        home.configure(postgres_table(postgres_server, postgres_database))
        whole_backup(home)
        owners = _without_the_first(postgres_server, postgres_database)
        for schema in ("s7", "s8"):
            postgres_server.execute(
                f"DROP TABLE {schema}.t; DROP FUNCTION {schema}.f; DROP OPERATOR {schema}.=== (int, int) CASCADE;"
                f"DROP OPERATOR FAMILY {schema}.fam USING btree CASCADE; DROP FUNCTION {schema}.equal",
                postgres_database,
            )
        order = ("restore", "nightly@latest", "--table", "s7.t", "--table", "s8.t", "--overwrite", "--without-roles")
        done = home.dgtui(*order, "--yes")
        assert done.exit_code == 0, done
        assert postgres_server.execute(_OWNERS, postgres_database) == [
            one for one in owners if one[0] not in {"class", "family"}
        ]


@pytest.mark.parametrize("belongs", ["to nobody else", "without its rights"])
def test_what_a_role_owns_in_whose_name_the_user_may_not_act_becomes_the_users(
    home: Home, postgres_server: PostgresServer, postgres_database: str, belongs: str
) -> None:
    """A member that inherits nothing may hand things over, and could not go on with them."""
    other = f"{postgres_database}_2"
    with (
        role(postgres_server, "restorer", "LOGIN CREATEDB NOINHERIT") as restorer,
        role(postgres_server, "of_others"),
    ):
        if belongs == "without its rights":
            postgres_server.execute("GRANT of_others TO restorer")
        postgres_server.execute(
            "CREATE SCHEMA s AUTHORIZATION restorer; CREATE TABLE s.t (i int PRIMARY KEY);"
            "ALTER TABLE s.t OWNER TO of_others; CREATE TABLE s.mine (i int); ALTER TABLE s.mine OWNER TO restorer",
            postgres_database,
        )
        home.configure(postgres_table(postgres_server, postgres_database))
        whole_backup(home)
        home.configure(postgres_table(postgres_server, postgres_database, username=restorer))
        done = home.dgtui("restore", "nightly@latest", "--into", other, "--yes")
        try:
            assert done.exit_code == 0, done.errors
            assert "table s.t (of of_others): the user that restores will own them" in done.errors
            owners = "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = 's'::regnamespace"
            assert postgres_server.execute(owners, other) == [("restorer",)]
        finally:
            postgres_server.drop_database(other)
            postgres_server.execute("DROP OWNED BY of_others", postgres_database)
            postgres_server.execute("DROP OWNED BY restorer", postgres_database)


_OF_A_MEMBER = """
GRANT CREATE, USAGE ON SCHEMA public TO maker;
CREATE TYPE a_mood AS ENUM ('a'); ALTER TYPE a_mood OWNER TO maker;
CREATE TABLE t (id serial PRIMARY KEY, m a_mood); CREATE SEQUENCE a_first OWNED BY t.id; ALTER TABLE t OWNER TO maker;
INSERT INTO t (m) VALUES ('a'); CREATE TABLE own (i int REFERENCES t); ALTER TABLE own OWNER TO restorer;
CREATE FUNCTION f(m a_mood) RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER FUNCTION f OWNER TO maker;
CREATE VIEW v AS SELECT * FROM t; ALTER VIEW v OWNER TO maker;
REVOKE INSERT ON t FROM maker; GRANT SELECT ON t TO PUBLIC; REVOKE ALL ON FUNCTION f FROM PUBLIC;
"""


@pytest.mark.parametrize("choice", [(), ("--jobs", "2"), ("--table", "t", "--table", "own")])
def test_a_member_restores_what_another_role_may_make_by_a_grant_on_the_schema(
    home: Home, postgres_server: PostgresServer, postgres_database: str, choice: tuple[str, ...]
) -> None:
    """An archive grants last, and what belongs to nobody but by that grant comes before."""
    other = f"{postgres_database}_2"
    with (
        role(postgres_server, "maker") as maker,
        role(postgres_server, "restorer", f"LOGIN CREATEDB IN ROLE {maker}") as restorer,
    ):
        postgres_server.execute(f"ALTER DATABASE {postgres_database} OWNER TO {restorer}")
        postgres_server.execute(_OF_A_MEMBER, postgres_database)
        home.configure(postgres_table(postgres_server, postgres_database, username=restorer))
        whole_backup(home)
        owners = postgres_server.execute(_OWNERS, postgres_database)
        done = home.dgtui("restore", "nightly@latest", "--into", other, "--yes", *choice)
        try:
            assert done.exit_code == 0, done.errors
            restored = postgres_server.execute(_OWNERS, other)
            assert restored == [one for one in owners if "--table" not in choice or one in restored]
            assert len(restored) > 10
            place = (*choice, "--overwrite") if "--table" in choice else ()
            if place:
                postgres_server.execute("DROP VIEW v", postgres_database)
                done = home.dgtui("restore", "nightly@latest", "--yes", *place)
                assert done.exit_code == 0, done.errors
                views = [one for one in owners if one[1] not in ("v", "v[]")]
                assert postgres_server.execute(_OWNERS, postgres_database) == views
        finally:
            postgres_server.drop_database(other)
            postgres_server.execute("ALTER DATABASE " + postgres_database + " OWNER TO postgres")
            for name in (restorer, maker):
                postgres_server.execute(f"DROP OWNED BY {name} CASCADE", postgres_database)
