"""Reading a storage into the catalogue: what it costs, and that what was changed behind our back is seen."""

import os
import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.errors import StorageError
from dgtui.engine.scan import scan_storage
from dgtui.engine.storages.base import FolderRef
from dgtui.engine.storages.local import LocalSettings, LocalStorage
from tests.support.backup_folders import add_backup, mark_storage
from tests.support.bad_sectors import fail_to_open
from tests.support.statements import watched

FOLDERS = 450
START = datetime(2025, 1, 1, tzinfo=UTC)


class Scanned:
    """A storage with many backups, and a catalogue that knows them."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "disk"
        self.root.mkdir()
        mark_storage(self.root)
        self.folders = [add_backup(self.root, "nightly", START + timedelta(hours=hour), b"x") for hour in range(3)]
        self.config = Config(storages={"disk": LocalSettings(type="local", path=str(self.root))})
        self.catalog = Catalog(folder)

    def more(self) -> None:
        """As many backups as are not looked at one by one."""
        for number in range(len(self.folders), FOLDERS):
            self.folders.append(add_backup(self.root, f"job{number % 3}", START + timedelta(hours=number), b"x"))


@pytest.fixture
def scanned(tmp_path: Path) -> Iterator[Scanned]:
    made = Scanned(tmp_path)
    yield made
    made.catalog.close()


def test_many_folders_need_few_threads_and_statements(scanned: Scanned, monkeypatch: pytest.MonkeyPatch) -> None:
    scanned.more()
    report = scan_storage(scanned.catalog, scanned.config, "disk")
    assert (report.added, report.known) == (FOLDERS, 0)
    in_order = [one.folder for one in sorted(scanned.catalog.executions(), key=lambda one: one.sequence)]
    assert in_order == sorted(folder.name for folder in scanned.folders), "the catalogue learns them in their order"
    statements: list[str] = []
    threads: list[str] = []
    begin = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        threads.append(thread.name)
        begin(thread)

    def executed(_1: object, statement: str, _2: object, _3: bool) -> None:
        statements.append(statement)

    monkeypatch.setattr(threading.Thread, "start", start)
    with watched(executed):
        report = scan_storage(scanned.catalog, scanned.config, "disk")
    assert (report.added, report.known, report.damaged) == (0, FOLDERS, ())
    assert len(threads) < FOLDERS / 10
    assert len(statements) < FOLDERS / 10


@pytest.mark.parametrize("change", ["manifest", "same size and time", "part cut", "part gone", "gone"])
def test_what_was_changed_since_is_seen(scanned: Scanned, change: str) -> None:
    scan_storage(scanned.catalog, scanned.config, "disk")
    folder = scanned.folders[1]
    manifest, part = folder / "manifest.json", next(folder.glob("backup.*"))
    if change == "manifest":
        manifest.write_bytes(manifest.read_bytes() + b" ")
    elif change == "same size and time":
        before = manifest.stat()
        manifest.write_text(manifest.read_text().replace('"shop"', '"sh0p"'))
        os.utime(manifest, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif change == "part cut":
        part.write_bytes(part.read_bytes()[:-1])
    elif change == "part gone":
        part.unlink()
    else:
        manifest.unlink()
    report = scan_storage(scanned.catalog, scanned.config, "disk")
    states = [one.copies[0].status for one in sorted(scanned.catalog.executions(), key=lambda one: one.sequence)]
    assert states == ["available", "missing" if change == "gone" else "corrupt", "available"]
    assert len(report.damaged) == (change != "gone")


@pytest.mark.parametrize("what", ["job", "folder", "manifest", "part"])
def test_a_folder_that_cannot_be_read_hides_no_other(
    scanned: Scanned, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    foreign = add_backup(scanned.root, "foreign", START - timedelta(days=1), b"x")
    places = {"job": foreign.parent, "folder": foreign, "manifest": foreign / "manifest.json"}
    fail_to_open(monkeypatch, places.get(what) or next(foreign.glob("backup.*")))
    report = scan_storage(scanned.catalog, scanned.config, "disk")
    assert (report.added, report.damaged) == (3 + (what == "part"), ())
    assert [one.path for one in report.unread] == [str(foreign.parent if what == "job" else foreign)]
    assert "Input/output error" in report.unread[0].reason
    states = {one.folder: one.copies[0].status for one in scanned.catalog.executions()}
    assert all(states[folder.name] == "available" for folder in scanned.folders)
    assert states.get(foreign.name, "unreachable") == "unreachable"


def test_a_known_backup_that_cannot_be_read_is_in_doubt_and_not_gone(
    scanned: Scanned, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan_storage(scanned.catalog, scanned.config, "disk")
    fail_to_open(monkeypatch, scanned.folders[1])
    report = scan_storage(scanned.catalog, scanned.config, "disk")
    assert (report.known, report.gone, len(report.unread)) == (2, 0, 1)
    states = {one.folder: one.copies[0].status for one in scanned.catalog.executions()}
    assert [states[folder.name] for folder in scanned.folders] == ["available", "unreachable", "available"]


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("when", ["before it is read", "once it is read"])
def test_what_is_removed_during_the_scan_is_gone_and_not_damaged(
    scanned: Scanned, monkeypatch: pytest.MonkeyPatch, when: str, known: bool
) -> None:
    if known:
        scan_storage(scanned.catalog, scanned.config, "disk")
    removed = scanned.folders[1]
    method = "read_manifest" if when == "before it is read" else "file_size"
    asked = getattr(LocalStorage, method)

    def remove(storage: LocalStorage, ref: FolderRef, *arguments: Any) -> Any:
        if method == "read_manifest" and ref.folder == removed.name:
            shutil.rmtree(removed)
        answer = asked(storage, ref, *arguments)
        if ref.folder == removed.name:
            shutil.rmtree(removed)
        return answer

    monkeypatch.setattr(LocalStorage, method, remove)
    report = scan_storage(scanned.catalog, scanned.config, "disk")
    assert (report.damaged, report.unread) == ((), ())
    states = {one.folder: one.copies[0].status for one in scanned.catalog.executions()}
    assert [states[folder.name] for folder in (scanned.folders[0], scanned.folders[2])] == ["available", "available"]
    # Of one that was known and read a moment before it went, the next look tells.
    expected = "available" if known and when == "once it is read" else "missing"
    assert states.get(removed.name, "missing") == expected


def test_a_backup_that_lies_there_twice_is_learned_once(scanned: Scanned) -> None:
    copied = scanned.folders[2].with_name("2026-01-01_000000")
    copied.mkdir()
    for file in scanned.folders[2].iterdir():
        text = file.read_bytes()
        (copied / file.name).write_bytes(text.replace(scanned.folders[2].name.encode(), copied.name.encode()))
    report = scan_storage(scanned.catalog, scanned.config, "disk")
    assert (report.added, report.known) == (3, 0)
    assert [one.path for one in report.damaged] == [str(copied)], "another manifest of the same backup"


def test_old_backups_that_are_learned_last_are_not_the_newest(scanned: Scanned, tmp_path: Path) -> None:
    other = tmp_path / "offsite"
    other.mkdir()
    mark_storage(other)
    hours = (-50, -49, 1.5, 30)
    for hour in hours:
        add_backup(other, "nightly", START + timedelta(hours=hour), b"x")
    offsite = LocalSettings(type="local", path=str(other))
    config = Config(storages={**scanned.config.storages, "offsite": offsite})
    scan_storage(scanned.catalog, config, "disk")
    scan_storage(scanned.catalog, config, "offsite")
    found = sorted(scanned.catalog.executions(), key=lambda one: one.sequence)
    assert [one.started_at for one in found] == [START + timedelta(hours=hour) for hour in (-50, -49, 0, 1, 1.5, 2, 30)]
    assert [one.sequence for one in found] == list(range(1, 8))


def test_runs_of_before_and_after_the_clock_was_set_back_stay_in_their_order(scanned: Scanned) -> None:
    scan_storage(scanned.catalog, scanned.config, "disk")
    row = scanned.catalog.executions(limit=1)[0]
    for identity, hours in (("ahead", 90), ("set back", 10)):
        run = msgspec.structs.replace(
            row, execution_id=identity, copies=(), started_at=START + timedelta(hours=hours), status="failed"
        )
        scanned.catalog.save_execution(run)
    add_backup(scanned.root, "nightly", START - timedelta(hours=5), b"x")
    add_backup(scanned.root, "nightly", START + timedelta(hours=20), b"x")
    scan_storage(scanned.catalog, scanned.config, "disk")
    found = sorted(scanned.catalog.executions(), key=lambda one: one.sequence)
    assert [one.started_at for one in found] == [START + timedelta(hours=hour) for hour in (-5, 0, 1, 2, 90, 10, 20)]


def test_a_storage_that_stops_to_answer_ends_it(scanned: Scanned, monkeypatch: pytest.MonkeyPatch) -> None:
    thawed = threading.Event()

    def hang(_storage: LocalStorage, _ref: object, _name: str) -> int:
        thawed.wait()
        return 0

    monkeypatch.setattr(LocalStorage, "file_size", hang)
    monkeypatch.setattr(LocalStorage, "prepare_seconds", 0.2)
    try:
        with pytest.raises(StorageError, match="does not answer"):
            scan_storage(scanned.catalog, scanned.config, "disk")
    finally:
        thawed.set()
    assert scanned.catalog.executions() == []
