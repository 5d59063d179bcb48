"""Backups of PostgreSQL: what comes out is whole, and it is known before how large it will be."""

import os
import threading
from pathlib import Path

import pytest

from dgtui.engine.child import Child
from dgtui.engine.datasources import postgres_estimate
from dgtui.engine.datasources.dumping import DumpOptions
from dgtui.engine.datasources.postgres_selection import tables_in
from dgtui.engine.datasources.postgres_toc import read_toc
from dgtui.engine.errors import (
    ConfigError,
)
from dgtui.engine.reporting import SilentReporter
from tests.integration.postgres_case import Listener, datasource, digest, read_all
from tests.support.postgres import PostgresServer
from tests.support.postgres_nasty import NASTY_TABLE, postgres_nasty
from tests.support.pump import FileArchive, dump_to, load_into

HOSTILE_NAMES = (
    'we"ird; --x',
    "--file=INJECTED",
    "host=1.2.3.4 dbname=x",
    "postgresql://1.2.3.4/x",
    "it's $(touch INJECTED) `touch INJECTED`",
    "back\\slash\\",
    "Größe 数据 🐘",
    " blank ends ",
    "line\nend\ttab",
    "-",
    "%s %n {x}",
)


def test_everything_hard_comes_back_exactly(postgres_server: PostgresServer, tmp_path: Path) -> None:
    """With a row of 60 MB, a table of 1000 columns and some hundred tables."""
    with postgres_server.database('nasty "one"') as name:
        with postgres_server.connect(name) as connection:
            postgres_nasty(connection, many_tables=200, many_columns=1000, big_row_bytes=60_000_000)
        before = digest(postgres_server, name)
        source = datasource(postgres_server, name)
        dump_to(source, tmp_path / "backup.dump", scratch=tmp_path)
        try:
            outcome = load_into(source, tmp_path / "backup.dump", "nasty copy", scratch=tmp_path)
            assert outcome.errors == ()
            assert digest(postgres_server, "nasty copy") == before
        finally:
            postgres_server.drop_database("nasty copy")


def test_summary_holds_the_exact_rows(
    postgres_server: PostgresServer, postgres_nasty_database: str, tmp_path: Path
) -> None:
    source = datasource(postgres_server, postgres_nasty_database)
    summary = dump_to(source, tmp_path / "backup.dump", scratch=tmp_path)
    rows = {item.name: item.rows for item in summary.objects if item.rows_exact}
    assert rows["public.bytes"] == 257
    assert rows['"Odd Schema.with dot"."Table.with dot"'] == 10
    inventory = {item.name: item.rows for item in source.inventory(postgres_nasty_database)}
    assert {name: inventory[name] for name in rows} == rows
    assert {item.name for item in summary.objects} == inventory.keys()


def test_contents_are_read_as_pg_restore_reads_them(
    postgres_server: PostgresServer, postgres_nasty_database: str, postgres_nasty_dump: Path
) -> None:
    source = datasource(postgres_server, postgres_nasty_database)
    child = Child([str(postgres_server.binaries / "pg_restore"), "-l", str(postgres_nasty_dump)])
    listed = b"".join(iter(lambda: os.read(child.stdout_fd, 65536), b"")).decode()
    child.stop()
    toc = read_toc(FileArchive(postgres_nasty_dump).blocks())
    assert {item.name for item in source.inventory(postgres_nasty_database)} <= set(tables_in(toc))
    assert f"TOC Entries: {len(toc.entries)}\n" in listed
    assert toc.database == postgres_nasty_database


def test_rows_are_those_of_the_dump_while_others_write(postgres_server: PostgresServer, tmp_path: Path) -> None:
    with postgres_server.database() as name:
        postgres_server.execute("CREATE TABLE journal (id serial); INSERT INTO journal DEFAULT VALUES", name)
        stop = threading.Event()

        def write() -> None:
            with postgres_server.connect(name) as connection:
                while not stop.is_set():
                    connection.execute("INSERT INTO journal DEFAULT VALUES")

        writer = threading.Thread(target=write)
        writer.start()
        try:
            source = datasource(postgres_server, name)
            summary = dump_to(source, tmp_path / "backup.dump", scratch=tmp_path)
        finally:
            stop.set()
            writer.join()
        with postgres_server.database("journal_copy"):
            postgres_server.drop_database("journal_copy")
            assert load_into(source, tmp_path / "backup.dump", "journal_copy", scratch=tmp_path).errors == ()
            assert [(item.name, item.rows) for item in source.inventory("journal_copy")] == [
                (item.name, item.rows) for item in summary.objects
            ]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_database_names(
    postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with postgres_server.database(name):
        postgres_server.execute("CREATE TABLE t AS SELECT generate_series(1, 3) AS i", name)
        source = datasource(postgres_server, name)
        dump_to(source, tmp_path / "backup.dump", scratch=tmp_path)
        copy = source.beside_name(name, "__copy")
        try:
            assert load_into(source, tmp_path / "backup.dump", copy, scratch=tmp_path).errors == ()
            assert digest(postgres_server, copy) == digest(postgres_server, name)
        finally:
            source.drop_target(copy)
        assert copy not in postgres_server.databases()
    assert [path.name for path in tmp_path.iterdir()] == ["backup.dump"]


def test_options_choose_what_is_dumped(
    postgres_server: PostgresServer, postgres_nasty_database: str, tmp_path: Path
) -> None:
    source = datasource(postgres_server, postgres_nasty_database)
    quoted_name = 'public."' + NASTY_TABLE.replace('"', '""') + '"'

    def tables_of(options: DumpOptions, kind: str) -> set[tuple[str, str]]:
        dump_to(source, tmp_path / "backup.dump", options, scratch=tmp_path)
        toc = read_toc(FileArchive(tmp_path / "backup.dump").blocks())
        return {(entry.schema, entry.tag) for entry in toc.entries if entry.kind == kind}

    chosen = DumpOptions(tables=(quoted_name, "Odd Schema.with dot.x", "parent"))
    with pytest.raises(ConfigError, match="matches"):
        tables_of(chosen, "TABLE")
    chosen = DumpOptions(tables=(quoted_name, '"Odd Schema.with dot"."Table.with dot"', "parent"))
    expected = {("public", NASTY_TABLE), ("Odd Schema.with dot", "Table.with dot"), ("public", "parent")}
    assert tables_of(chosen, "TABLE") == expected
    without = tables_of(DumpOptions(exclude_tables=(quoted_name, "big", "many.t1")), "TABLE DATA")
    assert not {("public", NASTY_TABLE), ("public", "big"), ("many", "t1")} & without
    assert {("many", "t10"), ("public", "parent")} <= without
    assert tables_of(DumpOptions(backup_type="schema_only"), "TABLE DATA") == set()
    assert tables_of(DumpOptions(backup_type="data_only"), "TABLE") == set()


def test_a_partitioned_table_brings_its_partitions(
    postgres_server: PostgresServer, postgres_nasty_database: str, tmp_path: Path
) -> None:
    source = datasource(postgres_server, postgres_nasty_database)
    options = DumpOptions(tables=("public.measurements",))
    summary = dump_to(source, tmp_path / "backup.dump", options, scratch=tmp_path)
    expected = {f"public.measurements_{part}" for part in ("2024", "2025_0", "2025_1", "rest")}
    assert {item.name for item in summary.objects} == expected
    toc = read_toc(FileArchive(tmp_path / "backup.dump").blocks())
    assert {f"public.{entry.tag}" for entry in toc.entries if entry.kind == "TABLE DATA"} == expected


def test_arguments_that_lead_the_dump_elsewhere_are_refused(postgres_server: PostgresServer, tmp_path: Path) -> None:
    source = datasource(postgres_server, "postgres")
    for argument in (
        f"--file={tmp_path}/x",
        f"-f{tmp_path}/x",
        "--format=p",
        "-j2",
        "-Z9",
        "--dbname=x",
        "-hx",
        f"--fil={tmp_path}/x",
        "--schema-only",
        "--data",
        "-s",
        "-an",
        "--section=pre-data",
    ):
        with pytest.raises(ConfigError):
            source.open_dump(source.probe(), DumpOptions(extra_arguments=(argument,)), SilentReporter())
    assert list(tmp_path.iterdir()) == []


def test_progress_names_each_table(postgres_server: PostgresServer, tmp_path: Path) -> None:
    with postgres_server.database() as name:
        postgres_server.execute("CREATE TABLE a (i int); CREATE TABLE b (i int); CREATE TABLE c (i int)", name)
        listener = Listener()
        source = datasource(postgres_server, name)
        dump = source.open_dump(source.probe(), DumpOptions(), listener)
        assert read_all(dump)
        dump.finish()
        assert listener.objects == [("public.a", 1, 3), ("public.b", 2, 3), ("public.c", 3, 3)]
        assert any(line.startswith("Running pg_dump") for line in listener.lines)


# The size of the dump


def test_the_size_is_estimated_within_five_per_cent_however_busy_the_server(
    postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_estimate, "_SECONDS", 0.0)
    monkeypatch.setattr(postgres_estimate, "_LARGEST_SECONDS", 60.0)
    with postgres_server.database() as name:
        for statement in (
            "CREATE TABLE flat AS SELECT i, i * 2 AS b, repeat('x', 80) AS filler FROM generate_series(1, 200000) i",
            (
                "CREATE TABLE lines AS SELECT i, now() AS at, md5(i::text) || repeat(md5(i::text), i % 5) AS line"
                " FROM generate_series(1, 100000) i"
            ),
            (
                "CREATE TABLE documents AS SELECT i, jsonb_build_object('n', i, 'words', array_agg(md5(k::text))) AS d"
                " FROM generate_series(1, 1500) i, generate_series(1, 200) k GROUP BY i"
            ),
            (
                "CREATE TABLE files AS SELECT i, (SELECT string_agg(sha256(int4send(i * k)), '') FROM"
                " generate_series(1, 600) k) AS raw FROM generate_series(1, 800) i"
            ),
            "SELECT lo_from_bytea(0, decode(repeat(md5(i::text), 3000), 'hex')) FROM generate_series(1, 100) i",
            "CREATE TABLE emptied AS SELECT generate_series(1, 50000) AS i",
            "DELETE FROM emptied WHERE i % 10 <> 0",
            "ANALYZE",
        ):
            postgres_server.execute(statement, name)
        source = datasource(postgres_server, name)
        probe = source.probe()
        dump_to(source, tmp_path / "backup.dump", scratch=tmp_path)
        size = (tmp_path / "backup.dump").stat().st_size
        assert probe.estimate_kind == "estimated"
        assert probe.estimated_dump_bytes == pytest.approx(size, rel=0.05)
        assert size > 50_000_000


def test_tables_that_were_never_analysed_are_estimated_too(
    postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_estimate, "_LARGEST_SECONDS", 60.0)
    with postgres_server.database() as name:
        postgres_server.execute("CREATE TABLE t AS SELECT i, md5(i::text) AS m FROM generate_series(1, 300000) i", name)
        source = datasource(postgres_server, name)
        probe = source.probe()
        dump_to(source, tmp_path / "backup.dump", scratch=tmp_path)
        assert probe.estimated_dump_bytes == pytest.approx((tmp_path / "backup.dump").stat().st_size, rel=0.25)
        assert probe.objects[0].rows == pytest.approx(300_000, rel=0.25)


def test_schema_alone_is_estimated_small(postgres_server: PostgresServer, postgres_nasty_database: str) -> None:
    source = datasource(postgres_server, postgres_nasty_database)
    schema = source.probe(DumpOptions(backup_type="schema_only")).estimated_dump_bytes
    whole = source.probe().estimated_dump_bytes
    assert schema is not None
    assert whole is not None
    assert 0 < schema < whole
