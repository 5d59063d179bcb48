"""Indexes that a parallel restore makes while other tables are still being filled."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dgtui.engine.datasources.loading import LoadOutcome, Selection
from dgtui.engine.reporting import SilentReporter
from tests.integration.postgres_case import datasource, digest
from tests.support.postgres import PostgresServer
from tests.support.pump import FileArchive, dump_to

_TABLES = """
CREATE FUNCTION waits(int) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
    FOR n IN 1 .. 30000 LOOP
        IF (SELECT count(*) FROM pg_catalog.pg_class WHERE relname IN ('early_pkey', 'early_b')) = 2 THEN
            RETURN true;
        END IF;
        PERFORM pg_sleep(0.01);
    END LOOP;
    RETURN false;
END $$;
CREATE TABLE early (id int PRIMARY KEY, b int, c int);
CREATE INDEX early_b ON early (b);
CREATE INDEX early_c ON early ((c + 1));
INSERT INTO early SELECT n, n, n FROM generate_series(1, 1000) n;
CREATE TABLE late (id int PRIMARY KEY REFERENCES early CHECK (waits(id)));
INSERT INTO late VALUES (1);
"""
_NOT_UNIQUE = """
CREATE OR REPLACE FUNCTION waits(int) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
    IF (pg_catalog.pg_stat_file('MARK', true)).size IS NULL THEN
        COPY (SELECT 1) TO 'MARK';
        PERFORM pg_catalog.pg_sleep(300);
    END IF;
    RETURN true;
END $$;
CREATE FUNCTION begun(int) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
    FOR n IN 1 .. 30000 LOOP
        IF $1 < 1001 OR (pg_catalog.pg_stat_file('MARK', true)).size IS NOT NULL THEN
            RETURN true;
        END IF;
        PERFORM pg_catalog.pg_sleep(0.01);
    END LOOP;
    RETURN false;
END $$;
ALTER TABLE early ADD CHECK (begun(id));
COPY (SELECT 1) TO 'MARK';
INSERT INTO early VALUES (1001, 1, 1);
UPDATE pg_index SET indisunique = true WHERE indexrelid = 'early_b'::regclass;
"""
"""The one table is filled once the other is about to be, and that goes on until it is ended."""


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[str]:
    """A table that cannot be filled before the plain indexes of the other are there."""
    postgres_server.create_database("indexed")
    postgres_server.execute(_TABLES, "indexed")
    yield "indexed"
    for name in ("indexed", "target"):
        postgres_server.drop_database(name)


def load(server: PostgresServer, database: str, folder: Path) -> LoadOutcome:
    source = datasource(server, database)
    dump_to(source, folder / "dump", scratch=folder)
    archive = FileArchive(folder / "dump")
    archive.object_bytes |= {"public.early": 1 << 30, "public.late": 1 << 30}
    source.create_target("target")
    return source.load(archive, "target", Selection(), SilentReporter(), jobs=2, scratch_folder=folder)


def test_indexes_are_made_while_another_table_is_filled(
    postgres_server: PostgresServer, database: str, tmp_path: Path
) -> None:
    outcome = load(postgres_server, database, tmp_path)
    assert (outcome.errors, outcome.notes) == ((), ())
    assert digest(postgres_server, "target") == digest(postgres_server, database)


def test_an_index_that_fails_ends_the_filling_and_one_process_does_all_again(
    postgres_server: PostgresServer, database: str, tmp_path: Path
) -> None:
    """The note is of the index: of what else was ended nothing is told."""
    mark = postgres_server.folder / "filling"
    postgres_server.execute(_NOT_UNIQUE.replace("MARK", str(mark)), database)
    mark.unlink()
    outcome = load(postgres_server, database, tmp_path)
    mark.unlink()
    assert "early_b" in outcome.notes[0]
    assert "was done again with one" in outcome.notes[0]
    assert outcome.error_count
