"""What the server tells of the rows that it took in is the number of them; where it is not, they are counted."""

import os
from collections.abc import Sequence
from pathlib import Path

import psycopg
import pytest

from dgtui.engine import starting
from dgtui.engine.datasources import postgres_counting, postgres_queries, postgres_restore, postgres_target
from dgtui.engine.datasources.loading import Selection
from dgtui.engine.datasources.postgres_connection import Access, PostgresSettings
from dgtui.engine.datasources.postgres_counting import loaded_rows
from dgtui.engine.datasources.postgres_queries import Table
from dgtui.engine.datasources.postgres_toc import TocEntry
from dgtui.engine.reporting import SilentReporter
from tests.integration.postgres_case import datasource
from tests.support.changing import changing
from tests.support.forking import forked
from tests.support.homes import PATIENCE_SECONDS, Home
from tests.support.postgres import PostgresServer
from tests.support.pump import FileArchive, dump_to

TABLES = """
CREATE TABLE a AS SELECT generate_series(1, 1000) AS i;
CREATE TABLE "b.c" AS SELECT generate_series(1, 20) AS i;
CREATE SCHEMA "public.b";
CREATE TABLE "public.b".c AS SELECT generate_series(1, 30) AS i;
CREATE TABLE parent (i int) PARTITION BY RANGE (i);
CREATE TABLE part PARTITION OF parent FOR VALUES FROM (0) TO (100);
INSERT INTO parent SELECT generate_series(1, 40);
CREATE TABLE heir (j int) INHERITS (a);
INSERT INTO heir VALUES (1, 1);
CREATE TABLE "Z ""quoted"" x" AS SELECT generate_series(1, 50) AS i;
CREATE MATERIALIZED VIEW seen AS SELECT i FROM a WHERE i < 8;
"""


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_the_server_tells_of_the_rows_is_right_and_they_are_not_counted_again(
    postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    counted_after: list[str] = []

    def count_rows(connection: "psycopg.Connection", tables: Sequence[Table]) -> dict[int, int]:
        counted_after.extend(table.shown for table in tables)
        return original(connection, tables)

    original = postgres_queries.count_rows
    with postgres_server.database() as name, postgres_server.database() as copy:
        postgres_server.execute(TABLES, name)
        source = datasource(postgres_server, name)
        dump_to(source, tmp_path / "backup.dump", scratch=tmp_path)
        before = {entry.name: entry.rows for entry in source.inventory(name)}
        monkeypatch.setattr(postgres_target, "count_rows", count_rows)
        monkeypatch.setattr(postgres_counting, "_SESSION_END_SECONDS", PATIENCE_SECONDS)
        archive = FileArchive(tmp_path / "backup.dump")
        outcome = source.load(archive, copy, Selection(), SilentReporter(), jobs=jobs, scratch_folder=tmp_path)
        assert outcome.error_count == 0
        after = source.inventory(copy)
        assert {entry.name: entry.rows for entry in after} == before
        assert all(entry.rows_exact for entry in after)
        assert set(counted_after) == {"public.seen"}
        counted_after.clear()
        postgres_server.execute("DELETE FROM a WHERE i = 3", copy)
        assert {entry.name: entry.rows for entry in source.inventory(copy)}["public.a"] == 999
        assert len(counted_after) == len(before)


def test_of_a_database_that_cannot_be_reached_nothing_is_told(postgres_server: PostgresServer) -> None:
    settings = PostgresSettings(type="postgres", port=postgres_server.port, username="postgres", database="nowhere")
    entry = TocEntry(7, "TABLE DATA", "public", "a", "", "", "", ())
    assert loaded_rows(Access(settings, None), "nowhere", [entry]) == {}


def test_while_somebody_is_connected_nothing_is_told(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = TocEntry(7, "TABLE DATA", "public", "a", "", "", "", ())
    with postgres_server.database() as name:
        postgres_server.execute("CREATE TABLE a AS SELECT generate_series(1, 5) AS i", name)
        access = Access(datasource(postgres_server, name).settings, None)
        # The session that filled it takes its time to end.
        monkeypatch.setattr(postgres_counting, "_SESSION_END_SECONDS", PATIENCE_SECONDS)
        assert loaded_rows(access, name, [entry]) == {"public.a": 5}
        monkeypatch.setattr(postgres_counting, "_SESSION_END_SECONDS", 0.0)
        with access.connect(name):
            assert loaded_rows(access, name, [entry]) == {}


def test_of_a_server_without_the_account_nothing_is_told(postgres_server: PostgresServer) -> None:
    entry = TocEntry(7, "TABLE DATA", "public", "a", "", "", "", ())
    with postgres_server.database() as name:
        postgres_server.execute("CREATE TABLE a AS SELECT generate_series(1, 5) AS i", name)
        postgres_server.execute("ALTER FUNCTION pg_stat_get_tuples_inserted RENAME TO only_like_postgres", name)
        access = Access(datasource(postgres_server, name).settings, None)
        assert loaded_rows(access, name, [entry]) == {}


def tell_too_little() -> None:
    """Let this process hear from the server of one row in a table."""
    setattr(postgres_restore, "loaded_rows", lambda *_: {"public.word": 1})  # noqa: B010  # it is not its to export


def test_a_table_of_which_the_server_tells_another_number_is_counted(
    home: Home, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    with changing("postgres", home, request) as source:
        home.close_catalogues()
        engine = home.engine(fork_workers=True)
        with monkeypatch.context() as patched:
            patched.setattr(starting, "fork_worker", forked(tell_too_little))
            run_id = engine.start_rehearsal(source.execution)
        os.waitpid(int(engine.paths.lock(run_id).read_text()), 0)
        proof = home.engine().proofs.get(run_id)
        assert proof is not None
        assert (proof.status, proof.rows) == ("completed", 500), proof.problem
