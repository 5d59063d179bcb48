"""SQLite: what comes back is what was stored, and what was there before goes nowhere."""

import contextlib
import os
import sqlite3
import struct
import subprocess
import tempfile
from pathlib import Path

import pytest

from dgtui.engine.datasources.loading import Selection
from dgtui.engine.datasources.sqlite import SqliteDatasource
from dgtui.engine.errors import (
    RestoreError,
    ValidationError,
)
from dgtui.engine.reporting import SilentReporter
from tests.integration.test_sqlite import datasource
from tests.support.nobody import as_nobody
from tests.support.pump import check_archive, dump_to, load_into
from tests.support.sqlite import BANK_TOTAL, bank_at_work, bank_state, make_bank, sqlite_digest


@pytest.mark.parametrize("cut", [1, 99, 100, 8192, 100_000, -1, -8192])
def test_cut_archive_is_found(nasty_archive: Path, sqlite_nasty: Path, tmp_path: Path, scratch: Path, cut: int) -> None:
    part = tmp_path / "cut.db"
    part.write_bytes(nasty_archive.read_bytes()[:cut])
    with pytest.raises(ValidationError):
        check_archive(datasource(sqlite_nasty), part, scratch)
    target = tmp_path / "restored.db"
    with pytest.raises(ValidationError):
        load_into(datasource(sqlite_nasty), part, str(target), scratch=scratch)
    assert list(scratch.iterdir()) == []


def test_damaged_archive_of_the_right_length_is_found(
    nasty_archive: Path, sqlite_nasty: Path, tmp_path: Path, scratch: Path
) -> None:
    content = bytearray(nasty_archive.read_bytes())
    content[2 * 8192 : 2 * 8192 + 50] = b"\xaa" * 50
    nasty_archive.write_bytes(content)
    with pytest.raises(ValidationError):
        check_archive(datasource(sqlite_nasty), nasty_archive, scratch)


def test_chosen_tables_come_back_with_rowids_and_shadow_tables(
    nasty_archive: Path, sqlite_nasty: Path, tmp_path: Path, scratch: Path
) -> None:
    target = tmp_path / "restored.db"
    source = datasource(sqlite_nasty)
    load_into(source, nasty_archive, str(target), Selection(tables=("plain", "notes")), scratch=scratch)
    assert [entry.name for entry in source.inventory(str(target))] == ["notes", "plain"]
    with (
        contextlib.closing(sqlite3.connect(target)) as restored,
        contextlib.closing(sqlite3.connect(nasty_archive)) as original,
    ):
        question = "SELECT rowid, quote(a), hex(CAST(b AS BLOB)), quote(c), quote(d) FROM plain ORDER BY rowid"
        assert restored.execute(question).fetchall() == original.execute(question).fetchall()
        assert restored.execute("SELECT title FROM notes WHERE notes MATCH 'fox'").fetchall() == [("one",)]
        assert restored.execute("PRAGMA user_version").fetchone() == (4711,)


def test_schema_alone(nasty_archive: Path, sqlite_nasty: Path, tmp_path: Path, scratch: Path) -> None:
    target = tmp_path / "restored.db"
    source = datasource(sqlite_nasty)
    load_into(source, nasty_archive, str(target), Selection(backup_type="schema_only"), scratch=scratch)
    assert {entry.rows for entry in source.inventory(str(target))} == {0}
    with (
        contextlib.closing(sqlite3.connect(target)) as restored,
        contextlib.closing(sqlite3.connect(nasty_archive)) as original,
    ):
        question = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_stat%' ORDER BY type, name"
        assert restored.execute(question).fetchall() == original.execute(question).fetchall()


def test_a_part_without_the_extension_that_it_needs_is_no_damage(tmp_path: Path, scratch: Path) -> None:
    """All of it is restored as it is; what only that extension could take apart is not called damaged."""
    path, archive = tmp_path / "shop.db", tmp_path / "backup.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t (a)")
        connection.execute("PRAGMA writable_schema = ON")
        statement = "CREATE VIRTUAL TABLE vectors USING vec_of_others (a)"
        connection.execute("INSERT INTO sqlite_master VALUES ('table', 'vectors', 'vectors', 0, ?)", (statement,))
    source = datasource(path)
    dump_to(source, archive, scratch=scratch)
    for name, selection in (("one", Selection(tables=("t",))), ("two", Selection(backup_type="schema_only"))):
        with pytest.raises(RestoreError, match=r"without the extension .* no such module: vec_of_others") as caught:
            load_into(source, archive, str(tmp_path / name), selection, scratch=scratch)
        assert "in full" in caught.value.hint
    load_into(source, archive, str(tmp_path / "all"), scratch=scratch)
    assert (tmp_path / "all").read_bytes() == archive.read_bytes()


_INDEXES = (
    ("fts5(a, content='text', content_rowid='id')", "INSERT INTO words (rowid, a) VALUES (1, 'secret')"),
    ("fts5(a, content='')", "INSERT INTO words (rowid, a) VALUES (1, 'secret')"),
    ("fts4(content='text', a)", "INSERT INTO words (docid, a) VALUES (1, 'secret')"),
    ("fts4(content='', a)", "INSERT INTO words (docid, a) VALUES (1, 'secret')"),
    ("fts5(a)", "INSERT INTO words (a) VALUES ('secret')"),
    ("fts4(a)", "INSERT INTO words (a) VALUES ('secret')"),
)


@pytest.mark.parametrize(("index", "fill"), _INDEXES)
def test_schema_alone_of_a_full_text_index(tmp_path: Path, scratch: Path, index: str, fill: str) -> None:
    """No word is left in it, and one whose text lies nowhere is no damage."""
    path, archive, target = tmp_path / "shop.db", tmp_path / "backup.db", tmp_path / "restored.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        options = {row[0] for row in connection.execute("PRAGMA compile_options")}
        if f"ENABLE_{index[:4].upper()}" not in options:
            pytest.skip("this SQLite has no full-text search")
        connection.execute("CREATE TABLE text (id INTEGER PRIMARY KEY, a)")
        connection.execute("INSERT INTO text VALUES (1, 'secret')")
        connection.execute(f"CREATE VIRTUAL TABLE words USING {index}")
        connection.execute(fill)
        shadows = [row[0] for row in connection.execute("SELECT name FROM pragma_table_list WHERE type = 'shadow'")]
    source = datasource(path)
    dump_to(source, archive, scratch=scratch)
    load_into(source, archive, str(target), Selection(backup_type="schema_only"), scratch=scratch)
    with contextlib.closing(sqlite3.connect(target)) as restored:
        assert restored.execute("SELECT rowid FROM words WHERE words MATCH 'secret'").fetchall() == []
        found = {row[0] for row in restored.execute("SELECT name FROM pragma_table_list WHERE type = 'shadow'")}
        assert found == set(shadows)
    assert b"secret" not in target.read_bytes()


@pytest.fixture
def swap_case(tmp_path: Path, scratch: Path) -> tuple[SqliteDatasource, Path, Path, Path]:
    """A bank with a stale -wal (as a crash leaves it), and a restored older one beside it."""
    folder = tmp_path / "data"
    folder.mkdir()
    current = folder / "bank.db"
    make_bank(current)
    source = datasource(current)
    archive = tmp_path / "backup.db"
    dump_to(source, archive, scratch=scratch)
    with bank_at_work(current):
        pass
    assert Path(f"{current}-wal").stat().st_size > 0
    new = Path(source.beside_name(str(current), "__dgtui_new"))
    load_into(source, archive, str(new), scratch=scratch)
    keep = Path(source.beside_name(str(current), "__dgtui_old"))
    return source, new, current, keep


def test_swap_takes_the_old_wal_away_with_the_old_file(
    swap_case: tuple[SqliteDatasource, Path, Path, Path],
) -> None:
    source, new, current, keep = swap_case
    current.chmod(0o640)
    old, restored = sqlite_digest(current), sqlite_digest(new)
    source.swap(str(new), str(current), str(keep), SilentReporter())
    assert sqlite_digest(current) == restored
    assert sqlite_digest(keep) == old
    assert current.stat().st_mode & 0o777 == 0o640
    assert {path.name for path in current.parent.iterdir()} == {current.name, keep.name}


def test_who_may_read_by_an_access_list_may_still_after_a_swap(
    swap_case: tuple[SqliteDatasource, Path, Path, Path],
) -> None:
    source, new, current, keep = swap_case
    entries = [(1, 6, -1), (2, 6, 12345), (4, 4, -1), (16, 6, -1), (32, 0, -1)]
    allowed = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    os.setxattr(current, "system.posix_acl_access", allowed)
    os.setxattr(current, "user.team", b"blue")
    source.swap(str(new), str(current), str(keep), SilentReporter())
    assert os.getxattr(current, "system.posix_acl_access") == allowed
    assert os.getxattr(current, "user.team") == b"blue"


def test_an_access_list_of_the_folder_lets_nobody_into_a_restored_database(
    swap_case: tuple[SqliteDatasource, Path, Path, Path],
) -> None:
    """A file that is made in it gets one, and the former file had none."""
    source, new, current, keep = swap_case
    entries = [(1, 6, -1), (2, 6, 12345), (4, 4, -1), (16, 6, -1), (32, 0, -1)]
    inherited = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    os.setxattr(new, "system.posix_acl_access", inherited)
    source.swap(str(new), str(current), str(keep), SilentReporter())
    assert "system.posix_acl_access" not in os.listxattr(current)


@pytest.mark.parametrize("wal_bytes", [None, 32, 1000], ids=["as it was", "header alone", "frame cut"])
def test_swap_of_a_damaged_database_keeps_its_side_files_with_it(
    swap_case: tuple[SqliteDatasource, Path, Path, Path], wal_bytes: int | None
) -> None:
    """Whatever is in them: SQLite deletes a -wal without a whole transaction as soon as it opens the database."""
    source, new, current, keep = swap_case
    current.write_bytes(b"garbage" * 5000)
    if wal_bytes is not None:
        os.truncate(f"{current}-wal", wal_bytes)
    sides = {ending: Path(f"{current}{ending}").read_bytes() for ending in ("-wal",)}
    restored = sqlite_digest(new)
    source.swap(str(new), str(current), str(keep), SilentReporter())
    assert sqlite_digest(current) == restored
    assert not Path(f"{current}-wal").exists()
    assert keep.read_bytes() == b"garbage" * 5000
    assert Path(f"{keep}-wal").read_bytes() == sides["-wal"]


def test_swap_is_refused_while_another_process_has_it_open(
    swap_case: tuple[SqliteDatasource, Path, Path, Path],
) -> None:
    source, new, current, keep = swap_case
    with bank_at_work(current) as bank, pytest.raises(RestoreError, match=rf"pid {bank.pid}"):
        source.swap(str(new), str(current), str(keep), SilentReporter())
    assert new.exists()
    assert not keep.exists()
    assert bank_state(current)[0] == BANK_TOTAL


def test_restore_under_the_name_of_a_lost_database_is_not_undone_by_its_wal(
    nasty_archive: Path, sqlite_nasty: Path, tmp_path: Path, scratch: Path
) -> None:
    lost = tmp_path / "lost.db"
    make_bank(lost)
    with bank_at_work(lost):
        pass
    lost.unlink()
    load_into(datasource(sqlite_nasty), nasty_archive, str(lost), scratch=scratch)
    assert sqlite_digest(lost) == sqlite_digest(sqlite_nasty)
    assert Path(f"{lost}-wal.orphan-1").exists()


def test_target_state_never_takes_content_for_emptiness(tmp_path: Path, sqlite_nasty: Path) -> None:
    source = datasource(sqlite_nasty)
    assert not source.target_state(str(tmp_path / "none.db")).exists
    assert not source.target_state(str(sqlite_nasty)).empty
    garbage = tmp_path / "garbage.db"
    garbage.write_bytes(b"no database")
    assert not source.target_state(str(garbage)).empty
    empty = tmp_path / "empty.db"
    empty.touch()
    assert source.target_state(str(empty)).empty


def test_targets_through_links_and_folders_are_refused(
    nasty_archive: Path, sqlite_nasty: Path, tmp_path: Path, scratch: Path
) -> None:
    source = datasource(sqlite_nasty)
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(RestoreError, match="symbolic link"):
        source.create_target(str(tmp_path / "link" / "x.db"))
    with pytest.raises(RestoreError, match="no plain file"):
        source.drop_target(str(tmp_path / "real"))
    with pytest.raises(RestoreError, match="no plain file"):
        source.drop_target(str(tmp_path / "link"))
    assert (tmp_path / "real").is_dir()


def test_manual_restore_by_hand(nasty_archive: Path, sqlite_nasty: Path) -> None:
    expected = sqlite_digest(nasty_archive)
    current = sqlite_nasty
    lines = datasource(current).manual_restore(nasty_archive.name, str(current))
    script = "set -e\n" + "\n".join(lines)
    done = subprocess.run(["sh", "-c", script], cwd=nasty_archive.parent, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
    assert sqlite_digest(current) == expected
    assert not Path(f"{current}-wal").exists()
    assert Path(f"{current}.before-wal").exists()


_AS_OWNER = """
import contextlib
import sqlite3
import sys
from pathlib import Path
from dgtui.engine.datasources.loading import Selection
from dgtui.engine.errors import DataGuardianError
from dgtui.engine.reporting import SilentReporter
from dgtui.engine.restore_model import PartChange
from tests.integration.test_sqlite import datasource
from tests.support.pump import FileArchive, dump_to

folder = Path(sys.argv[1])
path = folder / "shop.db"
new, kept = folder / ".shop.db__dgtui_new", folder / ".shop.db__dgtui_old"
with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
    connection.execute("CREATE TABLE word (v)")
    connection.execute("INSERT INTO word VALUES ('one')")
source = datasource(path)
dump_to(source, folder / "backup.db", scratch=folder)
with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
    connection.execute("DELETE FROM word")
path.chmod(0o444)

def load(selection):
    source.create_target(str(new), like=str(path))
    stored = FileArchive(folder / "backup.db")
    source.load(stored, str(new), selection, SilentReporter(), jobs=1, scratch_folder=folder)

load(Selection(tables=("word",)))
change = PartChange(database=str(path), beside=str(new), keep_as=str(kept), tables=("word",))
try:
    source.replace_part(change, None, SilentReporter(), lambda mark, part: None)
except DataGuardianError as error:
    print(error.kind, error.hint.partition("?")[0], sep=": ")
source.drop_target(str(new))
load(Selection())
source.swap(str(new), str(path), str(kept), SilentReporter())
with contextlib.closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as connection:
    found = connection.execute("SELECT v FROM word").fetchall()
print(found, *(f"{one.stat().st_mode & 0o777:o}" for one in (path, kept)))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.root
def test_a_database_for_reading_alone_is_replaced_by_its_owner() -> None:
    """In full: it keeps its mode. A table of it is not, and that is not told as if the backup were damaged."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o777)
        said = as_nobody(_AS_OWNER, folder)
    assert said == "PermissionDenied: May our user write it and its -wal and -shm\n[('one',)] 444 444\n"
