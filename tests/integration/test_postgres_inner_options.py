"""Archives in which an older pg_dump tells what a newer server keeps for itself among the options of a column."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from dgtui.engine.datasources.loading import Selection
from dgtui.engine.reporting import SilentReporter
from tests.integration.postgres_case import datasource, digest
from tests.support.postgres import PostgresServer
from tests.support.pump import FileArchive, dump_to

_STAND_IN = b"n_distinct=-0.2651"
_INNER = b"pg_attver=26517768"
"""As PostgreSQL 15.20 keeps it, and as long as what stands in for it here."""
_WORDS = "ALTER TABLE ONLY public.t ALTER COLUMN a SET (pg_attver=1);"


class Dumped(NamedTuple):
    """An archive, and the database as it has to come back."""

    source: str
    archive: Path
    expected: dict[str, str]


@pytest.fixture
def dumped(postgres_server: PostgresServer, tmp_path: Path) -> Iterator[Dumped]:
    with postgres_server.database() as name:
        postgres_server.execute(
            f"""CREATE TABLE "we; ""ird" (a int, "b c;" text);
                ALTER TABLE "we; ""ird" ALTER a SET ({_STAND_IN.decode()});
                ALTER TABLE "we; ""ird" ALTER "b c;" SET ({_STAND_IN.decode()}, n_distinct_inherited=7);
                INSERT INTO "we; ""ird" VALUES (1, 'one');
                CREATE FUNCTION words() RETURNS text LANGUAGE sql AS $$ SELECT '{_WORDS}' $$""",
            name,
        )
        archive = tmp_path / "backup.dump"
        dump_to(datasource(postgres_server, name), archive, scratch=tmp_path)
        content = archive.read_bytes()
        assert content.count(_STAND_IN) == 2
        archive.write_bytes(content.replace(_STAND_IN, _INNER))
        postgres_server.execute(
            """ALTER TABLE "we; ""ird" ALTER a RESET (n_distinct);
               ALTER TABLE "we; ""ird" ALTER "b c;" RESET (n_distinct)""",
            name,
        )
        yield Dumped(name, archive, digest(postgres_server, name))


@pytest.mark.parametrize("jobs", [1, 2])
def test_they_come_back_on_every_server(
    postgres_server: PostgresServer, dumped: Dumped, tmp_path: Path, jobs: int
) -> None:
    """A server older than 15.20 refused each table that had one."""
    source = datasource(postgres_server, dumped.source)
    copy = source.beside_name(dumped.source, "__copy")
    source.create_target(copy)
    try:
        outcome = source.load(
            FileArchive(dumped.archive), copy, Selection(), SilentReporter(), jobs=jobs, scratch_folder=tmp_path
        )
        assert (outcome.errors, outcome.notes) == ((), ())
        assert digest(postgres_server, copy) == dumped.expected
        assert postgres_server.execute("SELECT words()", copy) == [(_WORDS,)]
    finally:
        source.drop_target(copy)
