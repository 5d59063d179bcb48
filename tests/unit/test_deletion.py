"""Deleting by hand: what is being made or read stays, also where that began a moment ago."""

import errno
import os
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dgtui.engine import removal
from dgtui.engine.catalog.removals import RemovalTable
from dgtui.engine.errors import ConfigError, JobBusy, StorageError
from dgtui.engine.facade import Engine
from dgtui.engine.locks import Lock, take_lock
from dgtui.engine.messages import now
from dgtui.engine.model import CopyStatus, Execution
from dgtui.engine.orders import ValidateOrder
from dgtui.engine.run_writer import RunWriter
from dgtui.engine.storages import local_removal
from tests.support.backup_folders import add_backup, mark_storage
from tests.support.homes import Home

START = datetime(2025, 1, 1, 3, tzinfo=UTC)


@pytest.fixture
def engine(home: Home) -> Engine:
    """Two backups of the job `nightly`."""
    home.configure('[datasources.shop]\ntype = "files"\npath = "/nowhere"\n')
    for days in range(2):
        add_backup(home.storage(), "nightly", START + timedelta(days=days))
    mark_storage(home.storage())
    engine = home.engine()
    engine.scan("disk")
    return engine


def oldest(engine: Engine) -> Execution:
    return engine.executions()[-1]


def begin_to_read(engine: Engine, execution_id: str) -> Lock:
    """A run that reads a backup, and lives until its lock is let go."""
    run_id = str(uuid.uuid4())
    order = ValidateOrder(run_id=run_id, ordered_at=now(), execution_id=execution_id)
    engine.paths.request(run_id).write_bytes(msgspec.json.encode(order))
    return take_lock(engine.paths.lock(run_id), purpose="run")


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("status", ["queued", "running"])
def test_what_is_being_made_is_not_deleted(engine: Engine, status: str, force: bool) -> None:
    one = msgspec.structs.replace(oldest(engine), execution_id=str(uuid.uuid4()), status=status, copies=())
    engine.catalog.save_execution(one)
    with pytest.raises(JobBusy, match=f"still {status}; nothing was deleted") as caught:
        engine.delete(one, force=force)
    assert f"dgtui cancel {one.execution_id[:8]}" in caught.value.hint
    with pytest.raises(JobBusy):
        engine.refuse_needed(one)
    assert engine.execution(one.execution_id).status == status


def test_what_has_ended_since_it_was_looked_at_is_deleted_as_it_is_now(engine: Engine) -> None:
    """Else the catalogue would forget a whole backup, which would stay at its storage unseen."""
    whole = oldest(engine)
    looked_at = msgspec.structs.replace(whole, status="failed", copies=())
    assert engine.delete(looked_at) > 0
    assert not Path(whole.copies[0].path).exists()
    last = oldest(engine)
    with pytest.raises(ConfigError, match="last good backup"):
        engine.delete(msgspec.structs.replace(last, status="running", copies=()))
    assert engine.execution(last.execution_id) == last


@pytest.mark.parametrize("other", ["corrupt", "gone", "failed", "of another job"])
def test_the_last_good_one_is_that_of_which_no_other_is_whole(engine: Engine, other: str) -> None:
    newest, older = engine.executions()
    if other == "failed":
        engine.catalog.forget_execution(older.execution_id)
        engine.catalog.save_execution(msgspec.structs.replace(older, status="failed"))
    elif other == "of another job":
        engine.catalog.forget_execution(older.execution_id)
        engine.catalog.save_execution(msgspec.structs.replace(older, job_id=str(uuid.uuid4())))
    else:
        state: CopyStatus = "corrupt" if other == "corrupt" else "missing"
        copy = msgspec.structs.replace(older.copies[0], status=state)
        engine.catalog.save_copy(older.execution_id, copy)
    with pytest.raises(ConfigError, match="last good backup of nightly"):
        engine.delete(newest)
    assert Path(newest.copies[0].path).exists()
    assert engine.delete(newest, force=True) > 0


def test_the_last_whole_copy_of_the_last_good_one_stays(engine: Engine) -> None:
    newest, older = engine.executions()
    engine.delete(older)
    elsewhere = msgspec.structs.replace(newest.copies[0], storage="nas", status="corrupt")
    engine.catalog.save_copy(newest.execution_id, elsewhere)
    with pytest.raises(ConfigError, match="last good backup of nightly"):
        engine.delete(newest, storage="disk")
    engine.catalog.save_copy(newest.execution_id, msgspec.structs.replace(elsewhere, status="available"))
    assert engine.delete(newest, storage="disk") > 0


def test_a_deletion_that_failed_is_told_and_the_copy_is_there(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    one = oldest(engine)
    with monkeypatch.context() as patch:
        patch.setattr(local_removal, "rename_folder", fail)
        with pytest.raises(StorageError, match="Input/output error"):
            engine.delete(one)
    assert [copy.status for copy in engine.execution(one.execution_id).copies] == ["available"]
    assert Path(one.copies[0].path).exists()
    assert RemovalTable(engine.catalog).begun() == []


def test_what_a_run_reads_is_only_deleted_by_force(engine: Engine) -> None:
    one = oldest(engine)
    with begin_to_read(engine, one.execution_id):
        with pytest.raises(JobBusy, match="being read by a run; nothing was deleted"):
            engine.delete(one)
        assert engine.execution(one.execution_id) == one
        assert Path(one.copies[0].path).exists()
        assert engine.delete(one, force=True) > 0
    assert not Path(one.copies[0].path).exists()


def test_what_a_run_has_read_can_be_deleted_before_its_worker_is_gone(engine: Engine) -> None:
    """It tidies up after its last message, and takes its time where the disk is busy."""
    one = oldest(engine)
    with begin_to_read(engine, one.execution_id) as lock:
        run = RunWriter(engine.paths.messages(lock.path.stem))
        run.status("running")
        with pytest.raises(JobBusy, match="being read by a run"):
            engine.delete(one)
        run.status("completed")
        run.close()
        assert engine.delete(one) > 0
    assert not Path(one.copies[0].path).exists()


def test_what_a_run_began_to_read_while_a_cleanup_was_waited_for_stays(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = oldest(engine)
    reading: list[Lock] = []

    def waited_for(*given: Any, **also: Any) -> Lock:
        lock = take_lock(*given, **also)
        reading.append(begin_to_read(engine, one.execution_id))
        return lock

    monkeypatch.setattr(removal, "take_lock", waited_for)
    with pytest.raises(JobBusy, match="being read by a run"):
        engine.delete(one)
    reading[0].release()
    assert Path(one.copies[0].path).exists()
    assert engine.execution(one.execution_id) == one
