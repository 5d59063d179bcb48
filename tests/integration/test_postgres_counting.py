"""Rows are counted while pg_restore goes on with other tables, and a count that fails harms no restore."""

import os
from collections.abc import Sequence
from pathlib import Path

import psycopg
import pytest

from dgtui.engine import starting
from dgtui.engine.datasources import postgres_queries, postgres_target
from dgtui.engine.datasources.loading import Selection
from dgtui.engine.datasources.postgres_connection import Access, PostgresSettings
from dgtui.engine.datasources.postgres_counting import LoadedRows
from dgtui.engine.datasources.postgres_queries import Table
from dgtui.engine.datasources.postgres_toc import TocEntry
from dgtui.engine.reporting import SilentReporter
from tests.integration.postgres_case import datasource
from tests.support.changing import changing
from tests.support.forking import forked
from tests.support.homes import Home
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
def test_what_was_counted_at_the_loading_is_right_and_not_counted_again(
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
        archive = FileArchive(tmp_path / "backup.dump")
        outcome = source.load(archive, copy, Selection(), SilentReporter(), jobs=jobs, scratch_folder=tmp_path)
        assert outcome.error_count == 0
        after = source.inventory(copy)
        assert {entry.name: entry.rows for entry in after} == before
        assert all(entry.rows_exact for entry in after)
        # A view, two names that pg_restore prints alike, and what lines of several processes hid by their mixing.
        assert (
            {"public.seen"} <= set(counted_after) < before.keys()
            if jobs > 1
            else set(counted_after)
            == {
                "public.seen",
                'public."b.c"',
                '"public.b".c',
            }
        )
        counted_after.clear()
        postgres_server.execute("DELETE FROM a WHERE i = 3", copy)
        assert {entry.name: entry.rows for entry in source.inventory(copy)}["public.a"] == 999
        assert len(counted_after) == len(before)


def test_a_database_that_cannot_be_reached_to_count_is_left_to_the_comparison(
    postgres_server: PostgresServer,
) -> None:
    settings = PostgresSettings(type="postgres", port=postgres_server.port, username="postgres", database="nowhere")
    entry = TocEntry(7, "TABLE DATA", "public", "a", "", "", "", ())
    rows = LoadedRows(Access(settings, None), "nowhere", [entry], in_parallel=True)
    for _ in range(2):
        rows.hear("pg_restore: finished item 7 TABLE DATA a")
    rows.wait()
    rows.stop()
    assert rows.counted == {}


def count_too_early() -> None:
    """Let this process have counted a table before it was loaded."""
    count = "_count"
    setattr(LoadedRows, count, lambda rows, *_: rows.counted.update({"public.word": 1}))


def test_a_table_that_was_counted_too_early_is_counted_again(
    home: Home, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    with changing("postgres", home, request) as source:
        home.close_catalogues()
        engine = home.engine(fork_workers=True)
        with monkeypatch.context() as patched:
            patched.setattr(starting, "fork_worker", forked(count_too_early))
            run_id = engine.start_rehearsal(source.execution)
        os.waitpid(int(engine.paths.lock(run_id).read_text()), 0)
        proof = home.engine().proofs.get(run_id)
        assert proof is not None
        assert (proof.status, proof.rows) == ("completed", 500), proof.problem
