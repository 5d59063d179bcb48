"""What a database is beside its content survives the loss of the original: restored by us and by RESTORE.txt."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from psycopg import sql

from dgtui.engine.properties import DatabaseGrant, DatabaseProperties, DatabaseSetting, from_metadata, to_metadata
from tests.integration.postgres_case import datasource, role
from tests.support.homes import Home
from tests.support.mariadb import MariadbServer
from tests.support.postgres import PostgresServer, running_server
from tests.support.round_trips import mysql_table, postgres_table, restored, whole_backup

_NAME = 'the "shop"; --'
_FACTS = """
SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype, datconnlimit,
       (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(datacl) a), shobj_description(d.oid, 'pg_database'),
       (SELECT array_agg(setrole::regrole::text || setconfig::text ORDER BY setrole)
        FROM pg_db_role_setting WHERE setdatabase = d.oid)
FROM pg_database d WHERE datname = {}
"""


def facts(server: PostgresServer, database: str) -> tuple[Any, ...]:
    """What pg_database and its companions say of a database."""
    return server.execute(sql.SQL(_FACTS).format(database))[0]


@pytest.fixture
def owner(postgres_server: PostgresServer) -> Iterator[str]:
    """A role with an awkward name."""
    with role(postgres_server, "some owner") as name:
        yield name


@pytest.fixture
def special(postgres_server: PostgresServer, owner: str) -> Iterator[str]:
    """A database in which nothing is as usual, removed at the end under whatever it holds then."""
    name = sql.Identifier(_NAME)
    making = "CREATE DATABASE {} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' OWNER {}"
    postgres_server.execute(sql.SQL(making).format(name, sql.Identifier(owner)))
    for statement in (
        "ALTER DATABASE {} CONNECTION LIMIT 17",
        "ALTER DATABASE {} SET search_path = '$user', 'Odd, \"schema\"', ''",
        "ALTER DATABASE {} SET \"my.setting\" = 'it''s'",
        "ALTER DATABASE {} SET default_transaction_read_only = on",
        "ALTER DATABASE {} SET TimeZone = 'Asia/Kathmandu'",
        f"ALTER ROLE \"{owner}\" IN DATABASE {{}} SET work_mem = '5MB'",
        "REVOKE ALL ON DATABASE {} FROM PUBLIC",
        f'GRANT CREATE, CONNECT ON DATABASE {{}} TO "{owner}" WITH GRANT OPTION',
        "COMMENT ON DATABASE {} IS 'it''s a \\ comment\nSQL\n\\! touch /tmp/dgtui-injected'",
    ):
        postgres_server.execute(sql.SQL(statement).format(name))
    with postgres_server.connect(_NAME) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute("CREATE TABLE public.t AS SELECT 'é'::text AS a")
    yield _NAME
    postgres_server.drop_database(_NAME)
    postgres_server.drop_database("other")


def test_a_lost_postgres_database_comes_back_as_it_was(
    home: Home, postgres_server: PostgresServer, special: str
) -> None:
    before = facts(postgres_server, special)
    home.configure(postgres_table(postgres_server, special))
    execution = whole_backup(home)
    postgres_server.drop_database(special)
    restored(home, execution)
    assert facts(postgres_server, special) == before
    assert postgres_server.execute("SELECT a FROM public.t", special) == [("é",)]
    restored(home, execution, database="other")
    assert facts(postgres_server, "other") == before


def test_an_in_place_restore_gives_the_new_database_what_the_old_one_has(
    home: Home, postgres_server: PostgresServer, special: str
) -> None:
    """What it has now, and not what it had at the backup; so does the undo."""
    home.configure(postgres_table(postgres_server, special))
    execution = whole_backup(home)
    for statement in ("ALTER DATABASE {} CONNECTION LIMIT 18", "ALTER DATABASE {} SET work_mem = '6MB'"):
        postgres_server.execute(sql.SQL(statement).format(sql.Identifier(special)))
    with postgres_server.connect(special) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute("UPDATE public.t SET a = 'changed'")
    before = facts(postgres_server, special)
    record = restored(home, execution, overwrite=True)
    assert facts(postgres_server, special) == before
    assert postgres_server.execute("SELECT a FROM public.t", special) == [("é",)]
    engine = home.engine()
    assert home.finish(engine, engine.start_undo(record)).status == "completed"
    assert facts(postgres_server, special) == before
    assert postgres_server.execute("SELECT a FROM public.t", special) == [("changed",)]
    kept = home.engine().kept_replaced()[0].kept_as
    assert facts(postgres_server, kept) == before
    postgres_server.drop_database(kept)


def test_a_template_stays_one_and_what_is_kept_of_it_can_be_removed(
    home: Home, postgres_server: PostgresServer
) -> None:
    templates = "SELECT datname FROM pg_database WHERE datistemplate AND datname !~ '^template'"
    with postgres_server.database() as name:
        postgres_server.execute("CREATE TABLE t (a int)", name)
        home.configure(postgres_table(postgres_server, name))
        execution = whole_backup(home)
        postgres_server.execute(f"ALTER DATABASE {name} IS_TEMPLATE true")
        try:
            record = restored(home, execution, overwrite=True)
            assert postgres_server.execute(templates) == [(name,)]
            engine = home.engine()
            assert home.finish(engine, engine.start_undo(record)).status == "completed"
            assert postgres_server.execute(templates) == [(name,)]
            undo = home.engine().restores()[0]
            assert undo.kept_as in postgres_server.databases()
            home.engine().drop_replaced(undo)
            assert undo.kept_as not in postgres_server.databases()
        finally:
            postgres_server.execute(f"ALTER DATABASE {name} IS_TEMPLATE false")


@pytest.mark.parametrize("choice", [(), ("--jobs", "2"), ("--data-only",), ("--table", "t")])
def test_no_setting_of_the_database_changes_what_is_loaded(
    home: Home, postgres_server: PostgresServer, choice: tuple[str, ...]
) -> None:
    before = postgres_server.databases()
    with postgres_server.database() as name:
        postgres_server.execute("CREATE TABLE t AS SELECT ARRAY['a', NULL, 'NULL'] AS list", name)
        postgres_server.execute(f"ALTER DATABASE {name} SET array_nulls = off")
        home.configure(postgres_table(postgres_server, name))
        whole_backup(home)
        done = home.dgtui("restore", "nightly@latest", *choice, "--overwrite", "--yes")
        try:
            assert done.exit_code == 0, done
            assert postgres_server.execute("SELECT list FROM t", name) == [(["a", None, "NULL"],)]
        finally:
            for kept in postgres_server.databases() - before - {name}:
                postgres_server.drop_database(kept)


def test_the_provider_of_the_locale_is_not_that_of_the_server(home: Home) -> None:
    """Texts would sort and compare in another way, and not every encoding goes with ICU."""
    locale = (
        "SELECT datlocprovider, datcollate, datctype, pg_encoding_to_char(encoding) FROM pg_database WHERE datname = "
    )
    making = ("--locale-provider=icu", "--icu-locale=de")
    with running_server(making=making) as server:
        if server.execute("SELECT datlocprovider FROM pg_database WHERE datname = 'template0'") != [("i",)]:
            pytest.skip("this PostgreSQL was made without ICU")
        server.execute("CREATE DATABASE shop TEMPLATE template0 LOCALE_PROVIDER libc LC_COLLATE 'C' ENCODING SQL_ASCII")
        before = server.execute(f"{locale} 'shop'")
        home.configure(postgres_table(server, "shop"))
        server.execute("CREATE TABLE t AS SELECT 'a' AS a", "shop")
        execution = whole_backup(home)
        restored(home, execution, overwrite=True)
        assert server.execute(f"{locale} 'shop'") == before
        restored(home, execution, database="other")
        assert server.execute(f"{locale} 'other'") == before
        server.drop_database("shop")
        restored(home, execution)
        assert server.execute(f"{locale} 'shop'") == before


def test_the_commands_of_restore_txt_bring_the_properties_back(
    home: Home, postgres_server: PostgresServer, special: str
) -> None:
    before = facts(postgres_server, special)
    home.configure(postgres_table(postgres_server, special))
    folder = Path(whole_backup(home).copies[0].path)
    postgres_server.drop_database(special)
    environment = {**os.environ, "TMPDIR": str(home.folder), "PGOPTIONS": ""}
    environment["PATH"] = f"{postgres_server.binaries}:{environment['PATH']}"
    done = subprocess.run(
        ["sh", "-e", "RESTORE.txt"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "ERROR" not in done.stderr
    assert facts(postgres_server, special) == before
    assert not Path("/tmp/dgtui-injected").exists()


def test_what_another_server_lacks_is_told_and_left_out(
    home: Home, postgres_server: PostgresServer, special: str, owner: str
) -> None:
    before = facts(postgres_server, special)
    home.configure(postgres_table(postgres_server, special))
    execution = whole_backup(home)
    with running_server() as other:
        home.configure(
            postgres_table(postgres_server, special) + postgres_table(other, "elsewhere", name="standby"),
        )
        engine = home.engine()
        snapshot = home.finish(engine, engine.start_restore(execution, datasource="standby"))
        assert snapshot.status == "completed", snapshot.problem
        told = [line.text for line in snapshot.log if owner in line.text]
        assert any("The owner" in text for text in told)
        assert any("The grants" in text for text in told)
        assert any("The settings" in text for text in told)
        found = facts(other, "elsewhere")
        assert found[:5] == ("postgres", *before[1:5])
        assert "comment" in found[6]
        assert len(found[7]) == 1
        assert other.execute("SELECT a FROM public.t", "elsewhere") == [("é",)]


def test_properties_that_no_server_could_give_are_left_out(postgres_server: PostgresServer) -> None:
    source = datasource(postgres_server, "postgres")
    recorded = DatabaseProperties(
        encoding="UTF8",
        collation="tlh_QO.UTF-8",
        character_type="tlh_QO.UTF-8",
        tablespace="gone",
        owner="nobody of ours",
        grants=(DatabaseGrant(privilege="CONNECT TO x; DROP ROLE y"), DatabaseGrant(privilege="SELECT")),
        settings=(
            DatabaseSetting(name="no_such_setting", value="1"),
            DatabaseSetting(name="work_mem", value="much"),
            DatabaseSetting(name="session_preload_libraries", value="no_such_library"),
        ),
    )
    told = "\n".join(source.lacking_properties(recorded))
    for word in ("nobody of ours", "tlh_QO", "gone", "no_such_setting"):
        assert word in told
    try:
        notes = "\n".join(source.create_as_recorded("strange", recorded))
        for word in ("work_mem", "SELECT", "nobody can connect"):
            assert word in notes
        assert facts(postgres_server, "strange")[:2] == ("postgres", "UTF8")
        assert source.target_state("strange").empty
    finally:
        postgres_server.drop_database("strange")


def test_a_lost_mariadb_database_comes_back_as_it_was(home: Home, mariadb: MariadbServer) -> None:
    query = (
        "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME, SCHEMA_COMMENT FROM information_schema.SCHEMATA "
        "WHERE SCHEMA_NAME = 'old shop'"
    )
    with mariadb.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE `old shop` CHARACTER SET latin2 COLLATE latin2_czech_cs COMMENT 'a \\\\ it''s'")
        cursor.execute("CREATE TABLE `old shop`.t (a VARCHAR(10))")
        cursor.execute(query)
        before = cursor.fetchone()
    home.configure(mysql_table(mariadb, "old shop"))
    execution = whole_backup(home)
    mariadb.execute("DROP DATABASE `old shop`")
    restored(home, execution)
    with mariadb.connect() as connection, connection.cursor() as cursor:
        cursor.execute(query)
        assert cursor.fetchone() == before
    text = (Path(execution.copies[0].path) / "RESTORE.txt").read_text()
    assert "CHARACTER SET latin2 COLLATE latin2_czech_cs" in text
    source = mariadb.datasource("old shop")
    unknown = DatabaseProperties(encoding="utf8mb4", collation="utf8mb4_0900_ai_ci")
    assert "utf8mb4_0900_ai_ci" in source.lacking_properties(unknown)[0]
    source.create_as_recorded("new shop", unknown)
    assert not source.lacking_properties(DatabaseProperties(encoding="utf8mb4", collation="utf8mb4_uca1400_as_cs"))


def test_properties_in_a_manifest_are_read_as_they_were_written() -> None:
    properties = DatabaseProperties(
        encoding="UTF8",
        comment="",
        grants=(DatabaseGrant(privilege="CONNECT", grantee="app"),),
        settings=(DatabaseSetting(name="work_mem", value="5MB", role="app"),),
    )
    metadata = {"properties": msgspec.json.decode(msgspec.json.encode(to_metadata(properties))), "product": "x"}
    assert from_metadata(metadata) == properties
    assert from_metadata({"properties": {"grants": "all"}}) is None
    assert from_metadata({}) is None
