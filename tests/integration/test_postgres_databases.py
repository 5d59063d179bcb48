"""Databases as targets of a restore: made, looked at, removed, and put in the place of another one."""

import contextlib
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql

from dgtui.engine.datasources import postgres_swap
from dgtui.engine.datasources.postgres_databases import end_sessions
from dgtui.engine.datasources.postgres_names import (
    connection_string,
    name_beside,
    parse_table_name,
    table_name,
    table_pattern,
)
from dgtui.engine.errors import (
    ConfigError,
    PermissionDenied,
    RestoreError,
)
from dgtui.engine.reporting import SilentReporter
from tests.integration.postgres_case import Listener, datasource, role
from tests.support.homes import PATIENCE_SECONDS
from tests.support.postgres import PostgresServer, wait_until


@pytest.fixture
def target(postgres_server: PostgresServer) -> Iterator[str]:
    """A name for a database, which is removed at the end."""
    name = 'the "target"'
    yield name
    postgres_server.drop_database(name)


def test_a_target_is_made_like_another_one(postgres_server: PostgresServer, target: str) -> None:
    with role(postgres_server, "some owner") as owner, postgres_server.database('like "this"') as model:
        name = sql.Identifier(model)
        for statement in (
            f'ALTER DATABASE {{}} OWNER TO "{owner}"',
            "ALTER DATABASE {} CONNECTION LIMIT 17",
            "ALTER DATABASE {} SET search_path = '$user', 'Odd, \"schema\"', ''",
            "ALTER DATABASE {} SET \"my.setting\" = 'it''s'",
            f"ALTER ROLE \"{owner}\" IN DATABASE {{}} SET work_mem = '5MB'",
            "REVOKE ALL ON DATABASE {} FROM PUBLIC",
            f'GRANT CREATE, CONNECT ON DATABASE {{}} TO "{owner}" WITH GRANT OPTION',
            "COMMENT ON DATABASE {} IS 'it''s a \\ comment'",
        ):
            postgres_server.execute(sql.SQL(statement).format(name))
        source = datasource(postgres_server, model)
        source.create_target(target, like=model)
        facts = {
            database: postgres_server.execute(
                sql.SQL(
                    """SELECT datdba, encoding, datcollate, datctype, datconnlimit, datallowconn, dattablespace,
                              (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(datacl) a),
                              shobj_description(d.oid, 'pg_database'),
                              (SELECT array_agg(setrole::text || setconfig::text ORDER BY setrole)
                               FROM pg_db_role_setting WHERE setdatabase = d.oid)
                       FROM pg_database d WHERE datname = {}"""
                ).format(database)
            )
            for database in (model, target)
        }
        assert facts[target] == facts[model]
        assert facts[target][0][4] == 17
        assert "it''s" not in str(facts[target][0][9])
        postgres_server.drop_database(target)


def test_the_state_of_a_target(postgres_server: PostgresServer, target: str) -> None:
    source = datasource(postgres_server, "postgres")
    assert not source.target_state(target).exists
    source.create_target(target)
    assert source.target_state(target).empty
    with postgres_server.connect(target, application_name="psql of somebody") as somebody:
        somebody.execute("CREATE TYPE mood AS ENUM ('ok')")
        state = source.target_state(target)
        assert not state.empty
        assert [client.program for client in state.clients] == ["psql of somebody"]
        source.drop_target(target)
        source.drop_target(target)
    assert target not in postgres_server.databases()


def test_the_servers_own_databases_are_never_removed(postgres_server: PostgresServer, target: str) -> None:
    source = datasource(postgres_server, "postgres")
    before = postgres_server.databases()
    for name in ("postgres", "template0", "template1"):
        with pytest.raises(RestoreError):
            source.drop_target(name)
    source.create_target(target)
    postgres_server.execute(sql.SQL("ALTER DATABASE {} IS_TEMPLATE true").format(sql.Identifier(target)))
    with pytest.raises(RestoreError):
        source.drop_target(target)
    postgres_server.execute(sql.SQL("ALTER DATABASE {} IS_TEMPLATE false").format(sql.Identifier(target)))
    assert postgres_server.databases() == before | {target}


def test_names_beside() -> None:
    assert name_beside("shop", "__dgtui_new") == "shop__dgtui_new"
    for name in ("x" * 63, "é" * 31, "🐘" * 15 + "abc"):
        beside = name_beside(name, "__dgtui_new")
        assert len(beside.encode()) <= 63
        assert beside.endswith("__dgtui_new")
    assert name_beside("x" * 62 + "1", "__new") != name_beside("x" * 62 + "2", "__new")


def test_names_of_tables_go_there_and_back() -> None:
    for schema, name in (("public", "orders"), ("public", "Order Items"), ('a"b', "c.d"), ("x.y", 'z"."w'), ("s", ".")):
        assert parse_table_name(table_name(schema, name)) == (schema, name)
    assert parse_table_name("Orders") == (None, "Orders")
    assert parse_table_name("public.Order Items") == ("public", "Order Items")
    assert table_pattern('public."a""b*"') == '"public"."a""b*"'
    assert connection_string({"dbname": "it's \\ x"}) == "dbname='it\\'s \\\\ x'"


# Swapping


def test_swap_under_writers(postgres_server: PostgresServer) -> None:
    """Each write that was confirmed is in the old database or in the new one, and the name is never lost."""
    stop, confirmed, unknown = threading.Event(), [0], [0]

    def write() -> None:
        while not stop.is_set():
            under_way = False
            try:
                with postgres_server.connect("live") as connection:
                    while not stop.is_set():
                        under_way = True
                        connection.execute("INSERT INTO journal DEFAULT VALUES")
                        under_way = False
                        confirmed[0] += 1
            except psycopg.OperationalError:
                # The session was ended; the server may have done so after it had made the write.
                unknown[0] += under_way

    with postgres_server.database("live"), postgres_server.database("next"):
        for name in ("live", "next"):
            postgres_server.execute(f"CREATE TABLE journal (i serial); CREATE TABLE of_{name} ()", name)
        writers = [threading.Thread(target=write) for _ in range(1)]
        for writer in writers:
            writer.start()
        source, listener = datasource(postgres_server, "live"), Listener()
        try:
            wait_until(lambda: confirmed[0] > 100, "writers are at work")
            source.swap("next", "live", 'old "live"', listener)
            after = confirmed[0]
            wait_until(lambda: confirmed[0] > after + 100, "writers are at work again")
        finally:
            stop.set()
            for writer in writers:
                writer.join()
        try:
            assert "next" not in postgres_server.databases()
            assert {item.name for item in source.inventory("live")} == {"public.journal", "public.of_next"}
            assert {item.name for item in source.inventory('old "live"')} == {"public.journal", "public.of_live"}
            counts = [
                postgres_server.execute("SELECT count(*) FROM journal", name)[0][0] for name in ("live", 'old "live"')
            ]
            assert min(counts) > 100
            assert confirmed[0] <= sum(counts) <= confirmed[0] + unknown[0]
            assert any("ms while the databases changed places" in line for line in listener.lines)
        finally:
            postgres_server.drop_database('old "live"')


def test_swap_where_nothing_was(postgres_server: PostgresServer, target: str) -> None:
    listener = Listener()
    with postgres_server.database() as new:
        datasource(postgres_server, "postgres").swap(new, target, "unused", listener)
        assert listener.lines == [], "no databases changed places, and nobody missed one meanwhile"
        assert target in postgres_server.databases()
        assert not {new, "unused"} & postgres_server.databases()


def test_a_swap_that_fails_leaves_everything(postgres_server: PostgresServer) -> None:
    with postgres_server.database("live") as live, postgres_server.database("next") as new:
        postgres_server.execute("CREATE TABLE of_live ()", live)
        source = datasource(postgres_server, live)
        before = postgres_server.databases()
        in_live = "SELECT 1 FROM pg_stat_activity WHERE datname = 'live'"
        wait_until(lambda: not postgres_server.execute(in_live), "the end of our own session")
        with postgres_server.database("taken"), pytest.raises(RestoreError, match="already a database taken"):
            source.swap(new, live, "taken", SilentReporter())
        with pytest.raises(RestoreError, match="no database nowhere"):
            source.swap("nowhere", live, "kept", SilentReporter())
        with role(postgres_server, "weak", "LOGIN CREATEDB") as weak:
            with pytest.raises(RestoreError, match="could not be swapped"):
                datasource(postgres_server, live, username=weak).swap(new, live, "kept", SilentReporter())
            with postgres_server.connect(live) as other:
                process = other.info.backend_pid
                with pytest.raises(RestoreError) as caught:
                    datasource(postgres_server, live, username=weak).swap(new, live, "kept", SilentReporter())
            assert f"Connected: pid {process} of postgres, a superuser." in caught.value.hint
            assert "pg_signal_backend" in caught.value.hint
        postgres_server.execute(f"ALTER DATABASE {new} IS_TEMPLATE true; ")
        postgres_server.execute(f"ALTER DATABASE {new} IS_TEMPLATE false")
        assert postgres_server.databases() == before
        assert [item.name for item in source.inventory(live)] == ["public.of_live"]
        with postgres_server.connect(live) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_session_that_is_about_to_end_by_itself_is_waited_for(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As that of a client of another role, which has left: a busy server takes its time to let it go."""
    monkeypatch.setattr(postgres_swap, "_GOING_SECONDS", PATIENCE_SECONDS)
    with role(postgres_server, "plain", "LOGIN CREATEDB") as plain, postgres_server.database() as live:
        postgres_server.execute(f"ALTER DATABASE {live} OWNER TO {plain}")
        new = postgres_server.create_database()
        postgres_server.execute(f"ALTER DATABASE {new} OWNER TO {plain}")
        with postgres_server.connect(live) as connection:
            backend = connection.info.backend_pid
            os.kill(backend, signal.SIGSTOP)

        def refused(*arguments: Any) -> int:
            try:
                return end_sessions(*arguments)
            except psycopg.errors.InsufficientPrivilege:
                os.kill(backend, signal.SIGCONT)
                raise

        monkeypatch.setattr(postgres_swap, "end_sessions", refused)
        try:
            datasource(postgres_server, live, username=plain).swap(new, live, "kept", SilentReporter())
            assert "kept" in postgres_server.databases()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(backend, signal.SIGCONT)
            for name in (new, "kept"):
                postgres_server.drop_database(name)


def test_an_administrator_who_ends_our_own_session_at_the_swap(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then no right is missing: the connection was lost, and that is said."""
    with postgres_server.database() as live, postgres_server.database() as new:

        def ended(connection: psycopg.Connection[Any], _: object) -> int:
            connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            raise AssertionError

        monkeypatch.setattr(postgres_swap, "end_sessions", ended)
        with pytest.raises(RestoreError, match=r"could not be swapped: The connection to .* was lost") as raised:
            datasource(postgres_server, live).swap(new, live, "kept", SilentReporter())
        assert "GRANT" not in raised.value.hint
        assert "kept" not in postgres_server.databases()


def test_a_name_that_the_server_would_cut_is_no_target(postgres_server: PostgresServer) -> None:
    source = datasource(postgres_server, "postgres")
    with pytest.raises(ConfigError, match="63 bytes"):
        source.target_state("x" * 64)
    assert not source.target_state("x" * 63).exists


@pytest.mark.parametrize("name", ["template0", "template1"])
def test_what_new_databases_are_made_of_is_no_target(postgres_server: PostgresServer, name: str) -> None:
    with pytest.raises(RestoreError, match="every new database"):
        datasource(postgres_server, "postgres").target_state(name)


def test_who_may_make_databases_and_not_in_their_tablespace_is_told_the_right_for_it(
    postgres_server: PostgresServer, target: str
) -> None:
    folder = postgres_server.folder / "space"
    folder.mkdir()
    shutil.chown(folder, postgres_server.data.owner())
    with role(postgres_server, "maker", "LOGIN CREATEDB") as maker, postgres_server.database() as model:
        postgres_server.execute(f"CREATE TABLESPACE space LOCATION '{folder}'")
        postgres_server.execute(f"ALTER DATABASE {model} SET TABLESPACE space")
        try:
            with pytest.raises(PermissionDenied) as caught:
                datasource(postgres_server, model, username=maker).create_target(target, like=model)
        finally:
            postgres_server.execute(f"ALTER DATABASE {model} SET TABLESPACE pg_default")
            postgres_server.execute("DROP TABLESPACE space")
    assert caught.value.hint == "Run as a superuser: GRANT CREATE ON TABLESPACE space TO maker;"
