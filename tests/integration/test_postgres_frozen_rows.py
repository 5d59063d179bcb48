"""Rows that come back as frozen, and tables whose rows cannot be loaded so."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dgtui.engine.datasources import postgres_frozen_rows
from dgtui.engine.datasources.dumping import DumpOptions
from dgtui.engine.datasources.loading import LoadError, LoadOutcome, Selection
from dgtui.engine.datasources.postgres_frozen_rows import refuses_frozen_rows, with_frozen_rows
from dgtui.engine.datasources.postgres_toc import read_toc
from tests.integration.postgres_case import Listener, datasource, digest
from tests.support.postgres import PostgresServer
from tests.support.pump import FileArchive, dump_to

_TABLES = """
CREATE TABLE plain (id int PRIMARY KEY, t text);
INSERT INTO plain SELECT n, n FROM generate_series(1, 500) n;
CREATE SCHEMA "FROM stdin;";
CREATE TABLE "FROM stdin;"."we""ird (a); --" ("id" int PRIMARY KEY, "x) FROM stdin;" text);
INSERT INTO "FROM stdin;"."we""ird (a); --" SELECT n, n FROM generate_series(1, 500) n;
CREATE TABLE nothing (id int PRIMARY KEY);
CREATE TABLE without_columns ();
INSERT INTO without_columns DEFAULT VALUES;
CREATE TABLE heirless (id int PRIMARY KEY);
CREATE TABLE heir () INHERITS (heirless);
INSERT INTO heirless VALUES (1);
INSERT INTO heir VALUES (2);
CREATE TABLE pages (id int, day int, PRIMARY KEY (id, day)) PARTITION BY LIST (day);
CREATE TABLE pages_1 PARTITION OF pages FOR VALUES IN (1);
CREATE TABLE pages_2 PARTITION OF pages FOR VALUES IN (2);
INSERT INTO pages SELECT n, 1 + n % 2 FROM generate_series(1, 500) n;
CREATE TABLE refers (id int PRIMARY KEY REFERENCES plain);
INSERT INTO refers VALUES (1);
"""
_WEIRD = '"FROM stdin;"."we""ird (a); --"'
_FROZEN = "public.plain", _WEIRD, "public.heirless", "public.pages_1", "public.pages_2"


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[str]:
    with postgres_server.database() as name:
        postgres_server.execute(_TABLES, name)
        yield name
        postgres_server.drop_database("thawed")


def load(
    server: PostgresServer, database: str, folder: Path, jobs: int, *words: str, sizes: dict[str, int] | None = None
) -> LoadOutcome:
    source = datasource(server, database)
    dump_to(source, folder / "dump", DumpOptions(extra_arguments=words), scratch=folder)
    archive = FileArchive(folder / "dump")
    archive.object_bytes |= sizes or {}
    source.create_target("thawed")
    return source.load(archive, "thawed", Selection(), Listener(), jobs=jobs, scratch_folder=folder)


def is_frozen(server: PostgresServer, table: str) -> bool:
    """Whether the server needs not look at the rows of an index to know that they are valid."""
    with server.connect("thawed") as connection:
        connection.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
        plan = connection.execute(f"EXPLAIN (ANALYZE, TIMING off) SELECT id FROM ONLY {table} WHERE id > 0").fetchall()
    text = "\n".join(line for (line,) in plan)
    assert "Index Only Scan" in text
    return "Heap Fetches: 0" in text


@pytest.mark.parametrize("jobs", [1, 2])
def test_rows_come_back_frozen(postgres_server: PostgresServer, database: str, tmp_path: Path, jobs: int) -> None:
    outcome = load(postgres_server, database, tmp_path, jobs)

    assert (outcome.error_count, outcome.notes) == (0, ())
    assert digest(postgres_server, "thawed") == digest(postgres_server, database)
    assert {table for table in _FROZEN if is_frozen(postgres_server, table)} == set(_FROZEN)


@pytest.mark.parametrize("jobs", [1, 2])
def test_rows_that_go_by_way_of_the_partitioned_table_are_loaded_plainly(
    postgres_server: PostgresServer, database: str, tmp_path: Path, jobs: int
) -> None:
    """A partitioned table can neither be emptied alone nor filled with frozen rows."""
    outcome = load(postgres_server, database, tmp_path, jobs, "--load-via-partition-root")

    assert (outcome.error_count, outcome.notes) == (0, ())
    assert digest(postgres_server, "thawed") == digest(postgres_server, database)
    assert is_frozen(postgres_server, "public.plain")
    assert not is_frozen(postgres_server, "public.pages_1")


@pytest.mark.parametrize("jobs", [1, 2])
def test_tables_of_another_access_method_are_loaded_plainly(
    postgres_server: PostgresServer, database: str, tmp_path: Path, jobs: int
) -> None:
    postgres_server.execute(
        """CREATE ACCESS METHOD heap_too TYPE TABLE HANDLER heap_tableam_handler;
           CREATE TABLE other (id int PRIMARY KEY) USING heap_too; INSERT INTO other VALUES (1)""",
        database,
    )
    outcome = load(postgres_server, database, tmp_path, jobs)

    assert (outcome.error_count, outcome.notes) == (0, ())
    assert digest(postgres_server, "thawed") == digest(postgres_server, database)
    assert not is_frozen(postgres_server, "public.other")


def test_small_tables_are_loaded_plainly(postgres_server: PostgresServer, database: str, tmp_path: Path) -> None:
    """To empty one costs the server the making of new files."""
    sizes = {"public.plain": 1 << 20, "public.pages_1": 1 << 10}
    load(postgres_server, database, tmp_path, 1, sizes=sizes)

    assert {table for table in _FROZEN if is_frozen(postgres_server, table)} == {"public.plain"}


@pytest.mark.parametrize("jobs", [1, 2])
def test_rows_that_are_refused_as_frozen_are_loaded_plainly(
    postgres_server: PostgresServer, database: str, tmp_path: Path, jobs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_frozen_rows, "_FROZEN_END", b"FROM stdin WITH (FROZEN);")
    outcome = load(postgres_server, database, tmp_path, jobs)

    assert outcome.error_count == 0
    assert [note for note in outcome.notes if 'option "frozen" not recognized' in note]
    assert digest(postgres_server, "thawed") == digest(postgres_server, database)


def test_rows_that_are_wrong_are_not_loaded_once_more(
    postgres_server: PostgresServer, database: str, tmp_path: Path
) -> None:
    postgres_server.execute("ALTER TABLE plain ADD CHECK (id < 500) NOT VALID", database)
    postgres_server.execute("UPDATE pg_constraint SET convalidated = true WHERE conname = 'plain_id_check'", database)
    outcome = load(postgres_server, database, tmp_path, 1)

    assert outcome.notes == ()
    assert "violates check constraint" in outcome.errors[0].message


def test_only_tables_of_the_entries_themselves_are_emptied(
    postgres_server: PostgresServer, database: str, tmp_path: Path
) -> None:
    """An extension makes tables that an archive has rows for alone, beside those that the extension puts there."""
    dump_to(datasource(postgres_server, database), tmp_path / "dump", scratch=tmp_path)
    content = (tmp_path / "dump").read_bytes()
    toc = read_toc([content])
    left = [entry for entry in toc.entries if (entry.kind, entry.tag) != ("TABLE", "plain")]
    changed = b"".join(with_frozen_rows([content], toc, left, {}))

    assert b"COPY public.plain (id, t) FROM stdin;\n" in changed
    weird = f'TRUNCATE ONLY {_WEIRD}; COPY {_WEIRD} (id, "x) FROM stdin;") FROM stdin WITH (FREEZE);\n'
    assert weird.encode() in changed
    assert changed.count(b"TRUNCATE ONLY") == 7
    assert changed.endswith(content[toc.data_at :])


def test_only_what_failed_first_is_looked_at() -> None:
    emptied = LoadError(message="...", statement="TRUNCATE ONLY public.a; COPY public.a FROM stdin WITH (FREEZE);")
    other = LoadError(message="...", statement="CREATE TABLE public.a ();")

    assert refuses_frozen_rows(LoadOutcome(errors=(emptied, other), error_count=2))
    assert not refuses_frozen_rows(LoadOutcome(errors=(other, emptied), error_count=2))
    assert not refuses_frozen_rows(LoadOutcome())
