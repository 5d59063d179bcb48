"""Backups of PostgreSQL that name roles, on a server that does not have them."""

from pathlib import Path

import pytest

from dgtui.engine.datasources.loading import Selection
from dgtui.engine.datasources.postgres_rows import RowsChoice
from dgtui.engine.datasources.postgres_toc import Toc, TocEntry
from tests.integration.postgres_case import datasource, role
from tests.support.homes import Home
from tests.support.postgres import PostgresServer
from tests.support.pump import FileArchive, dump_to, load_into
from tests.support.round_trips import postgres_table, restored, whole_backup

GONE = ('go"ne', "gone; two")
_FOR_ROLES = """
CREATE TABLE t (i int); INSERT INTO t VALUES (1); ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY "p TO x" ON t AS RESTRICTIVE FOR SELECT TO "go""ne", "gone; two" USING (i > 0);
COMMENT ON POLICY "p TO x" ON t IS 'of those who are gone';
CREATE POLICY for_all ON t USING (true);
ALTER DEFAULT PRIVILEGES FOR ROLE "go""ne" GRANT SELECT ON TABLES TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO "gone; two";
CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;
CREATE USER MAPPING FOR "gone; two" SERVER s; CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS (x 'y');
"""


def _end(server: PostgresServer, database: str) -> None:
    for name in GONE:
        quoted = name.replace('"', '""')
        server.execute(f'DROP OWNED BY "{quoted}"', database)
        server.execute(f'DROP ROLE "{quoted}"')


def _begin(server: PostgresServer, database: str) -> None:
    for name in GONE:
        server.execute('CREATE ROLE "{}"'.format(name.replace('"', '""')))
    server.execute(_FOR_ROLES, database)


def test_what_is_for_missing_roles_alone_is_left_out_and_told(
    postgres_server: PostgresServer, postgres_database: str, tmp_path: Path
) -> None:
    source, target = datasource(postgres_server, postgres_database), f"{postgres_database}_2"
    _begin(postgres_server, postgres_database)
    dump_to(source, tmp_path / "backup.dump", scratch=tmp_path)
    _end(postgres_server, postgres_database)
    archive = FileArchive(tmp_path / "backup.dump")
    missing = source.missing_roles(archive, Selection())
    assert missing.owners == ()
    assert missing.grantees == GONE
    assert any(name.startswith("policy public.t p TO x (of ") for name in missing.left_out)
    outcome = load_into(source, tmp_path / "backup.dump", target, scratch=tmp_path)
    try:
        assert outcome.errors == ()
        assert any("is left out" in note and "policy public.t p TO x" in note for note in outcome.notes)
        assert postgres_server.execute("SELECT polname FROM pg_policy", target) == [("for_all",)]
        assert postgres_server.execute("SELECT usename FROM pg_user_mappings", target) == [("public",)]
        assert postgres_server.execute("SELECT count(*) FROM pg_default_acl", target) == [(0,)]
    finally:
        postgres_server.drop_database(target)


_POLICIES = """
SELECT polname, polpermissive, polcmd::text, polroles::regrole[]::text[], obj_description(oid) FROM pg_policy ORDER BY 1
"""


def _with_policies_for_others(server: PostgresServer, database: str) -> None:
    _begin(server, database)
    server.execute(
        'CREATE POLICY hides ON t AS RESTRICTIVE FOR UPDATE TO one_that_stays, "gone; two", "one TO go" '
        "USING (i > 1) WITH CHECK (i < 10); COMMENT ON POLICY hides ON t IS 'it''s needed';"
        'CREATE POLICY "sh""ows" ON t TO "go""ne", "one TO go" USING (true)',
        database,
    )


@pytest.mark.parametrize("choice", [(), ("--table", "t")])
def test_a_policy_that_is_for_others_too_is_made_for_these(
    home: Home, postgres_server: PostgresServer, postgres_database: str, choice: tuple[str, ...]
) -> None:
    """Left out, it would let them see and change more than before."""
    with role(postgres_server, "one_that_stays"), role(postgres_server, "one TO go"):
        _with_policies_for_others(postgres_server, postgres_database)
        home.configure(postgres_table(postgres_server, postgres_database))
        whole_backup(home)
        postgres_server.execute('DROP POLICY hides ON t; DROP POLICY "sh""ows" ON t', postgres_database)
        _end(postgres_server, postgres_database)
        order = ("restore", "nightly@latest", *choice, "--overwrite", "--yes")
        refused = home.dgtui(*order)
        assert refused.exit_code == 1, refused
        assert "public.t hides (of gone; two)" in refused.errors
        done = home.dgtui(*order, "--without-roles")
        assert done.exit_code == 0, done
        assert (
            "of their roles alone that exist on this server: without policy public.t hides (of gone; two)"
            in done.errors
        )
        try:
            assert postgres_server.execute(_POLICIES, postgres_database) == [
                ("for_all", True, "*", ["-"], None),
                ("hides", False, "w", ["one_that_stays", '"one TO go"'], "it's needed"),
                ('sh"ows', True, "*", ['"one TO go"'], None),
            ]
        finally:
            for name in postgres_server.databases() - {"postgres", "template0", "template1"}:
                if name.startswith(postgres_database):
                    postgres_server.drop_database(name)


_GRANTS = """
CREATE FUNCTION secret() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
REVOKE ALL ON FUNCTION secret() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION secret() TO one_that_stays;
GRANT EXECUTE ON FUNCTION secret() TO "gone; two" WITH GRANT OPTION;
SET SESSION AUTHORIZATION "gone; two"; GRANT EXECUTE ON FUNCTION secret() TO one_that_stays;
RESET SESSION AUTHORIZATION;
CREATE TABLE "a TO b;
" (a int, b int); GRANT SELECT ON "a TO b;
" TO "go""ne", one_that_stays;
REVOKE INSERT ON "a TO b;
" FROM CURRENT_USER; GRANT INSERT (b) ON "a TO b;
" TO CURRENT_USER;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO "go""ne";
"""
_RIGHTS = """
SELECT 'f', proacl::text FROM pg_proc WHERE proname = 'secret'
UNION ALL SELECT 't', relacl::text FROM pg_class WHERE relname ~ 'a TO b'
UNION ALL SELECT attname, attacl::text FROM pg_attribute WHERE attacl IS NOT NULL AND attrelid >= 16384
UNION ALL SELECT 'd', defaclacl::text FROM pg_default_acl ORDER BY 1
"""


@pytest.mark.parametrize("choice", [(), ("--jobs", "2")])
def test_what_was_taken_from_everybody_is_not_given_for_want_of_a_role(
    home: Home, postgres_server: PostgresServer, postgres_database: str, choice: tuple[str, ...]
) -> None:
    with role(postgres_server, "one_that_stays"):
        for name in GONE:
            postgres_server.execute('CREATE ROLE "{}"'.format(name.replace('"', '""')))
        postgres_server.execute(_GRANTS, postgres_database)
        home.configure(postgres_table(postgres_server, postgres_database))
        whole_backup(home)
        _end(postgres_server, postgres_database)
        rights = postgres_server.execute(_RIGHTS, postgres_database)
        assert any(what == "b" for what, _ in rights)
        other = f"{postgres_database}_2"
        order = ("restore", "nightly@latest", "--into", other, "--without-roles", "--yes")
        done = home.dgtui(*order, *choice)
        assert done.exit_code == 0, done
        assert "left out: public.FUNCTION secret() (to gone; two)" in done.errors
        try:
            assert postgres_server.execute(_RIGHTS, other) == rights
        finally:
            postgres_server.drop_database(other)
            postgres_server.execute("DROP OWNED BY one_that_stays", postgres_database)


def test_grants_on_a_large_object_are_none_of_the_schema(
    home: Home, postgres_server: PostgresServer, postgres_database: str
) -> None:
    """In part or in full, they would be made for an object that is not restored."""
    with role(postgres_server, "one_that_stays"), role(postgres_server, "gone; two"):
        postgres_server.execute(
            'SELECT lo_create(7); GRANT SELECT ON LARGE OBJECT 7 TO one_that_stays, "gone; two";'
            "COMMENT ON LARGE OBJECT 7 IS 'it'; CREATE TABLE t (i int)",
            postgres_database,
        )
        home.configure(postgres_table(postgres_server, postgres_database))
        whole_backup(home)
        postgres_server.execute('DROP OWNED BY "gone; two"; DROP ROLE "gone; two"', postgres_database)
        other = f"{postgres_database}_2"
        done = home.dgtui("restore", "nightly@latest", "--schema-only", "--into", other, "--without-roles", "--yes")
        postgres_server.execute('CREATE ROLE "gone; two"; DROP OWNED BY one_that_stays', postgres_database)
        try:
            assert done.exit_code == 0, done
        finally:
            postgres_server.drop_database(other)


@pytest.mark.parametrize("place", ["shop", "private"])
def test_a_backup_is_proven_where_its_roles_are_not(
    home: Home, postgres_server: PostgresServer, postgres_database: str, place: str
) -> None:
    _begin(postgres_server, postgres_database)
    home.configure(postgres_table(postgres_server, postgres_database))
    execution = whole_backup(home)
    _end(postgres_server, postgres_database)
    proven = home.dgtui("rehearse", execution.execution_id, "--place", place)
    assert proven.exit_code == 0, proven


def test_an_owner_who_may_make_databases_restores_in_place_and_undoes(
    home: Home, postgres_server: PostgresServer
) -> None:
    """No superuser, and no right on the tablespace that all databases lie in by themselves."""
    with role(postgres_server, "plain_owner", "LOGIN CREATEDB") as owner:
        name = postgres_server.create_database()
        before = postgres_server.databases()
        postgres_server.execute(f"ALTER DATABASE {name} OWNER TO {owner}")
        with postgres_server.connect(name, user=owner) as connection:
            connection.execute("CREATE TABLE t (i int); INSERT INTO t VALUES (1)")
        home.configure(postgres_table(postgres_server, name, username=owner))
        execution = whole_backup(home)
        postgres_server.execute("DELETE FROM t", name)
        try:
            restore = restored(home, execution, overwrite=True)
            assert postgres_server.execute("SELECT i FROM t", name) == [(1,)]
            undone = home.dgtui("undo", restore.restore_id, "--yes")
            assert undone.exit_code == 0, undone
            assert postgres_server.execute("SELECT i FROM t", name) == []
        finally:
            for made in (postgres_server.databases() - before) | {name}:
                postgres_server.drop_database(made)


_FOR_A_SUPERUSER = """
CREATE EXTENSION citext; CREATE EXTENSION pageinspect;
CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER "Watch" ON ddl_command_end EXECUTE FUNCTION watch();
CREATE FUNCTION leaky(i int) RETURNS int LANGUAGE sql IMMUTABLE LEAKPROOF AS 'SELECT i';
CREATE FUNCTION plain(i int) RETURNS int LANGUAGE sql AS 'SELECT i';
CREATE TYPE pair AS (a int, b int);
"""


def test_what_only_a_superuser_may_make_is_told_before_it_is_loaded(
    home: Home, postgres_server: PostgresServer, postgres_database: str
) -> None:
    """By no more than a note: a server may let others make it all the same."""
    postgres_server.execute(_FOR_A_SUPERUSER, postgres_database)
    home.configure(postgres_table(postgres_server, postgres_database))
    whole_backup(home)
    order = ("restore", "nightly@latest", "--into", f"{postgres_database}_2", "--without-roles", "--dry-run")
    told = home.dgtui(*order)
    assert "superuser" not in told.output
    with role(postgres_server, "just owner", "LOGIN CREATEDB") as owner:
        home.configure(postgres_table(postgres_server, postgres_database, username=owner))
        told = home.dgtui(*order)
    assert told.exit_code == 0, told
    assert (
        "Only a superuser may make extension pageinspect, function public.leaky(integer), event trigger Watch, and "
        '"just owner" is none' in told.output
    )
    assert 'ALTER ROLE "just owner" SUPERUSER;' in told.output


def test_grants_on_several_large_objects_go_with_their_content(postgres_server: PostgresServer) -> None:
    """pg_dump 17 and newer tell them once for all objects that have the same."""
    entries = (
        TocEntry(1, "BLOB METADATA", "", "7..9", "postgres", "7\n8\n9\n", "", ()),
        TocEntry(2, "ACL", "", "LARGE OBJECTS 7..9", "postgres", "GRANT ALL ON LARGE OBJECT 7 TO x;\n", "", (1,)),
        TocEntry(3, "ACL", "public", "TABLE t", "postgres", "GRANT ALL ON TABLE public.t TO x;\n", "", ()),
    )
    choice = RowsChoice("shop", Selection(backup_type="data_only"))
    with postgres_server.connect() as connection:
        assert choice.companions(connection, Toc("shop", "18.6", "18.6", entries), []) == list(entries[:2])
