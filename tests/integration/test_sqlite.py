"""SQLite: the copy is exact and of one moment, and the source never learns of it."""

import contextlib
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from dgtui.engine.datasources import sqlite_snapshot
from dgtui.engine.datasources.dumping import DumpOptions, Probe
from dgtui.engine.datasources.sqlite import SqliteDatasource
from dgtui.engine.datasources.sqlite_file import SqliteSettings
from dgtui.engine.errors import (
    BackupCreationError,
    ConfigError,
    DataGuardianError,
)
from dgtui.engine.reporting import SilentReporter
from dgtui.engine.settings import Duration
from tests.support.nobody import as_nobody
from tests.support.pump import check_archive, dump_to, load_into
from tests.support.sqlite import (
    BANK_TOTAL,
    bank_at_work,
    bank_state,
    make_bank,
    make_nasty,
    make_spoilt_index,
    sqlite_digest,
)

NO_PROBE = Probe(product="SQLite", version="")


def datasource(path: Path, busy_seconds: int = 10) -> SqliteDatasource:
    settings = SqliteSettings(type="sqlite", path=str(path), busy_timeout=Duration(busy_seconds))
    return SqliteDatasource("shop", settings)


def folder_state(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        entry.name: (hashlib.sha256(entry.read_bytes()).hexdigest(), entry.stat().st_mtime_ns)
        for entry in folder.iterdir()
    }


@pytest.mark.parametrize("wal", [True, False], ids=["wal", "rollback journal"])
def test_round_trip_is_exact_and_the_source_untouched(tmp_path: Path, scratch: Path, wal: bool) -> None:
    source = tmp_path / "source" / "we'ird?#.db"
    source.parent.mkdir()
    make_nasty(source, wal=wal)
    before = folder_state(source.parent)
    archive, target = tmp_path / "backup.db", tmp_path / "restored.db"

    summary = dump_to(datasource(source), archive, scratch=scratch)

    assert folder_state(source.parent) == before
    assert list(scratch.iterdir()) == []
    check_archive(datasource(source), archive, scratch)
    assert load_into(datasource(source), archive, str(target), scratch=scratch).errors == ()
    assert sqlite_digest(target) == sqlite_digest(source)
    inventory = {entry.name: entry.rows for entry in datasource(source).inventory(str(target))}
    assert inventory == {entry.name: entry.rows for entry in summary.objects}
    assert all(entry.rows_exact for entry in summary.objects)
    assert {path.name for path in tmp_path.glob("restored*")} == {"restored.db"}


def test_rows_that_are_only_in_the_wal_are_in_the_copy(sqlite_nasty: Path, nasty_archive: Path) -> None:
    with contextlib.closing(sqlite3.connect(nasty_archive)) as connection:
        assert connection.execute("SELECT count(*) FROM only_in_wal").fetchone() == (500,)
        assert connection.execute("SELECT a FROM plain WHERE rowid = 77").fetchone() == ("only in the wal",)


def test_probe_sees_rows_of_the_wal_and_leaves_nothing(sqlite_nasty: Path) -> None:
    before = folder_state(sqlite_nasty.parent)
    probe = datasource(sqlite_nasty).probe()
    assert {entry.name: entry.rows for entry in probe.objects}["only_in_wal"] == 500
    assert folder_state(sqlite_nasty.parent) == before


def test_estimate_is_the_size_of_the_dump(sqlite_nasty: Path, nasty_archive: Path) -> None:
    assert datasource(sqlite_nasty).probe().estimated_dump_bytes == nasty_archive.stat().st_size


def test_clean_wal_database_gets_no_side_files(tmp_path: Path, scratch: Path) -> None:
    source = tmp_path / "source" / "bank.db"
    source.parent.mkdir()
    make_bank(source)
    before = folder_state(source.parent)
    assert list(before) == ["bank.db"]
    datasource(source).probe()
    dump_to(datasource(source), tmp_path / "backup.db", scratch=scratch)
    assert folder_state(source.parent) == before


@pytest.mark.parametrize("journal_mode", ["WAL", "DELETE", "TRUNCATE"])
def test_copies_beside_a_busy_writer_are_of_one_moment(tmp_path: Path, scratch: Path, journal_mode: str) -> None:
    source = tmp_path / "bank.db"
    make_bank(source, journal_mode=journal_mode)
    last_before = 0
    with bank_at_work(source):
        for number in range(12):
            archive = tmp_path / f"backup-{number}.db"
            dump_to(datasource(source), archive, scratch=scratch)
            total, last = bank_state(archive)
            assert total == BANK_TOTAL
            assert last >= last_before
            last_before = last
    assert last_before > 0


def test_wal_that_is_emptied_and_begun_anew_meanwhile(tmp_path: Path, scratch: Path) -> None:
    """Every transfer is folded in at once, so that the WAL starts again all the time."""
    source = tmp_path / "bank.db"
    make_bank(source)
    folder = (
        "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)\n"
        "while True:\n c.execute('PRAGMA wal_checkpoint(RESTART)').fetchall()"
    )
    with bank_at_work(source), subprocess.Popen([sys.executable, "-c", folder, str(source)]) as checkpoints:
        try:
            for number in range(12):
                archive = tmp_path / f"backup-{number}.db"
                dump_to(datasource(source), archive, scratch=scratch)
                assert bank_state(archive)[0] == BANK_TOTAL
        finally:
            checkpoints.kill()


_HALF_WAY = """
import sqlite3, sys
writer = sqlite3.connect(sys.argv[1], isolation_level=None)
writer.execute("PRAGMA journal_mode = " + sys.argv[2])
writer.execute("CREATE TABLE t (a)")
writer.execute("INSERT INTO t VALUES (1)")
if sys.argv[3] == "under way":
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO t VALUES (2)")
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("journal_mode", "transaction"), [("DELETE", "under way"), ("PERSIST", "under way"), ("PERSIST", "ended")]
)
def test_a_journal_that_says_nothing_does_not_stand_against_a_copy(
    tmp_path: Path, scratch: Path, journal_mode: str, transaction: str
) -> None:
    """A transaction that is under way has changed nothing yet, and one that ended in PERSIST leaves it for the next."""
    source, archive = tmp_path / "shop.db", tmp_path / "backup.db"
    command = [sys.executable, "-c", _HALF_WAY, str(source), journal_mode, transaction]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        assert Path(f"{source}-journal").stat().st_size > 0
        dump_to(datasource(source), archive, scratch=scratch)
        writer.communicate()
    with contextlib.closing(sqlite3.connect(archive)) as copy:
        assert copy.execute("SELECT a FROM t").fetchall() == [(1,)]
    assert list(scratch.iterdir()) == []


def test_crashed_writer_leaves_a_journal_that_is_rolled_back_in_the_copy(tmp_path: Path, scratch: Path) -> None:
    source = tmp_path / "source" / "bank.db"
    source.parent.mkdir()
    make_bank(source, journal_mode="DELETE")
    crash = (
        "import os, sqlite3, sys\nc = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('PRAGMA cache_size = 2')\nc.execute('BEGIN')\n"
        "c.execute('UPDATE account SET balance = 0, filler = randomblob(50000)')\nos.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", crash, str(source)], check=False)
    assert Path(f"{source}-journal").stat().st_size > 0
    before = folder_state(source.parent)
    archive = tmp_path / "backup.db"
    dump_to(datasource(source), archive, scratch=scratch)
    assert bank_state(archive)[0] == BANK_TOTAL
    assert folder_state(source.parent) == before


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_exclusively_locked_source_fails_and_names_the_holder(tmp_path: Path, scratch: Path, mode: str) -> None:
    source = tmp_path / "bank.db"
    make_bank(source, journal_mode=mode)
    hold = (
        "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.execute('PRAGMA locking_mode = EXCLUSIVE')\nc.execute('BEGIN EXCLUSIVE')\n"
        "c.execute('UPDATE account SET balance = 0')\nprint('ready', flush=True)\nsys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(source)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        try:
            with pytest.raises(BackupCreationError, match=rf"database is locked by .*\(pid {holder.pid}\)") as failure:
                datasource(source, busy_seconds=0).open_dump(
                    NO_PROBE, DumpOptions(scratch_folder=str(scratch)), SilentReporter()
                )
            assert "fuser" in failure.value.hint
        finally:
            holder.kill()
    assert list(scratch.iterdir()) == []


def test_damaged_page_is_found_at_the_dump(sqlite_nasty: Path, tmp_path: Path, scratch: Path) -> None:
    content = bytearray(sqlite_nasty.read_bytes())
    content[3 * 8192 : 3 * 8192 + 100] = b"\xff" * 100
    sqlite_nasty.write_bytes(content)
    with pytest.raises(BackupCreationError, match="is damaged"):
        dump_to(datasource(sqlite_nasty), tmp_path / "backup.db", scratch=scratch)
    assert list(scratch.iterdir()) == []


def test_what_is_damaged_is_said_line_by_line(tmp_path: Path, scratch: Path) -> None:
    """SQLite tells all it found in one row, below a headline that says nothing."""
    source = tmp_path / "shop.db"
    with contextlib.closing(sqlite3.connect(source)) as connection:
        connection.execute("PRAGMA page_size = 4096")
        connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(number, f"x{number}") for number in range(1000)])
        connection.commit()
    content = bytearray(source.read_bytes())
    content[9000:9400] = b"\xff" * 400
    source.write_bytes(content)
    with pytest.raises(BackupCreationError) as caught:
        dump_to(datasource(source), tmp_path / "backup.db", scratch=scratch)
    assert "page" in caught.value.message
    assert "***" not in caught.value.message
    assert "\n" not in "".join((caught.value.message, *caught.value.detail))
    assert len(caught.value.detail) <= 20


@pytest.mark.parametrize(
    "made",
    [
        "CREATE TABLE t (a TEXT); CREATE INDEX i ON t (a COLLATE icu_root)",
        'CREATE TABLE t (a TEXT COLLATE "a ""b" UNIQUE)',
        "CREATE TABLE t (a TEXT COLLATE icu_root PRIMARY KEY) WITHOUT ROWID",
        "CREATE TABLE t (a TEXT CHECK (ours(a) <> ''))",
        "CREATE TABLE t (a TEXT); CREATE INDEX i ON t (ours(a))",
    ],
)
def test_a_program_s_own_collations_and_functions_are_no_damage(tmp_path: Path, scratch: Path, made: str) -> None:
    """Only the program itself has them: it is backed up, checked as far as it goes, and comes back."""
    source, archive, target = tmp_path / "shop.db", tmp_path / "backup.db", tmp_path / "copy.db"

    def opened(path: Path) -> sqlite3.Connection:
        connection = sqlite3.connect(path)
        for name in ("icu_root", 'a "b'):
            connection.create_collation(name, lambda one, other: (one < other) - (one > other))
        connection.create_function("ours", 1, lambda value: value, deterministic=True)
        return connection

    with contextlib.closing(opened(source)) as connection, connection:
        connection.executescript(made)
        connection.executemany("INSERT INTO t VALUES (?)", [("a",), ("b",), ("c",)])
    dump_to(datasource(source), archive, scratch=scratch)
    check_archive(datasource(source), archive, scratch)
    load_into(datasource(source), archive, str(target), scratch=scratch)
    with contextlib.closing(opened(target)) as connection:
        assert sorted(connection.execute("SELECT a FROM t")) == [("a",), ("b",), ("c",)]
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_damaged_page_is_found_without_the_collations(tmp_path: Path, scratch: Path) -> None:
    source, archive = tmp_path / "shop.db", tmp_path / "backup.db"
    with contextlib.closing(sqlite3.connect(source)) as connection, connection:
        connection.create_collation("icu_root", lambda one, other: (one > other) - (one < other))
        connection.executescript("CREATE TABLE t (a TEXT); CREATE INDEX i ON t (a COLLATE icu_root)")
        connection.executemany("INSERT INTO t VALUES (?)", [("x" * 200,)] * 500)
    content = bytearray(source.read_bytes())
    page = content.index(b"x" * 200) // 4096 * 4096
    content[page : page + 8] = b"\xff" * 8
    source.write_bytes(content)
    with pytest.raises(BackupCreationError, match="damaged"):
        dump_to(datasource(source), archive, scratch=scratch)


def test_damage_that_only_an_index_betrays_is_found(tmp_path: Path, scratch: Path) -> None:
    source = tmp_path / "bank.db"
    make_spoilt_index(source)
    with pytest.raises(BackupCreationError, match="is damaged"):
        dump_to(datasource(source), tmp_path / "backup.db", scratch=scratch)


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda path: None, BackupCreationError, "no file"),
        (lambda path: path.mkdir(), ConfigError, "is a folder"),
        (lambda path: path.touch(), BackupCreationError, "empty file"),
        (lambda path: path.write_bytes(b"PK\x03\x04" * 2000), BackupCreationError, "not an SQLite database"),
    ],
    ids=["missing", "folder", "empty", "other file"],
)
def test_what_is_no_database_is_said(
    tmp_path: Path, scratch: Path, make: Callable[[Path], object], error: type[Exception], said: str
) -> None:
    source = tmp_path / "x.db"
    make(source)
    for attempt in (
        lambda: datasource(source).probe(),
        lambda: datasource(source).open_dump(NO_PROBE, DumpOptions(scratch_folder=str(scratch)), SilentReporter()),
    ):
        with pytest.raises(error, match=said) as failure:
            attempt()
        assert isinstance(failure.value, DataGuardianError)
        assert failure.value.hint


@pytest.mark.parametrize("ending", ["-wal", "-journal", "-shm"])
@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_what_is_no_file_where_sqlite_keeps_one_is_said_and_not_waited_for(
    tmp_path: Path, scratch: Path, ending: str, kind: str
) -> None:
    source, side = tmp_path / "bank.db", tmp_path / f"bank.db{ending}"
    make_bank(source)
    with contextlib.ExitStack() as stack:
        if kind == "folder":
            side.mkdir()
        else:
            os.mkfifo(side)
            # Both ends are open and something is in it, so that whoever reads it all the same does not wait for ever.
            ends = os.open(side, os.O_RDWR | os.O_NONBLOCK)
            stack.callback(os.close, ends)
            os.write(ends, bytes(4096))
        for attempt in (
            lambda: datasource(source).probe(),
            lambda: datasource(source).open_dump(NO_PROBE, DumpOptions(scratch_folder=str(scratch)), SilentReporter()),
            lambda: datasource(source).health(1.0),
            lambda: datasource(source).swap(str(tmp_path / "new"), str(source), "old", SilentReporter()),
        ):
            with pytest.raises(BackupCreationError, match=f"bank.db{ending} is no plain file"):
                attempt()


_DUMP_AS_NOBODY = """
import sys
from pathlib import Path
from tests.integration.test_sqlite import datasource
from tests.support.pump import dump_to
from dgtui.engine.errors import DataGuardianError
try:
    dump_to(datasource(Path(sys.argv[1])), Path(sys.argv[2]) / "backup.db", scratch=Path(sys.argv[2]))
except DataGuardianError as error:
    print(error.kind, error.hint)
"""


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_read_only_folder_works_and_an_unreadable_file_is_said(tmp_path: Path) -> None:
    base = Path(tempfile.mkdtemp(dir="/var/tmp"))
    source = base / "source" / "bank.db"
    out = base / "out"
    try:
        base.chmod(0o755)
        source.parent.mkdir()
        out.mkdir()
        out.chmod(0o777)
        make_nasty(source)
        source.parent.chmod(0o555)
        before = folder_state(source.parent)
        assert as_nobody(_DUMP_AS_NOBODY, str(source), str(out)) == ""
        assert sqlite_digest(out / "backup.db") != ""
        with contextlib.closing(sqlite3.connect(out / "backup.db")) as connection:
            assert connection.execute("SELECT count(*) FROM only_in_wal").fetchone() == (500,)
        assert folder_state(source.parent) == before
        source.chmod(0o600)
        assert as_nobody(_DUMP_AS_NOBODY, str(source), str(out)).startswith("PermissionDenied ")
    finally:
        shutil.rmtree(base, ignore_errors=True)


def test_stop_ends_the_check_and_removes_the_copy(sqlite_nasty: Path, scratch: Path) -> None:
    source = datasource(sqlite_nasty)
    options = DumpOptions(scratch_folder=str(scratch))
    dump = source.open_dump(source.probe(options), options, SilentReporter())
    assert list(scratch.iterdir()) != []
    dump.stop()
    dump.stop()
    assert list(scratch.iterdir()) == []


def test_dump_of_chosen_tables_and_a_table_that_is_not_there(sqlite_nasty: Path, tmp_path: Path, scratch: Path) -> None:
    archive = tmp_path / "part.db"
    summary = dump_to(datasource(sqlite_nasty), archive, DumpOptions(tables=("plain", "pairs")), scratch=scratch)
    assert [entry.name for entry in summary.objects] == ["pairs", "plain"]
    with pytest.raises(ConfigError, match="no table nothing"):
        dump_to(datasource(sqlite_nasty), archive, DumpOptions(tables=("nothing",)), scratch=scratch)
    assert list(scratch.iterdir()) == []


def test_wal_begun_anew_between_its_first_and_last_byte_is_copied_again(
    tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames of the old WAL before a header of the new one would bring back older pages."""
    source = tmp_path / "bank.db"
    make_bank(source)
    copy_side_file = sqlite_snapshot._copy_side_file
    copies = []
    with contextlib.closing(sqlite3.connect(source, isolation_level=None)) as writer:
        writer.execute("UPDATE account SET balance = balance + 1 WHERE id = 1")
        writer.execute("UPDATE account SET balance = balance - 1 WHERE id = 1")
        writer.execute("PRAGMA wal_checkpoint(FULL)")

        def copy_and_begin_anew(origin: Path, copy: Path, ending: str) -> None:
            copy_side_file(origin, copy, ending)
            if ending == "-wal":
                copies.append(ending)
                if len(copies) == 1:
                    writer.execute("UPDATE journal SET note = 'new wal'")

        monkeypatch.setattr(sqlite_snapshot, "_copy_side_file", copy_and_begin_anew)
        dump_to(datasource(source), tmp_path / "backup.db", scratch=scratch)
    assert len(copies) == 2
    assert bank_state(tmp_path / "backup.db")[0] == BANK_TOTAL


def test_quick_check_of_the_copy_is_a_choice(tmp_path: Path, scratch: Path) -> None:
    source = tmp_path / "x.db"
    with contextlib.closing(sqlite3.connect(source)) as connection:
        connection.execute("CREATE TABLE t (name TEXT)")
        connection.execute("CREATE INDEX t_name ON t (name)")
        connection.execute("INSERT INTO t VALUES ('name-00500')")
        connection.commit()
    source.write_bytes(source.read_bytes().replace(b"name-00500", b"name-0x500", 1))
    settings = SqliteSettings(type="sqlite", path=str(source), integrity_check="quick")
    assert dump_to(SqliteDatasource("x", settings), tmp_path / "backup.db", scratch=scratch).warnings == ()


def test_the_bytes_of_a_snapshot_are_told(tmp_path: Path) -> None:
    source, told = tmp_path / "source.db", list[str]()
    make_nasty(source)

    class Listener(SilentReporter):
        def current_object(self, name: str, *, number: int = 0, count: int = 0) -> None:
            told.append(name)

    adapter = SqliteDatasource("case", SqliteSettings(type="sqlite", path=str(source)))
    dump = adapter.open_dump(adapter.probe(), DumpOptions(scratch_folder=str(tmp_path)), Listener())
    dump.stop()
    size = f"{source.stat().st_size:,}"
    assert f"copying source.db: {size} of {size} bytes" in told
