"""Databases of PostgreSQL with event triggers: what is restored is no event to them."""

from pathlib import Path
from typing import Any

import psycopg
import pytest

from dgtui.engine.datasources import postgres_connection
from dgtui.engine.datasources.postgres_connection import Access, PostgresSettings
from dgtui.engine.datasources.postgres_event_triggers import event_triggers_last
from dgtui.engine.datasources.postgres_toc import read_toc
from tests.integration.postgres_case import datasource
from tests.support.homes import Home
from tests.support.postgres import PostgresServer
from tests.support.pump import FileArchive, dump_to
from tests.support.round_trips import postgres_table, restored, whole_backup

_LOGGED = """
CREATE TABLE sold (id int PRIMARY KEY, price int);
INSERT INTO sold VALUES (1, 2), (2, 3);
CREATE MATERIALIZED VIEW sums AS SELECT sum(price) FROM sold;
CREATE TABLE definitions (what text);
CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO public.definitions VALUES (tg_tag); END';
CREATE EVENT TRIGGER "No'te" ON ddl_command_end EXECUTE FUNCTION note();
COMMENT ON EVENT TRIGGER "No'te" IS 'for the audit';
CREATE FUNCTION forbid() RETURNS event_trigger LANGUAGE plpgsql AS
    $$BEGIN RAISE EXCEPTION 'not here'; END$$;
CREATE EVENT TRIGGER forbids ON ddl_command_start WHEN tag IN ('REFRESH MATERIALIZED VIEW') EXECUTE FUNCTION forbid();
CREATE EVENT TRIGGER sleeps ON ddl_command_end EXECUTE FUNCTION forbid();
ALTER EVENT TRIGGER sleeps DISABLE;
"""
_STATE = """
SELECT evtname, evtowner::regrole::text, evtevent, evtenabled, evttags, obj_description(oid)
FROM pg_event_trigger ORDER BY evtname
"""


@pytest.fixture
def database(postgres_database: str, postgres_server: PostgresServer) -> str:
    """A database whose definitions are logged, and some of them forbidden."""
    postgres_server.execute(_LOGGED, postgres_database)
    return postgres_database


def content(server: PostgresServer, database: str) -> list[Any]:
    """What the event triggers could have changed, and they themselves."""
    return [
        *server.execute("SELECT what, count(*) FROM definitions GROUP BY what ORDER BY what", database),
        *server.execute("SELECT * FROM sums", database),
        *server.execute(_STATE, database),
    ]


@pytest.mark.parametrize("jobs", [1, 3])
def test_the_filling_of_materialised_views_is_no_event_to_them(
    home: Home, postgres_server: PostgresServer, database: str, jobs: int
) -> None:
    """pg_dump has them filled after the event triggers: one logged that, and one that forbids it ended the restore."""
    home.configure(postgres_table(postgres_server, database))
    execution = whole_backup(home)
    before = content(postgres_server, database)
    assert restored(home, execution, overwrite=True, jobs=jobs).status == "completed"
    assert content(postgres_server, database) == before


def test_one_that_needs_a_search_path_is_told_where_tables_are_exchanged(
    home: Home, postgres_server: PostgresServer, database: str
) -> None:
    """Which function that is, and what helps: the advice was to choose what depends on the tables as well."""
    home.configure(postgres_table(postgres_server, database))
    whole_backup(home)
    postgres_server.execute(
        "CREATE OR REPLACE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS "
        "'BEGIN INSERT INTO definitions VALUES (tg_tag); END'",
        database,
    )
    asked = ("restore", "nightly@latest", "--table", "sold", "--as", "sold_then", "--yes")
    refused = home.dgtui(*asked)
    assert "public.note() finds what it uses by a search path" in refused.errors, refused
    postgres_server.execute("ALTER FUNCTION public.note() SET search_path = public", database)
    assert home.dgtui(*asked).exit_code == 0


def test_what_is_said_of_an_event_trigger_is_made_with_it(
    postgres_server: PostgresServer, database: str, tmp_path: Path
) -> None:
    """With its owner, unless that one cannot be given it."""
    dump_to(datasource(postgres_server, database), tmp_path / "dump", scratch=tmp_path)
    toc = read_toc(FileArchive(tmp_path / "dump").blocks())
    parted = event_triggers_last(toc.entries, ())
    assert len(parted.others) + len(parted.last) == len(toc.entries)
    assert [entry.kind for entry in parted.last].count("COMMENT") == 1
    assert any('ALTER EVENT TRIGGER "No\'te" OWNER TO "postgres"' in entry.definition for entry in parted.last)
    without = event_triggers_last(toc.entries, ("postgres",)).last
    assert not any("OWNER TO" in entry.definition for entry in without)


@pytest.mark.parametrize(
    ("database", "version", "superuser", "quiet"),
    [
        ("shop__dgtui_new", 170000, "on", True),
        ("shop__dgtui_rehearsal_0123456789ab", 180001, "on", True),
        ("shop__dgtui_new", 160009, "on", False),
        ("shop__dgtui_new", 170000, "off", False),
        ("shop", 170000, "on", False),
    ],
)
def test_logging_in_to_what_was_loaded_is_no_event(
    database: str,
    version: int,
    superuser: str,
    quiet: bool,
    postgres_server: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A trigger on login that logs it added rows before they were counted; elsewhere it acts on us too."""
    said: list[str] = []

    def login(*_: Any, **options: Any) -> psycopg.Connection[Any]:
        said.append(options["options"])
        return real(f"host=127.0.0.1 port={postgres_server.port} user=postgres dbname=postgres", autocommit=True)

    real = psycopg.connect
    monkeypatch.setattr(psycopg, "connect", login)
    monkeypatch.setattr(psycopg.ConnectionInfo, "server_version", property(lambda _: version))
    statuses = {"is_superuser": superuser}
    monkeypatch.setattr(psycopg.ConnectionInfo, "parameter_status", lambda _, name: statuses.get(name))
    monkeypatch.setattr(postgres_connection, "_TIMEOUTS", {})
    access = Access(PostgresSettings(type="postgres", database="shop", username="postgres"), None)
    for place in "postgres", database:
        with access.connect(place):
            pass
    assert said[0] == ""
    assert said[-1] == ("-c event_triggers=off" if quiet else "")
