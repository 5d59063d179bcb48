"""Restores of PostgreSQL: whole and in part, in parallel and by hand; and what is refused before."""

import itertools
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg import sql

from dgtui.engine.datasources.dumping import DumpOptions
from dgtui.engine.datasources.loading import Selection
from dgtui.engine.datasources.postgres_names import (
    table_name,
)
from dgtui.engine.datasources.postgres_toc import read_toc
from dgtui.engine.errors import (
    ConfigError,
    DatabaseConnectionError,
    PermissionDenied,
    RestoreError,
    StorageError,
    ToolTooOld,
    ValidationError,
)
from dgtui.engine.reporting import SilentReporter
from tests.integration.postgres_case import BrokenArchive, Listener, datasource, digest, role
from tests.support.postgres import PostgresServer
from tests.support.postgres_nasty import NASTY_TABLE
from tests.support.pump import FileArchive, dump_to, load_into


@pytest.fixture
def target(postgres_server: PostgresServer) -> Iterator[str]:
    """A name for a database, which is removed at the end."""
    name = 'the "target"'
    yield name
    postgres_server.drop_database(name)


class Piped(FileArchive):
    """An archive that is not unpacked to a file."""

    def as_file(self) -> Path:
        """Fails."""
        raise AssertionError("no room is needed for a file of the archive")


def test_parallel_restores_are_exact_every_time(
    postgres_server: PostgresServer,
    postgres_nasty_database: str,
    postgres_nasty_dump: Path,
    target: str,
    tmp_path: Path,
) -> None:
    """Without a file of it; where pg_restore's processes deadlock with each other, one process does it again."""
    source = datasource(postgres_server, postgres_nasty_database)
    before = digest(postgres_server, postgres_nasty_database)
    for _ in range(4):
        source.create_target(target)
        outcome = source.load(
            Piped(postgres_nasty_dump), target, Selection(), SilentReporter(), jobs=4, scratch_folder=tmp_path
        )
        assert outcome.errors == ()
        assert [note for note in outcome.notes if "deadlock" not in note] == []
        assert digest(postgres_server, target) == before
        source.drop_target(target)


def test_indexes_of_the_largest_tables_are_begun_with(
    postgres_server: PostgresServer,
    postgres_nasty_database: str,
    postgres_nasty_dump: Path,
    target: str,
    tmp_path: Path,
) -> None:
    """pg_restore takes the distance between the places of data for the size of a table."""
    source = datasource(postgres_server, postgres_nasty_database)
    source.create_target(target)
    archive = Piped(postgres_nasty_dump)
    archive.object_bytes |= {"public.child": 1 << 40, "public.parent": 1 << 30}
    outcome = source.load(archive, target, Selection(), SilentReporter(), jobs=2, scratch_folder=tmp_path)
    assert outcome.error_count == 0
    contents = (tmp_path / "contents.dump").read_bytes()
    toc = read_toc([contents])
    rows = [entry for entry in toc.entries if entry.kind == "TABLE DATA"]
    assert {contents[entry.place_at] for entry in rows} == {2}
    places = [
        int.from_bytes(contents[entry.place_at + 1 : entry.place_at + 1 + toc.offset_bytes], "little") for entry in rows
    ]
    told = [after - before for before, after in itertools.pairwise((*places, len(contents)))]
    by_size = sorted(zip(told, (entry.tag for entry in rows), strict=True), reverse=True)
    assert [name for _, name in by_size[:2]] == ["child", "parent"]
    assert places[0] == toc.data_at
    assert len(contents) < toc.data_at + 1000


def test_a_parallel_restore_that_fails_is_done_again_serially(
    postgres_server: PostgresServer,
    postgres_nasty_database: str,
    postgres_nasty_dump: Path,
    target: str,
    tmp_path: Path,
) -> None:
    source = datasource(postgres_server, postgres_nasty_database)
    source.create_target(target)
    postgres_server.execute(sql.SQL("COMMENT ON DATABASE {} IS 'kept'").format(sql.Identifier(target)))
    postgres_server.execute("CREATE SCHEMA many; CREATE TABLE parent (in_the_way int)", target)
    listener = Listener()
    outcome = source.load(
        FileArchive(postgres_nasty_dump), target, Selection(), listener, jobs=2, scratch_folder=tmp_path
    )
    assert outcome.error_count == 0
    assert "done again with one" in outcome.notes[0]
    assert digest(postgres_server, target) == digest(postgres_server, postgres_nasty_database)
    comments = postgres_server.execute(
        sql.SQL("SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = {}").format(target)
    )
    assert comments == [("kept",)]


def test_where_the_disk_is_full_it_is_not_filled_once_more(own_postgres_server: PostgresServer, tmp_path: Path) -> None:
    """Where its log has no room either, the server stops. Here its files may not grow, which it tells alike."""
    source = datasource(own_postgres_server, "postgres")
    for name in ("one", "two"):
        own_postgres_server.execute(f"CREATE TABLE {name} AS SELECT repeat('x', 900) FROM generate_series(1, 25000)")
    dump = tmp_path / "dump"
    dump_to(source, dump, scratch=tmp_path)
    source.create_target("target")
    limit = f"cat > /dev/null; prlimit --pid {own_postgres_server.pid} --fsize={17 << 20}"
    own_postgres_server.execute(f"COPY (SELECT 1) TO PROGRAM '{limit}'")
    listener = Listener()
    outcome = source.load(FileArchive(dump), "target", Selection(), listener, jobs=2, scratch_folder=tmp_path)
    assert outcome.error_count > 0
    assert "Make room on the server" in outcome.hint
    assert [line for line in listener.lines if "done again" in line] == []


def test_errors_of_statements_are_counted_and_shown(
    postgres_server: PostgresServer,
    postgres_nasty_database: str,
    postgres_nasty_dump: Path,
    target: str,
    tmp_path: Path,
) -> None:
    source = datasource(postgres_server, postgres_nasty_database)
    source.create_target(target)
    postgres_server.execute("CREATE TABLE bytes (in_the_way int)", target)
    outcome = source.load(
        FileArchive(postgres_nasty_dump), target, Selection(), SilentReporter(), jobs=1, scratch_folder=tmp_path
    )
    assert outcome.error_count >= len(outcome.errors) > 1
    assert 'relation "bytes" already exists' in outcome.errors[0].message
    assert outcome.errors[0].statement.startswith("CREATE TABLE public.bytes (")


def test_a_database_that_restores_with_errors(postgres_server: PostgresServer, target: str, tmp_path: Path) -> None:
    """Its dump is whole, and yet rows in it break a rule that only holds from the restore on."""
    with postgres_server.database() as name:
        postgres_server.execute(
            "CREATE TABLE t (i int); CREATE FUNCTION ok(int) RETURNS bool LANGUAGE sql AS 'SELECT true';"
            "ALTER TABLE t ADD CHECK (ok(i)); INSERT INTO t VALUES (1);"
            "CREATE OR REPLACE FUNCTION ok(int) RETURNS bool LANGUAGE sql AS 'SELECT false'",
            name,
        )
        source = datasource(postgres_server, name)
        dump_to(source, tmp_path / "backup.dump", scratch=tmp_path)
        outcome = load_into(source, tmp_path / "backup.dump", target, scratch=tmp_path)
        assert outcome.error_count == 1
        assert "violates check constraint" in outcome.errors[0].message


@pytest.mark.parametrize("jobs", [1, 3])
def test_an_archive_that_breaks_off_stops_the_restore(
    postgres_server: PostgresServer,
    postgres_nasty_database: str,
    postgres_nasty_dump: Path,
    target: str,
    tmp_path: Path,
    jobs: int,
) -> None:
    source = datasource(postgres_server, postgres_nasty_database)
    source.create_target(target)
    broken = BrokenArchive(postgres_nasty_dump, StorageError("the storage went away"))
    with pytest.raises(StorageError, match="went away"):
        source.load(broken, target, Selection(), SilentReporter(), jobs=jobs, scratch_folder=tmp_path)
    cut = tmp_path / "cut.dump"
    cut.write_bytes(postgres_nasty_dump.read_bytes()[:-100_000])
    source.drop_target(target)
    source.create_target(target)
    with pytest.raises(ValidationError):
        source.load(FileArchive(cut), target, Selection(), SilentReporter(), jobs=jobs, scratch_folder=tmp_path)


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_server_killed_during_the_restore(
    own_postgres_server: PostgresServer, postgres_nasty_dump: Path, tmp_path: Path, jobs: int
) -> None:
    source = datasource(own_postgres_server, "postgres")
    own_postgres_server.execute("CREATE DATABASE fresh TEMPLATE template0")
    killed, once = threading.Event(), threading.Lock()

    class Killer(Listener):
        def current_object(self, name: str, *, number: int = 0, count: int = 0) -> None:
            # Each process has a thread that tells of its tables.
            with once:
                if not killed.is_set():
                    own_postgres_server.kill()
                    killed.set()

    with pytest.raises(DatabaseConnectionError):
        source.load(
            FileArchive(postgres_nasty_dump), "fresh", Selection(), Killer(), jobs=jobs, scratch_folder=tmp_path
        )
    assert killed.is_set()


def test_a_missing_role_changes_owners_and_is_told(
    postgres_server: PostgresServer, target: str, tmp_path: Path
) -> None:
    with postgres_server.database() as name:
        postgres_server.execute('CREATE ROLE "gone owner"; CREATE ROLE "gone; reader"')
        postgres_server.execute('CREATE TABLE t AS SELECT 1 AS i; ALTER TABLE t OWNER TO "gone owner"', name)
        postgres_server.execute('CREATE TABLE u AS SELECT 2 AS i; GRANT SELECT ON u TO "gone; reader", PUBLIC', name)
        source = datasource(postgres_server, name)
        dump_to(source, tmp_path / "backup.dump", scratch=tmp_path)
        postgres_server.execute("DROP TABLE t; DROP TABLE u", name)
        postgres_server.execute('DROP ROLE "gone owner"; DROP ROLE "gone; reader"')
        notes = source.check_restore(FileArchive(tmp_path / "backup.dump"), target, Selection())
        assert any("gone owner" in note for note in notes)
        assert any("gone; reader" in note for note in notes)
        outcome = load_into(source, tmp_path / "backup.dump", target, scratch=tmp_path)
        assert outcome.errors == ()
        assert set(notes) <= set(outcome.notes)
        assert [(item.name, item.rows) for item in source.inventory(target)] == [("public.t", 1), ("public.u", 1)]


# Parts


def test_chosen_tables_come_with_everything_they_need(
    postgres_server: PostgresServer,
    postgres_nasty_database: str,
    postgres_nasty_dump: Path,
    target: str,
    tmp_path: Path,
) -> None:
    source = datasource(postgres_server, postgres_nasty_database)
    chosen = Selection(
        tables=("public.child", "public.parent", "public.measurements", table_name("public", NASTY_TABLE))
    )
    outcome = load_into(source, postgres_nasty_dump, target, chosen, scratch=tmp_path)
    assert outcome.errors == ()
    restored = digest(postgres_server, target)
    original = digest(postgres_server, postgres_nasty_database)
    tables = {name for name in restored if name.startswith("data of ")}
    parts = {"2024", "2025_0", "2025_1", "rest"}
    assert tables == {
        "data of public.child",
        "data of public.parent",
        f"data of public.{NASTY_TABLE}",
        *(f"data of public.measurements_{part}" for part in parts),
    }
    assert {name: restored[name] for name in tables} == {name: original[name] for name in tables}
    for database in (target, postgres_nasty_database):
        with postgres_server.connect(database) as connection:
            connection.execute("SET search_path = pg_catalog")
            facts = connection.execute(
                """SELECT (SELECT array_agg(pg_get_constraintdef(oid) ORDER BY 1) FROM (
                               SELECT oid FROM pg_constraint
                               WHERE conrelid = 'public.child'::regclass AND contype <> 'n'
                               ORDER BY pg_get_constraintdef(oid)) c),
                          (SELECT count(*) FROM pg_index WHERE indrelid = 'public.child'::regclass),
                          (SELECT array_agg(pg_get_triggerdef(oid)) FROM pg_trigger
                           WHERE tgrelid = 'public.parent'::regclass AND NOT tgisinternal),
                          (SELECT last_value FROM pg_sequences WHERE sequencename = 'parent_id_seq'),
                          (SELECT relacl::text FROM pg_class WHERE oid = 'public.parent'::regclass)"""
            ).fetchall()
            assert len(facts[0][0]) == 4
        if database == target:
            of_target = facts
    assert of_target == facts


def test_a_table_without_the_one_it_refers_to(
    postgres_server: PostgresServer,
    postgres_nasty_database: str,
    postgres_nasty_dump: Path,
    target: str,
    tmp_path: Path,
) -> None:
    source = datasource(postgres_server, postgres_nasty_database)
    outcome = load_into(source, postgres_nasty_dump, target, Selection(tables=("child",)), scratch=tmp_path)
    assert outcome.errors == ()
    assert [(item.name, item.rows) for item in source.inventory(target)] == [("public.child", 1000)]
    with pytest.raises(ConfigError, match="no table"):
        source.check_restore(FileArchive(postgres_nasty_dump), target, Selection(tables=("public.Child",)))


def test_schema_first_and_data_later(
    postgres_server: PostgresServer,
    postgres_nasty_database: str,
    postgres_nasty_dump: Path,
    target: str,
    tmp_path: Path,
) -> None:
    source = datasource(postgres_server, postgres_nasty_database)
    outcome = load_into(source, postgres_nasty_dump, target, Selection(backup_type="schema_only"), scratch=tmp_path)
    assert outcome.errors == ()
    assert sum(item.rows or 0 for item in source.inventory(target) if not item.name.startswith("public.total")) == 0
    outcome = source.load_data(
        FileArchive(postgres_nasty_dump), target, Selection(backup_type="data_only"), SilentReporter(),
        overwrite=False, keep_as="", scratch_folder=tmp_path, announce=lambda _mark, _part: None,
    )  # fmt: skip
    assert outcome.errors == ()
    before, after = digest(postgres_server, postgres_nasty_database), digest(postgres_server, target)
    assert after == before


# What is refused


def test_a_backup_of_a_newer_server_is_refused(
    postgres_server: PostgresServer, postgres_nasty_dump: Path, target: str, tmp_path: Path
) -> None:
    source = datasource(postgres_server, "postgres")
    content = postgres_nasty_dump.read_bytes()
    version = re.search(rb"\d\d\.\d+ \(|\d\d\.\d+", content[:200])
    assert version is not None
    newer = tmp_path / "newer.dump"
    newer.write_bytes(content.replace(version[0], b"99" + version[0][2:], 1))
    with pytest.raises(RestoreError, match="99"):
        source.check_restore(FileArchive(newer), target, Selection())
    position = content.index(version[0], content.index(version[0]) + 1)
    newer.write_bytes(content[:position] + b"99" + content[position + 2 :])
    with pytest.raises(ToolTooOld, match="99"):
        source.check_restore(FileArchive(newer), target, Selection())
    newer.write_bytes(content[:6] + bytes([99]) + content[7:])
    with pytest.raises(ToolTooOld):
        source.check_restore(FileArchive(newer), target, Selection())


def test_who_may_not_make_databases_is_told_before(
    postgres_server: PostgresServer, postgres_nasty_dump: Path, target: str
) -> None:
    with role(postgres_server, "modest") as modest:
        source = datasource(postgres_server, "postgres", username=modest)
        with pytest.raises(PermissionDenied) as caught:
            source.check_restore(FileArchive(postgres_nasty_dump), target, Selection())
        assert "ALTER ROLE modest CREATEDB" in caught.value.hint
        with pytest.raises(PermissionDenied):
            source.create_target(target)
        # What is there is loaded beside as well.
        with postgres_server.database() as there, pytest.raises(PermissionDenied, match=f"beside {there}"):
            source.check_restore(FileArchive(postgres_nasty_dump), there, Selection())


def test_a_missing_extension_is_told_before(postgres_server: PostgresServer, target: str, tmp_path: Path) -> None:
    with postgres_server.database() as name:
        folder = Path(
            subprocess.check_output([str(postgres_server.binaries / "pg_config"), "--sharedir"], text=True).strip()
        )
        if not (folder / "extension" / "citext.control").exists():
            pytest.skip("the extension citext is not installed (Debian: apt-get install postgresql-contrib)")
        postgres_server.execute("CREATE EXTENSION citext", name)
        source = datasource(postgres_server, name)
        dump_to(source, tmp_path / "backup.dump", scratch=tmp_path)
        content = (tmp_path / "backup.dump").read_bytes()
        (tmp_path / "backup.dump").write_bytes(content.replace(b"citext", b"nocite"))
        with pytest.raises(RestoreError, match="nocite"):
            source.check_restore(FileArchive(tmp_path / "backup.dump"), target, Selection())


# By hand


@pytest.mark.parametrize("name", ['by "hand"', "--file=INJECTED", "it's $(touch INJECTED)", "host=x dbname=y"])
def test_the_manual_commands_restore(
    postgres_server: PostgresServer, postgres_nasty_database: str, postgres_nasty_dump: Path, tmp_path: Path, name: str
) -> None:
    source = datasource(postgres_server, postgres_nasty_database)
    archive = tmp_path / "-it's a dump;.dump"
    archive.write_bytes(postgres_nasty_dump.read_bytes())
    lines = source.manual_restore(archive.name, name)
    try:
        tools = {**os.environ, "PATH": f"{postgres_server.binaries}:{os.environ['PATH']}"}
        subprocess.run(["bash", "-ec", "\n".join(lines)], cwd=tmp_path, check=True, capture_output=True, env=tools)
        assert digest(postgres_server, name) == digest(postgres_server, postgres_nasty_database)
    finally:
        postgres_server.drop_database(name)
    assert [path.name for path in tmp_path.iterdir()] == [archive.name]


def test_a_part_of_a_dump_says_so_in_its_objects(
    postgres_server: PostgresServer, postgres_nasty_database: str, tmp_path: Path
) -> None:
    source = datasource(postgres_server, postgres_nasty_database)
    options = DumpOptions(tables=("public.bytes",))
    summary = dump_to(source, tmp_path / "backup.dump", options, scratch=tmp_path)
    assert [(item.name, item.rows, item.rows_exact) for item in summary.objects] == [("public.bytes", 257, True)]
