"""The catalogue: what is written is read back, by several programs at once, and never by an older one."""

import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dgtui.engine.catalog import SCHEMA_VERSION, Catalog, database
from dgtui.engine.catalog.backups import save_states
from dgtui.engine.catalog.connection import Connection
from dgtui.engine.catalog.rows import columns_of
from dgtui.engine.errors import CatalogDamaged, CatalogError, DataGuardianError
from dgtui.engine.locks import take_lock
from dgtui.engine.model import Copy, CopyStatus, Execution, ExecutionStatus, Problem
from dgtui.engine.restore_model import Restore
from tests.support.descriptors import open_below
from tests.support.statements import insert_rows, watched

MOMENT = datetime(2025, 2, 13, 6, 0, 1, tzinfo=UTC)


def an_execution(identity: str, status: ExecutionStatus = "completed", minutes: int = 0) -> Execution:
    """An execution with everything filled in."""
    return Execution(
        execution_id=identity,
        job_id="job-id",
        job="nightly",
        datasource="shop",
        datasource_type="postgres",
        status=status,
        backup_type="full",
        started_at=MOMENT + timedelta(minutes=minutes),
        finished_at=MOMENT + timedelta(minutes=minutes, seconds=3),
        total_size_bytes=1000,
        compressed_size_bytes=300,
        checksum="sha256:00",
        folder="2025-02-13_060001",
        manifest_sha256="11",
        description="before the migration",
        warnings=("one", "two"),
        problem=Problem(kind="StorageError", message="nas is full", hint="make room", detail=("a", "b")),
        purpose="safety",
        protected_until=MOMENT + timedelta(days=7),
        pin="the last one before the merger",
        copies=(Copy(storage="disk", status="available", path="/x", checked_at=MOMENT),),
    )


def write_many(catalog: Catalog, executions: list[Execution]) -> None:
    """Add executions that are not there yet, in two statements: each by itself takes a millisecond."""
    rows = [columns_of(one) for one in executions]
    for row in rows:
        del row["copies"], row["sequence"]
    copies = [{"execution_id": one.execution_id, **columns_of(copy)} for one in executions for copy in one.copies]
    with catalog.transaction() as connection:
        insert_rows(connection, "executions", rows)
        insert_rows(connection, "copies", copies)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    written = an_execution("0000")
    catalog.save_execution(written)
    found = catalog.execution("0000")
    assert found is not None
    assert found.sequence == 1
    for name in Execution.__struct_fields__:
        if name != "sequence":
            assert getattr(found, name) == getattr(written, name), name
    catalog.close()


def test_another_process_sees_it_while_ours_is_open(tmp_path: Path) -> None:
    first = Catalog(tmp_path)
    first.save_execution(an_execution("0000", "running"))
    Catalog(tmp_path).close()
    program = (
        "import sys, pathlib, msgspec; from dgtui.engine.catalog import Catalog\n"
        "c = Catalog(pathlib.Path(sys.argv[1])); e = c.execution('0000')\n"
        "c.save_execution(msgspec.structs.replace(e, status='completed')); c.close()"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
    found = first.execution("0000")
    assert found is not None
    assert found.status == "completed"
    first.close()


def test_programs_that_meet_a_fresh_folder_at_once(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from dgtui.engine.catalog import Catalog; Catalog(pathlib.Path(sys.argv[1])).close()"
    )
    started = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) for _ in range(6)]
    assert [process.wait(60) for process in started] == [0] * 6


def test_order_filters_and_limit(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    for number in range(5):
        catalog.save_execution(an_execution(f"{number}abc", "failed" if number == 2 else "completed", number))
    assert [execution.execution_id[0] for execution in catalog.executions()] == ["4", "3", "2", "1", "0"]
    assert [execution.execution_id[0] for execution in catalog.executions(status="failed")] == ["2"]
    assert len(catalog.executions(limit=2)) == 2
    assert catalog.executions(job="other") == []
    assert [execution.execution_id for execution in catalog.executions_by_prefix("3a")] == ["3abc"]
    assert catalog.executions_by_prefix("%") == []
    catalog.close()


def test_an_execution_goes_with_its_last_copy(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    catalog.save_execution(an_execution("0000"))
    catalog.save_copy("0000", Copy(storage="nas", status="missing", path="/y"))
    catalog.remove_copy("0000", "disk")
    found = catalog.execution("0000")
    assert found is not None
    assert [copy.storage for copy in found.copies] == ["nas"]
    catalog.remove_copy("0000", "nas")
    assert catalog.execution("0000") is None
    catalog.close()


def test_restores_and_markers(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    restore = Restore(
        restore_id="r", execution_id="0000", datasource="shop", target="shop", status="running", started_at=MOMENT
    )
    catalog.save_restore(restore)
    catalog.save_restore(restore)
    assert catalog.restores() == [restore]
    assert catalog.restores("other") == []
    assert catalog.storage_marker("disk") is None
    catalog.save_storage_marker("disk", "one")
    catalog.save_storage_marker("disk", "two")
    assert catalog.storage_marker("disk") == "two"
    catalog.close()


def test_a_newer_catalogue_is_not_touched(tmp_path: Path) -> None:
    Catalog(tmp_path).close()
    with contextlib.closing(sqlite3.connect(tmp_path / "catalog.db")) as connection, connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", (str(SCHEMA_VERSION + 1),))
    with pytest.raises(CatalogError, match="newer version"):
        Catalog(tmp_path)


def test_a_catalogue_that_could_not_be_made_anew_in_time_is_made_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = Catalog(tmp_path)
    (tmp_path / "catalog.db").unlink()
    (tmp_path / "catalog.db").touch()
    monkeypatch.setattr(database, "_LOCK_SECONDS", 0.1)
    with take_lock(tmp_path / "catalog.lock", purpose="making it for long"), pytest.raises(DataGuardianError):
        catalog.executions()
    assert catalog.executions() == []
    catalog.close()


def test_one_that_is_refused_at_once_by_others_that_open_it_too_tries_again(tmp_path: Path) -> None:
    tries: list[str] = []

    def refuse(_connection: Connection, statement: str, _values: object, _many: bool) -> None:
        if statement == "PRAGMA journal_mode=WAL":
            tries.append(statement)
            if len(tries) < 3:
                refused = sqlite3.OperationalError("database is locked")
                refused.sqlite_errorcode = sqlite3.SQLITE_BUSY
                raise refused

    with watched(refuse):
        Catalog(tmp_path).close()
    assert len(tries) >= 3


@pytest.mark.parametrize("ask", [lambda it: it.execution("\udcff"), lambda it: it.executions(limit=2**64)])
def test_what_no_catalogue_can_hold_is_told_as_that(tmp_path: Path, ask: Callable[[Catalog], object]) -> None:
    catalog = Catalog(tmp_path)
    with pytest.raises(CatalogError, match="cannot hold what it is asked for"):
        ask(catalog)
    assert catalog.executions() == []
    catalog.close()


def test_only_we_can_read_it(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    catalog.save_storage_marker("disk", "one")
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("catalog.db*")} == {0o600}
    catalog.close()


def test_a_broken_catalogue_says_so_to_those_that_only_look(tmp_path: Path) -> None:
    tmp_path.joinpath("catalog.db").write_bytes(b"no database at all" * 300)
    with pytest.raises(CatalogDamaged, match="not a database"):
        Catalog(tmp_path, mend=False)
    assert not list(tmp_path.glob("*damaged*"))


def test_a_broken_catalogue_is_moved_aside_whole(tmp_path: Path) -> None:
    tmp_path.joinpath("catalog.db").write_bytes(b"no database at all" * 300)
    catalog = Catalog(tmp_path)
    assert Path(catalog.made_anew() or "").read_bytes() == b"no database at all" * 300
    catalog.save_execution(an_execution("0000"))
    catalog.storages_were_read()
    catalog.close()
    assert Catalog(tmp_path).made_anew() is None


def test_a_catalogue_that_nobody_closed_is_open_no_more_once_nobody_has_it(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    assert open_below(tmp_path)
    del catalog
    assert not open_below(tmp_path)


def test_a_catalogue_that_is_closed_while_it_is_used_is_open_no_more_once_that_is_done(tmp_path: Path) -> None:
    """A program that ends, or finds another file there, closes it under threads that write what they found."""
    catalog = Catalog(tmp_path)
    with catalog.transaction() as connection:
        catalog.close()
        assert connection.scalar("SELECT count(*) FROM executions") == 0
        assert open_below(tmp_path)
    kept = connection  # what is open must not hang on what is still known
    assert not open_below(tmp_path)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        kept.commit()


@pytest.mark.parametrize("how", ["removed", "replaced", "damaged"])
def test_a_living_process_goes_on_with_the_catalogue_that_lies_there_now(tmp_path: Path, how: str) -> None:
    catalog = Catalog(tmp_path)
    with catalog.transaction() as connection:
        rows = [{"name": f"storage-{number}", "marker_id": "x" * 100} for number in range(2000)]
        insert_rows(connection, "storages", rows)
    if how == "damaged":
        # What it has read already it would not read again.
        catalog.close()
        with (tmp_path / "catalog.db").open("r+b") as file:
            file.truncate(file.seek(0, 2) // 2)
        with pytest.raises(CatalogDamaged, match="malformed"):
            catalog.storage_marker("storage-1999")
    elif how == "removed":
        # Its journal stays, since it is in use.
        (tmp_path / "catalog.db").unlink()
        assert (tmp_path / "catalog.db-wal").stat().st_size
    else:
        for path in tmp_path.glob("catalog.db*"):
            path.unlink()
        (tmp_path / "other").mkdir()
        other = Catalog(tmp_path / "other")
        other.save_storage_marker("disk", "of the other")
        other.close()
        (tmp_path / "other" / "catalog.db").rename(tmp_path / "catalog.db")
    assert catalog.storage_marker("storage-1") is None
    assert catalog.storage_marker("disk") == ("of the other" if how == "replaced" else None)
    catalog.save_execution(an_execution("0000"))
    catalog.close()
    again = Catalog(tmp_path)
    assert again.execution("0000") is not None
    again.close()


def made_of(state: Path) -> dict[str, set[Any]]:
    """The tables of a catalogue with their columns, its indexes and its triggers."""
    with contextlib.closing(sqlite3.connect(state / "catalog.db")) as connection:
        known = connection.execute("SELECT type, name FROM sqlite_master").fetchall()
        return {
            name: {row[1:] for row in connection.execute(f"PRAGMA table_info({name})")} if kind == "table" else set()
            for kind, name in known
        }


def test_a_catalogue_of_an_earlier_schema_is_brought_up_to_date_with_all_it_holds(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    catalog.save_execution(an_execution("0000"))
    catalog.close()
    with sqlite3.connect(tmp_path / "catalog.db") as connection:
        connection.execute("DROP INDEX safety_copies")
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for column in ("alike", "purpose", "protected_until", "pin"):
            connection.execute(f"ALTER TABLE executions DROP COLUMN {column}")
        connection.execute("UPDATE meta SET value = '1' WHERE key = 'schema_version'")
        connection.execute("DROP TABLE storages")
        connection.execute("DROP TABLE removals")
    connection.close()
    catalog = Catalog(tmp_path)
    Catalog(tmp_path / "fresh").close()
    assert made_of(tmp_path) == made_of(tmp_path / "fresh")
    catalog.save_storage_marker("disk", "marker")
    found = catalog.execution("0000")
    assert found is not None
    assert (found.job, found.purpose, found.protected_until, found.pin) == ("nightly", "backup", None, None)
    catalog.save_execution(an_execution("0000"))
    found = catalog.execution("0000")
    assert found is not None
    assert found.pin == "the last one before the merger"
    catalog.close()


def test_many_states_are_saved_in_pieces_and_nobody_waits(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    write_many(catalog, [an_execution(f"{number:04}") for number in range(2500)])
    pieces: list[bool] = []
    other = sqlite3.connect(tmp_path / "catalog.db", timeout=0, isolation_level=None)

    def write_between(_1: object, statement: str, _2: object, many: bool) -> None:
        if not statement.lstrip().startswith("SELECT"):
            other.execute("INSERT INTO meta VALUES (?, '')", (f"piece {len(pieces)}",))
            pieces.append(many)

    found = Copy(storage="disk", status="missing", path="/x", checked_at=MOMENT)
    with watched(write_between):
        catalog.save_copies({f"{number:04}": found for number in range(2500)})
    assert pieces == [True, True, True]
    assert {copy for one in catalog.executions() for copy in one.copies} == {found}
    other.close()
    catalog.close()


def test_what_all_copies_at_a_storage_were_found_to_be_is_saved_in_pieces_too(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    other_copy = Copy(storage="nas", status="available", path="/y")
    written = [an_execution(f"{number:04}") for number in range(7000)]
    write_many(catalog, [msgspec.structs.replace(one, copies=(*one.copies, other_copy)) for one in written])
    pieces: list[str] = []
    other = sqlite3.connect(tmp_path / "catalog.db", timeout=0, isolation_level=None)

    def write_between(_1: object, statement: str, _2: object, _3: bool) -> None:
        if not statement.lstrip().startswith("SELECT"):
            other.execute("INSERT INTO meta VALUES (?, '')", (f"piece {len(pieces)}",))
            pieces.append(statement.split()[0])

    gone: dict[str, CopyStatus] = {f"{number:04}": "missing" for number in range(6000)}
    with watched(write_between):
        save_states(catalog, "disk", gone | {"6000": "unreachable", "never known": "missing"}, MOMENT)
    assert pieces == ["UPDATE", "UPDATE", "UPDATE"]
    found = {one.execution_id: one.copies for one in catalog.executions()}
    assert {copies[1] for copies in found.values()} == {other_copy}
    assert {found[one][0] for one in gone} == {Copy(storage="disk", status="missing", path="/x", checked_at=MOMENT)}
    assert [found[one][0].status for one in ("6000", "6001")] == ["unreachable", "available"]
    other.close()
    catalog.close()


def test_the_state_of_a_copy_that_was_removed_meanwhile_brings_it_not_back(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    catalog.save_execution(an_execution("0000"))
    catalog.remove_copy("0000", "disk")
    catalog.save_copies({"0000": Copy(storage="disk", status="available", path="/x")})
    save_states(catalog, "disk", {"0000": "available"}, MOMENT)
    with catalog.transaction() as connection:
        assert connection.scalar("SELECT count(*) FROM copies") == 0
    catalog.close()


def test_a_storage_that_is_silent_changes_nothing_of_what_is_known_to_be_lost(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    states: tuple[CopyStatus, ...] = ("available", "missing", "corrupt", "unknown")
    for number, status in enumerate(states):
        copies = (Copy(storage="disk", status=status, path="/x"), Copy(storage="nas", status=status, path="/y"))
        catalog.save_execution(msgspec.structs.replace(an_execution(f"{number}"), copies=copies))
    catalog.save_silence("disk", "unreachable", MOMENT)
    found: dict[str, list[CopyStatus]] = {"disk": [], "nas": []}
    for one in sorted(catalog.executions(), key=lambda one: one.sequence):
        for copy in one.copies:
            found[copy.storage].append(copy.status)
    assert found == {"disk": ["unreachable", "missing", "corrupt", "unreachable"], "nas": list(states)}
    catalog.close()
