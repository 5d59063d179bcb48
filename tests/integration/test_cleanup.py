"""Cleanup at real local storages: what goes is gone, what fails stays listed, and a kill leaves no half backup."""

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from dgtui.config import Config
from dgtui.config.channels import WebhookSettings
from dgtui.config.guardian import GuardianSettings
from dgtui.config.model import job_id
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.audit import AuditTable
from dgtui.engine.catalog.notifications import Notifications
from dgtui.engine.catalog.removals import BegunRemoval, RemovalTable
from dgtui.engine.catalog.retention import RetentionTable
from dgtui.engine.cleanup import Cleanup, Scope, carrying_out
from dgtui.engine.errors import StorageError
from dgtui.engine.facade import Engine
from dgtui.engine.guardian.cleanup_duty import CleanupDuty
from dgtui.engine.guardian.duty import DutyContext
from dgtui.engine.locks import Lock, take_lock
from dgtui.engine.messages import now
from dgtui.engine.notify.rules import wants
from dgtui.engine.orders import ValidateOrder
from dgtui.engine.removal_records import RemovalRecords
from dgtui.engine.restore_model import Restore
from dgtui.engine.storages import local_removal
from dgtui.engine.storages.local_marker import MARKER
from tests.support.backup_folders import add_backup, mark_storage, new_id
from tests.support.bad_sectors import fail_to_open
from tests.support.homes import Home

JOB = job_id("nightly", None)
START = datetime(2025, 1, 1, 3, tzinfo=UTC)

KILLED = """
import os, signal, sys
from pathlib import Path
from dgtui.config import load_config
from dgtui.engine.cleanup import Scope
from dgtui.engine.facade import Engine
from dgtui.engine.storages import local_removal

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

local_removal._remove = die
Engine(load_config(Path(sys.argv[1])), Path(sys.argv[2])).retention.clean_up(Scope())
"""


def store(home: Home, days: int, storage: str) -> Path:
    """A backup of the job `nightly` at a storage, as it would have been made."""
    return add_backup(home.storage(storage), "nightly", START + timedelta(days=days))


@pytest.fixture
def engine(home: Home) -> Engine:
    """Five days of backups at `disk`, of which two are to be kept."""
    source = home.folder / "tree"
    source.mkdir()
    home.configure(f'[datasources.shop]\ntype = "files"\npath = "{source}"\n', job="retention = { keep_last = 2 }")
    for days in range(5):
        store(home, days, "disk")
    mark_storage(home.storage())
    made = home.engine()
    assert made.scan("disk").known == 5
    return made


def folders(home: Home) -> list[str]:
    """The backups that lie at `disk`, by their day."""
    return sorted(path.name[8:10] for path in (home.storage() / JOB).iterdir() if path.name.startswith("2025"))


def test_what_goes_is_gone_and_written_down(home: Home, engine: Engine) -> None:
    preview = engine.retention.preview(Scope())
    assert len(preview.plan.removals) == 3
    assert folders(home) == ["01", "02", "03", "04", "05"]
    report = engine.retention.clean_up(Scope())
    assert [one.path for one in report.removed] == [one.path for one in preview.plan.removals]
    assert (folders(home), report.not_removed, report.notes) == (["04", "05"], (), ())
    assert len(engine.executions()) == 2
    log = home.storage() / "_system" / "cleanup.log"
    lines = log.read_text().splitlines()
    assert len(lines) == 3
    assert all("nightly" in line and "not_kept" in line and " bytes" in line and " by " in line for line in lines)
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert [entry.action for entry in AuditTable(engine.catalog).entries()].count("retention") == 3
    (told,) = [one for one in Notifications(engine.catalog).listed() if one.kind == "cleanup_completed"]
    assert "3 removed" in told.message
    assert engine.retention.clean_up(Scope()).removed == ()


def test_a_line_that_could_not_be_written_is_written_by_the_next_cleanup(home: Home, engine: Engine) -> None:
    log = home.storage() / "_system" / "cleanup.log"
    log.mkdir(parents=True)
    assert home.dgtui("delete", engine.executions()[-1].execution_id, "--yes").exit_code == 0
    removed = [one.path for one in engine.retention.clean_up(Scope()).removed]
    assert (len(removed), folders(home)) == (2, ["04", "05"])
    log.rmdir()
    for _ in range(2):
        again = engine.retention.clean_up(Scope())
        assert (again.removed, again.notes) == ((), ())
        lines = log.read_text().splitlines()
        assert [line.split()[2] for line in lines[1:]] == removed
        assert "deleted by hand" in lines[0]
    audited = [entry.action for entry in AuditTable(engine.catalog).entries()]
    assert (audited.count("retention"), audited.count("delete")) == (2, 1)
    (told,) = Notifications(engine.catalog).listed(kind="cleanup_completed")
    assert "2 removed" in told.message


def test_a_cleanup_that_finds_nothing_to_remove_does_what_else_there_is_to_do(home: Home, engine: Engine) -> None:
    log = home.storage() / "_system" / "cleanup.log"
    log.mkdir(parents=True)
    engine.retention.clean_up(Scope())
    log.rmdir()
    before = [one.expires_at for one in engine.executions()]
    home.config_path.write_text(home.config_path.read_text().replace("keep_last = 2", "keep_last = 9"))
    done = home.dgtui("cleanup", "--json")
    assert (done.exit_code, done.json()["dry_run"], done.json()["removed"]) == (0, False, [])
    after = [one.expires_at for one in engine.executions()]
    assert all(new is not None and old is not None and new > old for new, old in zip(after, before, strict=True))
    assert len(log.read_text().splitlines()) == 3
    said = home.dgtui("cleanup")
    assert (said.exit_code, said.errors.strip()) == (0, "0 to remove, 0 B to be freed")


def test_what_was_not_tried_is_not_told_as_mended(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def is_over() -> bool:
        (told,) = Notifications(engine.catalog).listed(kind="cleanup_failed")
        return told.ended_at is not None

    def unreadable(*_: object) -> None:
        raise StorageError("It cannot be read", subject="disk", hint="Look at the disk")

    monkeypatch.setattr(carrying_out, "read_known_manifest", unreadable)
    engine.retention.clean_up(Scope())
    assert not is_over()
    stop = threading.Event()
    stop.set()
    Cleanup(engine.catalog, engine.config, engine.paths, stop=stop).run(Scope(), strays=True)
    assert not is_over()
    monkeypatch.undo()
    engine.retention.clean_up(Scope())
    assert is_over()


def test_what_a_run_began_to_read_since_it_was_decided_stays(
    home: Home, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    oldest = engine.executions()[-1]
    reading: list[Lock] = []
    decided = RetentionTable.set_expiries

    def begin_to_read(self: RetentionTable, expiries: dict[str, datetime | None]) -> None:
        decided(self, expiries)
        run_id = new_id()
        order = ValidateOrder(run_id=run_id, ordered_at=now(), execution_id=oldest.execution_id)
        engine.paths.request(run_id).write_bytes(msgspec.json.encode(order))
        reading.append(take_lock(engine.paths.lock(run_id), purpose="run"))

    monkeypatch.setattr(RetentionTable, "set_expiries", begin_to_read)
    report = engine.retention.clean_up(Scope())
    reading.pop().release()
    assert (len(report.removed), report.not_removed, folders(home)) == (2, (), ["01", "04", "05"])
    monkeypatch.undo()
    assert [one.execution_id for one in engine.retention.clean_up(Scope()).removed] == [oldest.execution_id]


def test_a_pinned_one_stays_until_it_is_unpinned(home: Home, engine: Engine) -> None:
    oldest = engine.executions()[-1]
    assert home.dgtui("pin", oldest.execution_id, "--reason", "the merger").exit_code == 0
    assert home.dgtui("pin", oldest.execution_id).exit_code == 0, "which gives no reason of its own"
    assert home.dgtui("cleanup", "--yes").exit_code == 0
    assert folders(home) == ["01", "04", "05"]
    refused = home.dgtui("delete", oldest.execution_id, "--yes")
    assert refused.exit_code == 2
    assert "is pinned: the merger; nothing was deleted" in refused.errors
    assert "Delete   " not in refused.errors
    unasked = home.dgtui("delete", oldest.execution_id)
    assert "is pinned: the merger" in unasked.errors, "it is refused before anybody is asked"
    assert folders(home) == ["01", "04", "05"]
    assert home.dgtui("unpin", oldest.execution_id).exit_code == 0
    assert home.dgtui("cleanup").exit_code == 2, "nobody was there to ask"
    shown = home.dgtui("cleanup", "--dry-run", "--json").json()
    assert [one["removed_by"] for one in shown["to_remove"]] == ["not_kept"]
    assert folders(home) == ["01", "04", "05"]


def test_a_kill_in_the_middle_leaves_nothing_half_deleted_in_the_list(home: Home, engine: Engine) -> None:
    engine.close()
    program = [sys.executable, "-c", KILLED, str(home.config_path), str(home.state)]
    assert subprocess.run(program, check=False).returncode == -signal.SIGKILL
    catalog = Catalog(home.state)
    (begun,) = RemovalTable(catalog).begun()
    half = catalog.execution(begun.execution_id)
    assert half is not None
    assert [copy.status for copy in half.copies] == ["missing"]
    catalog.close()
    again = home.engine()
    assert begun.execution_id not in {one.execution_id for one in again.executions()}
    assert begun.path in (home.storage() / "_system" / "cleanup.log").read_text()
    assert again.retention.clean_up(Scope()).not_removed == ()
    assert folders(home) == ["04", "05"]
    # What the kill left went with it.
    assert again.retention.strays("disk") == []
    assert home.litter() == []


def test_what_another_process_left_half_removed_is_ended_by_the_next_cleanup(home: Home, engine: Engine) -> None:
    """Also of a daemon, which was there already when that process died."""
    engine.close()
    program = [sys.executable, "-c", KILLED, str(home.config_path), str(home.state)]
    assert subprocess.run(program, check=False).returncode == -signal.SIGKILL
    (begun,) = RemovalTable(engine.catalog).begun()
    report = engine.retention.clean_up(Scope(), strays=False)
    assert begun.path in [one.path for one in report.removed]
    assert RemovalTable(engine.catalog).begun() == []
    assert begun.execution_id not in {one.execution_id for one in engine.executions()}
    assert [path.name for path in (home.storage() / JOB).iterdir() if path.name.startswith(".")] == []


def test_a_copy_of_which_nobody_can_tell_whether_it_was_removed_is_in_doubt(
    home: Home, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not missing: others must not go because of that."""
    oldest = engine.executions()[-1]
    folder = Path(oldest.copies[0].path)
    removal = BegunRemoval(
        execution_id=oldest.execution_id,
        job_id=JOB,
        job="nightly",
        storage="disk",
        folder=folder.name,
        path=str(folder),
        bytes=1,
        rule="not_kept",
        actor="me",
    )
    records = RemovalRecords(engine.catalog, engine.config)

    def state() -> tuple[list[str], int]:
        copies = engine.execution(oldest.execution_id).copies
        return [copy.status for copy in copies], len(records.table.begun())

    records.table.begin(removal)
    assert state() == (["missing"], 1)
    home.storage().rename(home.folder / "unmounted")
    home.storage().mkdir()
    assert (records.settle(removal), state()) == (None, (["unreachable"], 1))
    home.storage().rmdir()
    (home.folder / "unmounted").rename(home.storage())
    assert (records.settle(removal), state()) == (None, (["available"], 0))
    records.table.begin(removal)
    folder.rename(folder.with_name(f".deleted-{folder.name}-{new_id()}"))
    with monkeypatch.context() as patch:
        patch.setattr(local_removal, "remove_tree", failing)
        with pytest.raises(StorageError, match="Input/output error"):
            records.settle(removal)
    assert state() == (["unreachable"], 1)
    assert RemovalRecords(engine.catalog, Config()).settle(removal) is None
    assert state() == (["unknown"], 0), "its storage is not configured any more"
    records.table.begin(removal)
    assert records.settle(removal) is not None
    assert oldest.execution_id not in {one.execution_id for one in engine.executions()}


def failing(*_: object) -> None:
    """As a disk that goes bad."""
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_who_is_stopped_removes_nothing_more(home: Home, engine: Engine) -> None:
    orphan = home.storage() / JOB / "2024-01-01_030000"
    orphan.mkdir()
    later, stop = datetime.now(UTC) + timedelta(days=8), threading.Event()
    stop.set()
    cleanup = Cleanup(engine.catalog, engine.config, engine.paths, clock=lambda: later, stop=stop)
    report = cleanup.run(Scope(), strays=True)
    assert (report.removed, [stray.path for stray in report.strays]) == ((), [str(orphan)])
    assert (len(folders(home)), orphan.exists()) == (5, True)


def test_a_mount_that_vanished_removes_nothing_and_forgets_nothing(home: Home, engine: Engine) -> None:
    home.storage().rename(home.folder / "unmounted")
    home.storage().mkdir()
    report = engine.retention.clean_up(Scope())
    assert report.removed == ()
    assert {copy.status for one in engine.executions() for copy in one.copies} == {"unreachable"}
    home.storage().rmdir()
    (home.folder / "unmounted").rename(home.storage())
    assert len(engine.retention.clean_up(Scope()).removed) == 3


@pytest.mark.root
def test_a_folder_that_nobody_may_change_stays_listed(home: Home, engine: Engine) -> None:
    job = home.storage() / JOB
    if os.geteuid() != 0 or subprocess.run(["chattr", "+i", str(job)], check=False, capture_output=True).returncode:
        pytest.skip("the file system knows no immutable folders, or we are not root")
    try:
        report = engine.retention.clean_up(Scope())
        assert (report.removed, len(report.not_removed)) == ((), 3)
    finally:
        subprocess.run(["chattr", "-i", str(job)], check=True)
    assert {copy.status for one in engine.executions() for copy in one.copies} == {"available"}
    assert len(engine.retention.clean_up(Scope()).removed) == 3


def test_a_backup_that_was_exchanged_is_not_removed(home: Home, engine: Engine) -> None:
    text = (home.storage() / JOB / "2025-01-01_030000" / "manifest.json").read_bytes()
    (home.storage() / JOB / "2025-01-01_030000" / "manifest.json").write_bytes(text + b" ")
    report = engine.retention.clean_up(Scope())
    assert (len(report.removed), len(report.not_removed)) == (2, 1)
    assert folders(home) == ["01", "04", "05"]
    assert engine.executions()[-1].copies[0].status == "corrupt"


def test_what_cannot_be_removed_is_told_once_until_it_is_gone(home: Home, engine: Engine) -> None:
    manifest = home.storage() / JOB / "2025-01-01_030000" / "manifest.json"
    text = manifest.read_bytes()
    manifest.write_bytes(text + b" ")

    def told() -> list[bool]:
        found = Notifications(engine.catalog).listed(kind="cleanup_failed")
        assert {one.subject for one in found} == {"disk"}
        return [one.ended_at is not None for one in found]

    engine.retention.clean_up(Scope())
    assert told() == [False]
    assert len(engine.retention.clean_up(Scope()).not_removed) <= 1
    assert len(told()) == 1
    manifest.write_bytes(text)
    for execution in engine.executions():
        engine.live_copies(execution)
    engine.retention.clean_up(Scope())
    assert told() == [True]


def test_the_times_of_grace_can_be_set(home: Home, engine: Engine) -> None:
    engine.close()
    text = home.config_path.read_text()
    home.config_path.write_text(f'{text}\n[guardian]\nleftovers_grace = "1 h"\norphans_grace = "2 d"\n')
    leftover = home.storage() / JOB / f".partial-2024-01-02_030000-{new_id()}"
    orphan = home.storage() / JOB / "2024-01-01_030000"
    for folder in (leftover, orphan):
        folder.mkdir()
        (folder / "backup.tar.zst").write_bytes(b"rest")
    again = home.engine()
    grace = {}
    for stray in again.retention.strays("disk"):
        assert stray.changed_at is not None
        assert stray.removable_at is not None
        grace[stray.kind] = stray.removable_at - stray.changed_at
    assert grace == {"orphan": timedelta(days=2), "leftover": timedelta(hours=1)}


def test_the_duty_cleans_up_at_its_time_and_not_before(home: Home, engine: Engine) -> None:
    clock = [datetime(2025, 3, 1, 12, tzinfo=UTC)]
    said: list[str] = []
    config = msgspec.structs.replace(engine.config, guardian=GuardianSettings(cleanup="every 6 h"))
    context = DutyContext(
        config, engine.catalog, engine.paths, clock=lambda: clock[0], log=lambda text, _level: said.append(text)
    )
    duty = CleanupDuty(context)
    due = duty.next_due(clock[0])
    assert due is not None
    assert timedelta(0) < due - clock[0] <= timedelta(hours=6)
    clock[0] = due
    assert duty.next_due(clock[0]) == due
    duty.run(clock[0])
    assert folders(home) == ["04", "05"]
    assert any("3 removed" in text for text in said), said
    assert duty.next_due(clock[0]) == due + timedelta(hours=6)
    # A daemon that starts after two of its times catches up once; one that starts in between waits.
    assert CleanupDuty(context).next_due(clock[0]) == due + timedelta(hours=6)
    clock[0] += timedelta(hours=14)
    late = CleanupDuty(context)
    assert late.next_due(clock[0]) == due + timedelta(hours=6)
    late.run(clock[0])
    assert late.next_due(clock[0]) == due + timedelta(hours=18)
    assert CleanupDuty(context).next_due(clock[0]) == due + timedelta(hours=18)
    duty = late
    # The clock is set back by a year: it goes on from there.
    clock[0] -= timedelta(days=365)
    again = duty.next_due(clock[0])
    assert again is not None
    assert again - clock[0] <= timedelta(hours=6)


def test_a_full_disk_is_tried_again_once_retention_has_made_room(home: Home, small_mount: Path) -> None:
    source = home.folder / "tree"
    source.mkdir()
    table = f'[datasources.shop]\ntype = "files"\npath = "{source}"\n'

    def configure(kept: int) -> None:
        home.configure(table, job=f'compression = "none"\nretention = {{ keep_last = {kept} }}')
        text = home.config_path.read_text().replace(str(home.storage()), str(small_mount / "backups"))
        home.config_path.write_text(text)

    configure(5)
    made = []
    for number in range(3):
        if number == 2:
            configure(1)
        (source / "a.bin").write_bytes(os.urandom(750_000))
        made.append(home.back_up())
    assert [one.status for one in made] == ["completed"] * 3, made[-1].problem
    assert [one.execution_id for one in home.engine().executions()] == [made[2].execution_id]
    log = home.engine().paths.messages(made[2].execution_id).read_text()
    assert "Retention made room; it is tried once more" in log


def test_a_preview_counts_what_strays_free_too(home: Home, engine: Engine) -> None:
    orphan = home.storage() / JOB / "2024-01-01_030000"
    orphan.mkdir()
    (orphan / "backup.tar.zst").write_bytes(b"x" * 5000)
    home.config_path.write_text(f'{home.config_path.read_text()}\n[guardian]\norphans_grace = "0 s"\n')
    shown = home.dgtui("cleanup", "--dry-run", "--json").json()
    (stray,) = shown["strays"]
    assert stray["bytes"] >= 5000
    assert shown["freed_bytes"] == sum(one["bytes"] for one in shown["to_remove"]) + stray["bytes"]
    assert orphan.exists()


def test_orphans_go_after_their_grace_and_unknown_backups_never(home: Home, engine: Engine) -> None:
    unknown = store(home, 30, "disk")
    orphan = home.storage() / JOB / "2024-01-01_030000"
    orphan.mkdir()
    (orphan / "backup.tar.zst").write_bytes(b"rest")
    kinds = {stray.path: stray.kind for stray in engine.retention.clean_up(Scope()).strays}
    assert kinds == {str(orphan): "orphan", str(unknown): "unknown backup"}
    later = datetime.now(UTC) + timedelta(days=8)
    report = Cleanup(engine.catalog, engine.config, engine.paths, clock=lambda: later).run(Scope(), strays=True)
    assert [one.path for one in report.removed] == [str(orphan)]
    assert [stray.kind for stray in report.strays] == ["unknown backup"]
    assert (orphan.exists(), unknown.exists()) == (False, True)


@pytest.mark.parametrize("bad", ["job", "folder"])
def test_a_folder_that_cannot_be_read_keeps_no_other_from_being_cleaned_up(
    home: Home, engine: Engine, monkeypatch: pytest.MonkeyPatch, bad: str
) -> None:
    orphan = home.storage() / JOB / "2024-01-01_030000"
    unread = home.storage() / new_id() / "2024-01-01_030000"
    for folder in (orphan, unread):
        folder.mkdir(parents=True)
    fail_to_open(monkeypatch, unread.parent if bad == "job" else unread)
    later = datetime.now(UTC) + timedelta(days=8)
    report = Cleanup(engine.catalog, engine.config, engine.paths, clock=lambda: later).run(Scope(), strays=True)
    assert str(orphan) in [one.path for one in report.removed]
    assert ["Input/output error" in one.problem.message for one in report.not_removed] == [True]
    assert unread.exists()


@pytest.mark.parametrize("of", ["a run", "a restore", "a row"])
def test_what_a_living_run_is_writing_stays_however_old_it_is(home: Home, engine: Engine, of: str) -> None:
    run_id, execution_id = new_id(), new_id()
    leftover = home.storage() / JOB / f".partial-2024-01-02_030000-{run_id if of == 'a run' else execution_id}"
    leftover.mkdir()
    running = msgspec.structs.replace(engine.executions()[0], execution_id=execution_id, status="running", copies=())
    restore = Restore(
        restore_id=run_id,
        execution_id=new_id(),
        datasource="shop",
        target="/nowhere",
        status="running",
        started_at=START,
        safety_execution_id=execution_id,
    )
    if of == "a row":
        engine.catalog.save_execution(running)
    elif of == "a restore":
        engine.catalog.save_restore(restore)
    later = datetime.now(UTC) + timedelta(days=8)

    def left() -> list[str]:
        report = Cleanup(engine.catalog, engine.config, engine.paths, clock=lambda: later).run(Scope(), strays=True)
        return [stray.owner for stray in report.strays]

    with take_lock(engine.paths.lock(run_id), purpose="run"):
        assert left() == [run_id if of == "a run" else execution_id]
        assert leftover.exists()
    engine.catalog.save_execution(msgspec.structs.replace(running, status="interrupted"))
    assert (left(), leftover.exists()) == ([], False)


def test_strays_of_a_storage_that_was_not_named_stay(home: Home, engine: Engine) -> None:
    text = home.config_path.read_text()
    home.config_path.write_text(
        f'{text}\n[storages.nas]\ntype = "local"\npath = "{home.storage("nas")}"\n[guardian]\norphans_grace = "0 s"\n'
    )
    orphan = home.storage("nas") / JOB / "2024-01-01_030000"
    orphan.mkdir(parents=True)
    mark_storage(home.storage("nas"))
    assert home.engine().scan("nas").known == 0
    cleaned = home.dgtui("cleanup", "--storage", "disk", "--yes", "--json")
    assert (cleaned.exit_code, folders(home), orphan.exists()) == (0, ["04", "05"], True), cleaned
    assert cleaned.json()["strays"] == []
    assert home.dgtui("cleanup", "--storage", "nas", "--yes").exit_code == 0
    assert not orphan.exists()


def test_after_a_good_backup_the_oldest_goes(home: Home, engine: Engine) -> None:
    made = home.back_up()
    assert made.status == "completed"
    assert folders(home) == ["05"]
    assert len(engine.executions()) == 2


@pytest.fixture
def elsewhere(home: Home, engine: Engine) -> Engine:
    """The same, with a second copy of three at a storage that is not configured any more, and a fourth only there."""
    engine.close()
    text = home.config_path.read_text()
    nas = f'\n[storages.nas]\ntype = "local"\npath = "{home.storage("nas")}"\n'
    home.config_path.write_text(text + nas)
    for days in range(3):
        folder = home.storage() / JOB / f"{START + timedelta(days=days):%Y-%m-%d_%H%M%S}"
        shutil.copytree(folder, home.storage("nas") / JOB / folder.name)
    store(home, 100, "nas")
    mark_storage(home.storage("nas"))
    with_both = home.engine()
    with_both.scan("nas")
    with_both.close()
    home.config_path.write_text(text)
    return home.engine()


def test_a_storage_that_is_not_configured_any_more_is_told_of_and_can_be_forgotten(
    home: Home, elsewhere: Engine
) -> None:
    assert elsewhere.retention.clean_up(Scope()).removed == ()
    found = [one.message for one in elsewhere.check() if one.subject == "nas"]
    assert len(found) == 1
    assert "4 backups" in found[0]
    shown = [one for one in elsewhere.figures.overview(daemon_running=True).attention if "nas" in one.text]
    assert [one.hint for one in shown] == ["dgtui forget-storage nas"]
    assert home.dgtui("forget-storage", "disk", "--yes").exit_code == 2
    assert home.dgtui("forget-storage", "nas").exit_code == 2, "nobody was there to ask"
    done = home.dgtui("forget-storage", "nas", "--yes", "--json")
    assert done.json() == {"storage": "nas", "copies": 4, "backups": 1}
    assert home.dgtui("forget-storage", "nas", "--yes").exit_code == 2, "nothing is known of it any more"
    assert {copy.storage for one in elsewhere.executions() for copy in one.copies} == {"disk"}
    assert AuditTable(elsewhere.catalog).entries()[0].action == "forget storage"
    assert len(elsewhere.retention.clean_up(Scope()).removed) == 3
    assert folders(home) == ["04", "05"]
    # Only the catalogue forgot it: nothing of it was touched, and it comes back.
    assert len(list((home.storage("nas") / JOB).iterdir())) == 4
    text = home.config_path.read_text()
    home.config_path.write_text(f'{text}\n[storages.nas]\ntype = "local"\npath = "{home.storage("nas")}"\n')
    assert home.engine().scan("nas").added == 4


def test_nothing_is_deleted_where_not_all_can_be(home: Home, elsewhere: Engine) -> None:
    oldest = next(one for one in elsewhere.executions() if len(one.copies) == 2)
    done = home.dgtui("delete", oldest.execution_id, "--yes")
    assert (done.exit_code, "nothing was deleted" in done.errors, "forget-storage nas" in done.errors) == (
        2,
        True,
        True,
    )
    assert len(folders(home)) == 5
    assert home.dgtui("delete", oldest.execution_id, "--storage", "disk", "--yes").exit_code == 0
    assert len(folders(home)) == 4


def test_what_was_deleted_before_a_storage_failed_is_told(home: Home, elsewhere: Engine) -> None:
    text = home.config_path.read_text()
    home.config_path.write_text(f'{text}\n[storages.nas]\ntype = "local"\npath = "{home.storage("nas")}"\n')
    (home.storage("nas") / MARKER).unlink()
    oldest = next(one for one in elsewhere.executions() if len(one.copies) == 2)
    done = home.dgtui("delete", oldest.execution_id, "--yes")
    assert (done.exit_code, "Already deleted: the copy at disk" in done.errors) == (1, True), done
    assert len(folders(home)) == 4
    left = elsewhere.execution(oldest.execution_id)
    assert [copy.storage for copy in left.copies] == ["nas"]
    entry = next(one for one in AuditTable(elsewhere.catalog).entries() if one.action == "delete")
    assert (entry.outcome, "deleted at disk" in entry.details) == ("partial", True)


def test_rules_by_object_get_what_a_cleanup_removed(home: Home, elsewhere: Engine) -> None:
    text = home.config_path.read_text()
    nas = f'[storages.nas]\ntype = "local"\npath = "{home.storage("nas")}"\n'
    home.config_path.write_text(f"{text}\n{nas}")
    engine = home.engine()
    assert len(engine.retention.clean_up(Scope()).removed) == 5
    told = {one.subject: one for one in Notifications(engine.catalog).listed(kind="cleanup_completed")}
    assert {subject: one.message.partition(",")[0] for subject, one in told.items()} == {
        "disk": "3 removed at disk",
        "nas": "2 removed at nas",
    }
    assert all(one.message.endswith("B freed") for one in told.values())

    def asked_for(**objects: tuple[str, ...]) -> list[str]:
        channel = msgspec.structs.replace(WebhookSettings(url="https://example.org", severity="info"), **objects)
        return sorted(subject for subject, one in told.items() if wants(channel, one))

    assert asked_for(storages=("disk",)) == ["disk"]
    assert asked_for(datasources=("shop",)) == asked_for(jobs=("nightly",)) == ["disk", "nas"]
    assert asked_for(jobs=("another",), datasources=("crm",)) == []
