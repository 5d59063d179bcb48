"""Recording ended runs while they end, begin, or are recorded by somebody else at the same moment."""

import contextlib
import fcntl
import itertools
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from dgtui.config import Config, JobSettings
from dgtui.engine.catalog import Catalog, Database
from dgtui.engine.catalog.audit import AuditTable
from dgtui.engine.catalog.connection import Connection
from dgtui.engine.catalog.due_runs import QueuedRun, TimetableState, claim_due_run, queued_runs
from dgtui.engine.catalog.health import HealthRecords
from dgtui.engine.catalog.notifications import Notifications
from dgtui.engine.health.judging import judge
from dgtui.engine.health_model import HealthCheck, Watched
from dgtui.engine.locks import take_lock
from dgtui.engine.manifest import encode_manifest
from dgtui.engine.messages import now
from dgtui.engine.model import Copy, Execution, ExecutionStatus, Purpose
from dgtui.engine.orders import AnyOrder, BackupOrder, RehearseOrder, ValidateOrder, encode_order
from dgtui.engine.reconcile import _remove_scratch, reconcile
from dgtui.engine.restore_model import Restore
from dgtui.engine.runs import RunPaths
from dgtui.engine.scan import scan_storage
from dgtui.engine.storages.local import LocalSettings, LocalStorage
from dgtui.engine.verify import copies_at, live_copies
from tests.support.backup_folders import EXECUTION_ID, FOLDER, JOB_ID, make_backup, mark_storage, new_id
from tests.support.receivers import web_server

AT = datetime(2025, 2, 13, 6, tzinfo=UTC)
RUNNING = Execution(
    execution_id="e1",
    job_id="j1",
    job="nightly",
    datasource="shop",
    datasource_type="files",
    status="running",
    backup_type="full",
    started_at=AT,
)
RESTORING = Restore(
    restore_id="r1", execution_id="e0", datasource="shop", target="shop", status="running", started_at=AT
)


class Meanwhile(RunPaths):
    """What a worker, or another program, does right before its lock is looked at."""

    def __init__(self, state: Path, catalog: Catalog) -> None:
        super().__init__(state)
        self.make()
        self.catalog = catalog
        self.ended: list[Execution | Restore] = []
        self.looks_before = 0

    def is_alive(self, run_id: str) -> bool:
        self.looks_before -= 1
        for ended in self.ended if self.looks_before < 0 else ():
            if isinstance(ended, Execution):
                self.catalog.save_execution(ended)
            else:
                self.catalog.save_restore(ended)
        return super().is_alive(run_id)


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[Meanwhile]:
    catalog = Catalog(tmp_path)
    yield Meanwhile(tmp_path, catalog)
    catalog.close()


@pytest.mark.parametrize("looks_before", [0, 2], ids=["at the first look", "once the lock is held"])
def test_what_ended_well_at_the_last_moment_stays_what_it_is(paths: Meanwhile, looks_before: int) -> None:
    paths.catalog.save_execution(RUNNING)
    paths.catalog.save_restore(RESTORING)
    done = msgspec.structs.replace(RUNNING, status="completed", finished_at=AT, folder="2025-02-13_060000")
    restored = msgspec.structs.replace(RESTORING, status="completed", finished_at=AT, kept_as="shop__old")
    paths.ended, paths.looks_before = [done, restored], looks_before
    assert reconcile(paths.catalog, Config(), paths) == ()
    assert paths.catalog.restore("r1") == restored
    found = paths.catalog.execution("e1")
    assert found is not None
    assert (found.status, found.folder) == ("completed", "2025-02-13_060000")
    assert AuditTable(paths.catalog).entries() == []


def test_one_of_many_programs_tells_of_a_dead_run(paths: Meanwhile) -> None:
    paths.catalog.save_execution(RUNNING)
    paths.catalog.save_restore(RESTORING)
    with take_lock(paths.locks / "reconcile.lock", purpose="another program"):
        assert reconcile(paths.catalog, Config(), paths) == ()
    assert len(reconcile(paths.catalog, Config(), paths)) == 2
    assert reconcile(paths.catalog, Config(), paths) == ()
    assert sorted(entry.action for entry in AuditTable(paths.catalog).entries()) == ["backup", "restore"]


@pytest.mark.parametrize(
    ("later", "purpose", "asked"),
    [(None, "backup", 1), ("completed", "backup", 0), (None, "safety", 0)],
    ids=["the newest", "another has ended since", "a safety copy"],
)
def test_the_heartbeat_of_a_dead_run_is_sent_late(
    paths: Meanwhile, later: ExecutionStatus | None, purpose: Purpose, asked: int
) -> None:
    paths.catalog.save_execution(msgspec.structs.replace(RUNNING, purpose=purpose))
    if later is not None:
        ended = msgspec.structs.replace(
            RUNNING, execution_id="e2", status=later, started_at=AT + timedelta(hours=1), finished_at=AT
        )
        paths.catalog.save_execution(ended)
    with web_server() as web:
        job = JobSettings(datasource="shop", storages=("disk",), heartbeat=web.url)
        (told,) = reconcile(paths.catalog, Config(jobs={"nightly": job}), paths)
        assert "ended interrupted" in told
        assert [request.path.rpartition("/")[2] for request in web.requests] == ["fail"] * asked
        assert reconcile(paths.catalog, Config(jobs={"nightly": job}), paths) == ()
        assert len(web.requests) == asked


class Killed(BaseException):
    """SIGKILL, as near as a test comes to it."""


def kill_after(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the process die right after the catalogue kept its change of the given number."""
    changes = itertools.count(1)

    @contextlib.contextmanager
    def transaction(database: Database) -> Iterator[Connection]:
        with former(database) as connection:
            before = connection.total_changes
            yield connection
            changed = connection.total_changes > before
        if changed and next(changes) == number:
            raise Killed

    former = Database.transaction
    monkeypatch.setattr(Database, "transaction", transaction)


@pytest.mark.parametrize(
    ("row", "recorded"),
    [(RUNNING, True), (RUNNING, False), (msgspec.structs.replace(RUNNING, status="completed"), False)],
    ids=["known to the catalogue", "taken up later", "killed while after ran"],
)
def test_of_a_dead_run_is_told_once_whenever_who_records_it_is_killed(
    tmp_path: Path, row: Execution, recorded: bool
) -> None:
    for number in itertools.count(1):
        with contextlib.closing(Catalog(tmp_path / str(number))) as catalog, pytest.MonkeyPatch.context() as patch:
            paths = RunPaths(catalog.path.parent)
            paths.make()
            catalog.save_execution(row)
            if not recorded:
                paths.note_unrecorded("e1")
            kill_after(number, patch)
            try:
                reconcile(catalog, Config(), paths)
            except Killed:
                patch.undo()
                reconcile(catalog, Config(), paths)
                reconcile(catalog, Config(), paths)
            else:
                assert number > 2
                return
            kind = "backup_completed" if row.status == "completed" else "backup_failed"
            assert [one.kind for one in Notifications(catalog).listed()] == [kind], number
            assert [entry.action for entry in AuditTable(catalog).entries()] == ["backup"], number
            assert catalog.unfinished() == [], number


def test_a_run_that_has_just_been_claimed_or_begun_is_not_dead(paths: Meanwhile) -> None:
    claimed = msgspec.structs.replace(RUNNING, execution_id="e2", status="queued")
    claim_due_run(paths.catalog, claimed, AT, AT, TimetableState(timetable="t", handled_until=AT))
    paths.catalog.save_execution(RUNNING)
    descriptor = os.open(paths.lock("e1"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert reconcile(paths.catalog, Config(), paths) == ()
    os.close(descriptor)
    assert {one.execution_id for one in paths.catalog.unfinished()} == {"e1", "e2"}
    assert len(reconcile(paths.catalog, Config(), paths)) == 1
    assert [one.execution_id for one in paths.catalog.unfinished()] == ["e2"]


def test_a_run_that_is_claimed_between_two_looks_is_not_dead(paths: Meanwhile, monkeypatch: pytest.MonkeyPatch) -> None:
    claimed = msgspec.structs.replace(RUNNING, status="queued")

    def look_then_claim(catalog: Catalog) -> list[QueuedRun]:
        waiting = queued_runs(catalog)
        claim_due_run(catalog, claimed, AT, AT, TimetableState(timetable="t", handled_until=AT))
        return waiting

    monkeypatch.setattr("dgtui.engine.reconcile.queued_runs", look_then_claim)
    assert reconcile(paths.catalog, Config(), paths) == ()
    assert [one.status for one in paths.catalog.unfinished()] == ["queued"]


def test_a_storage_that_does_not_answer_holds_up_nobody(paths: Meanwhile, monkeypatch: pytest.MonkeyPatch) -> None:
    thawed = threading.Event()

    def hang(*_: object, **__: object) -> int:
        thawed.wait()
        raise FileNotFoundError

    monkeypatch.setattr("dgtui.engine.storages.local_root.open_folder", hang)
    monkeypatch.setattr(LocalStorage, "prepare_seconds", 0.05)
    config = Config(storages={"disk": LocalSettings(type="local", path=str(paths.state / "disk"))})
    paths.catalog.save_execution(RUNNING)
    try:
        (told,) = reconcile(paths.catalog, config, paths)
    finally:
        thawed.set()
    assert "ended interrupted" in told


MADE = msgspec.structs.replace(RUNNING, execution_id=EXECUTION_ID, job_id=JOB_ID)


@pytest.fixture
def config(paths: Meanwhile) -> Config:
    """Two storages, to both of which the dead run wrote; a third one that it did not."""
    names = ("disk", "nas", "other")
    storages = {name: LocalSettings(type="local", path=str(paths.state / name)) for name in names}
    for name in names:
        folder = paths.state / name / JOB_ID
        folder.mkdir(parents=True)
        mark_storage(folder.parent)
    job = JobSettings(datasource="shop", storages=("disk", "nas"))
    order = BackupOrder(run_id=EXECUTION_ID, ordered_at=AT, job_id=JOB_ID, job_name="nightly", job=job)
    paths.request(EXECUTION_ID).write_bytes(encode_order(order))
    paths.catalog.save_execution(MADE)
    paths.catalog.storages_were_read()
    return Config(storages=storages)


def test_a_whole_backup_of_a_dead_run_is_registered_and_the_rest_of_it_removed(
    paths: Meanwhile, config: Config
) -> None:
    manifest = make_backup(paths.state / "disk" / JOB_ID / FOLDER, b"content")
    own = paths.state / "nas" / JOB_ID / f".partial-{FOLDER}-{EXECUTION_ID}"
    others = own.with_name(f".partial-{FOLDER}-{new_id()}")
    for folder in (own, others):
        folder.mkdir()
        (folder / "backup.tar.zst").write_bytes(b"rest")
    paths.scratch(EXECUTION_ID).mkdir()
    (told,) = reconcile(paths.catalog, config, paths)
    assert "was found and registered" in told
    found = paths.catalog.execution(EXECUTION_ID)
    assert found is not None
    assert (found.status, found.checksum) == ("partial", manifest.checksum)
    assert {copy.storage: (copy.status, bool(copy.path)) for copy in found.copies} == {
        "disk": ("available", True),
        "nas": ("missing", False),
    }
    assert (own.exists(), others.exists(), paths.scratch(EXECUTION_ID).exists()) == (False, True, False)
    assert paths.catalog.storage_marker("disk") is not None


def test_where_nobody_could_look_for_a_backup_of_a_dead_run_it_may_lie(paths: Meanwhile, config: Config) -> None:
    make_backup(paths.state / "disk" / JOB_ID / FOLDER, b"content")
    (paths.state / "nas").rename(paths.state / "away")
    paths.catalog.save_storage_marker("nas", new_id())
    reconcile(paths.catalog, config, paths)
    found = paths.catalog.execution(EXECUTION_ID)
    assert found is not None
    assert found.status == "partial"
    away = next(copy for copy in found.copies if copy.storage == "nas")
    assert (away.status, away.path) == ("unreachable", str(paths.state / "nas" / JOB_ID / FOLDER))
    assert away.problem is not None


def test_a_dead_run_whose_storage_cannot_be_read_is_not_told_as_removed(paths: Meanwhile, config: Config) -> None:
    make_backup(paths.state / "nas" / JOB_ID / FOLDER, b"content")
    (paths.state / "nas").rename(paths.state / "away")
    paths.catalog.save_storage_marker("nas", new_id())
    reconcile(paths.catalog, config, paths)
    found = paths.catalog.execution(EXECUTION_ID)
    assert found is not None
    assert found.problem is not None
    assert "could not be looked for at nas: dgtui scan nas, once that can be read" in found.problem.hint


def take_away(paths: Meanwhile, config: Config) -> None:
    """Have the second storage not answer when the dead run is recorded."""
    marker = config.storage("nas").marker_id()
    assert marker is not None
    paths.catalog.save_storage_marker("nas", marker)
    (paths.state / "nas").rename(paths.state / "away")


def bring_back(paths: Meanwhile, *, noticed_by: str) -> None:
    """Have it answer again, and somebody ask it."""
    (paths.state / "away").rename(paths.state / "nas")
    if noticed_by == "a check of its health":
        check = HealthCheck(subject=Watched(kind="storage", name="nas"), checked_at=now(), result="ok")
        HealthRecords(paths.catalog).record([(check, lambda former, _: judge(former, check, None))])
    elif noticed_by == "a later backup":
        copy = Copy(storage="nas", status="available", path="/nas/later", checked_at=now())
        later = msgspec.structs.replace(MADE, execution_id=new_id(), status="completed", copies=(copy,))
        paths.catalog.save_execution(later)


def statuses(paths: Meanwhile) -> tuple[str, dict[str, str]]:
    """That of the dead run, and those of its copies."""
    found = paths.catalog.execution(EXECUTION_ID)
    assert found is not None
    return found.status, {copy.storage: copy.status for copy in found.copies}


@pytest.mark.parametrize("noticed_by", ["a check of its health", "a later backup"])
@pytest.mark.parametrize("also_at", ["disk", None])
def test_a_backup_of_a_dead_run_is_found_once_its_storage_answers_again(
    paths: Meanwhile, config: Config, noticed_by: str, also_at: str | None
) -> None:
    for name in ("nas", *([also_at] if also_at else [])):
        make_backup(paths.state / name / JOB_ID / FOLDER, b"content")
    take_away(paths, config)
    reconcile(paths.catalog, config, paths)
    before = statuses(paths)
    assert before[1]["nas"] == "unreachable"
    bring_back(paths, noticed_by="nobody")
    assert reconcile(paths.catalog, config, paths) == ()
    assert statuses(paths) == before
    (paths.state / "nas").rename(paths.state / "away")
    bring_back(paths, noticed_by=noticed_by)
    (told,) = reconcile(paths.catalog, config, paths)
    assert "was found and registered" in told
    if also_at is None:
        assert statuses(paths) == ("completed", {"nas": "available"})
    else:
        assert statuses(paths) == ("completed", {"disk": "available", "nas": "available"})
    found = paths.catalog.execution(EXECUTION_ID)
    assert found is not None
    assert (found.folder, found.problem) == (FOLDER, None)
    assert reconcile(paths.catalog, config, paths) == ()


@pytest.mark.parametrize("also_at", ["disk", None])
def test_what_a_dead_run_left_unfinished_is_removed_once_its_storage_answers_again(
    paths: Meanwhile, config: Config, also_at: str | None
) -> None:
    if also_at:
        make_backup(paths.state / also_at / JOB_ID / FOLDER, b"content")
    unfinished = paths.state / "nas" / JOB_ID / f".partial-{FOLDER}-{EXECUTION_ID}"
    unfinished.mkdir()
    (unfinished / "backup.tar.zst").write_bytes(b"rest")
    take_away(paths, config)
    reconcile(paths.catalog, config, paths)
    bring_back(paths, noticed_by="a check of its health")
    assert reconcile(paths.catalog, config, paths) == ()
    assert not unfinished.exists()
    status, copies = statuses(paths)
    assert (status, copies["nas"]) == ("partial" if also_at else "interrupted", "missing")
    found = paths.catalog.execution(EXECUTION_ID)
    assert found is not None
    if also_at is None:
        assert found.problem is not None
        assert "What it had written was removed; start it again" in found.problem.hint


@pytest.mark.parametrize("asked", ["by a look at its copies", "by a look at its storage", "by a scan"])
def test_a_backup_of_a_dead_run_is_complete_once_all_its_storages_turn_out_to_hold_it(
    paths: Meanwhile, config: Config, asked: str
) -> None:
    for name in ("disk", "nas"):
        make_backup(paths.state / name / JOB_ID / FOLDER, b"content")
    take_away(paths, config)
    reconcile(paths.catalog, config, paths)
    bring_back(paths, noticed_by="nobody")
    found = paths.catalog.execution(EXECUTION_ID)
    assert found is not None
    assert found.problem is not None
    assert "nas could not be asked" in found.problem.message
    if asked == "by a scan":
        scan_storage(paths.catalog, config, "nas")
    elif asked == "by a look at its storage":
        copies_at(paths.catalog, config, "nas", [found])
    else:
        live_copies(paths.catalog, config, found)
    assert statuses(paths) == ("completed", {"disk": "available", "nas": "available"})


@pytest.mark.parametrize("neighbour", ["damaged", "of another run", "of another job", "from before"])
def test_other_backups_neither_hide_the_one_of_a_dead_run_nor_are_taken_for_it(
    paths: Meanwhile, config: Config, neighbour: str
) -> None:
    for name in ("disk", "nas"):
        job = paths.state / name / (JOB_ID if neighbour != "of another job" else new_id())
        folder = job / ("2025-02-12_060000" if neighbour == "from before" else "2025-02-13_060000")
        manifest = make_backup(folder, b"other")
        if neighbour == "damaged":
            (folder / "manifest.json").write_bytes(b"{")
        elif neighbour == "of another run":
            text = encode_manifest(msgspec.structs.replace(manifest, execution_id=new_id(), folder=folder.name))
            (folder / "manifest.json").write_bytes(text)
    (told,) = reconcile(paths.catalog, config, paths)
    assert "ended interrupted" in told
    paths.catalog.save_execution(MADE)
    for name in ("disk", "nas"):
        make_backup(paths.state / name / JOB_ID / FOLDER, b"content")
    reconcile(paths.catalog, config, paths)
    found = paths.catalog.execution(EXECUTION_ID)
    assert found is not None
    assert (found.status, found.folder, len(found.copies)) == ("completed", FOLDER, 2)


def test_a_safety_copy_is_not_missing_where_nobody_sent_it(paths: Meanwhile, config: Config) -> None:
    """Its restore chose the storages, and no order of its own names them: it is looked for at all."""
    paths.request(EXECUTION_ID).unlink()
    paths.catalog.save_execution(msgspec.structs.replace(MADE, purpose="safety"))
    make_backup(paths.state / "disk" / JOB_ID / FOLDER, b"content")
    reconcile(paths.catalog, config, paths)
    assert statuses(paths) == ("completed", {"disk": "available"})


def test_a_safety_copy_is_not_dead_while_its_restore_lives(paths: Meanwhile) -> None:
    paths.catalog.save_restore(msgspec.structs.replace(RESTORING, safety_execution_id="e1"))
    paths.catalog.save_execution(msgspec.structs.replace(RUNNING, purpose="safety"))
    with take_lock(paths.lock("r1"), purpose="run"):
        assert reconcile(paths.catalog, Config(), paths) == ()
    assert len(reconcile(paths.catalog, Config(), paths)) == 2
    assert paths.catalog.unfinished() == []


def test_what_a_living_run_did_not_record_is_left_to_it(paths: Meanwhile) -> None:
    paths.catalog.save_execution(msgspec.structs.replace(RUNNING, status="completed", finished_at=AT))
    paths.note_unrecorded("e1")
    with take_lock(paths.lock("e1"), purpose="run"):
        reconcile(paths.catalog, Config(), paths)
        assert paths.unrecorded_runs() == ["e1"]
        assert AuditTable(paths.catalog).entries() == []
    reconcile(paths.catalog, Config(), paths)
    assert paths.unrecorded_runs() == []
    assert [entry.action for entry in AuditTable(paths.catalog).entries()] == ["backup"]


@pytest.mark.parametrize("of", ["an ended run", "a living run", "an ended rehearsal", "nobody"])
def test_temporary_files_of_ended_runs_are_removed(paths: Meanwhile, of: str) -> None:
    """But not those of a rehearsal: a server may run in them, which has to be ended first."""
    if of != "nobody":
        orders: dict[str, AnyOrder] = {
            "an ended rehearsal": RehearseOrder(
                run_id="v1", ordered_at=AT, execution_id="e0", job_id="j1", job="nightly", datasource="shop"
            )
        }
        order = orders.get(of) or ValidateOrder(run_id="v1", ordered_at=AT, execution_id="e0")
        paths.request("v1").write_bytes(encode_order(order))
    paths.scratch("v1").mkdir()
    (paths.scratch("v1") / "rest").touch()
    with take_lock(paths.lock("v1"), purpose="run") if of == "a living run" else contextlib.nullcontext():
        _remove_scratch(paths)
        assert paths.scratch("v1").exists() is (of != "an ended run")
