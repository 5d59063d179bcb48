"""Removals killed at any step: each leaves one line at its storage and one audit entry, and is told once."""

import contextlib
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from dgtui.config.model import job_id
from dgtui.engine.audit import verify_audit
from dgtui.engine.catalog.audit import AuditTable
from dgtui.engine.catalog.notifications import Notifications
from dgtui.engine.catalog.removals import BegunRemoval, RemovalTable
from dgtui.engine.cleanup import Scope
from dgtui.engine.facade import Engine
from dgtui.engine.storages import local_log, local_removal
from tests.support.backup_folders import add_backup, mark_storage, new_id
from tests.support.homes import Home
from tests.support.statements import watched

JOB = job_id("nightly", None)
START = datetime(2025, 1, 1, 3, tzinfo=UTC)
_STEPS = (
    (os, "unlink"),
    (os, "rmdir"),
    (os, "rename"),
    (local_removal, "rename_folder"),
    (local_log, "write_all"),
)
"""What changes anything beside the catalogue."""


@pytest.fixture
def engine(home: Home) -> Engine:
    """Of a job with two storages, whose newest backup is kept; what broken runs left has no time of grace."""
    source = home.folder / "tree"
    source.mkdir()
    home.configure(f'[datasources.shop]\ntype = "files"\npath = "{source}"\n', job="retention = { keep_last = 1 }")
    nas = f'[storages.nas]\ntype = "local"\npath = "{home.storage("nas")}"\n'
    grace = '[guardian]\nleftovers_grace = "0 s"\norphans_grace = "0 s"\n'
    text = home.config_path.read_text().replace('storages = ["disk"]', 'storages = ["disk", "nas"]')
    home.config_path.write_text(f"{text}\n{nas}\n{grace}")
    for name in ("disk", "nas"):
        home.storage(name).mkdir(exist_ok=True)
        mark_storage(home.storage(name))
    return home.engine()


def add(home: Home, taken: datetime, *storages: str) -> list[Path]:
    """A backup of the job `nightly` at these storages; its folders."""
    first = add_backup(home.storage(storages[0]), "nightly", taken)
    folders = [first, *(Path(shutil.copytree(first, home.storage(name) / JOB / first.name)) for name in storages[1:])]
    made = home.engine()
    for name in storages:
        made.scan(name)
    made.close()
    return folders


def killed(home: Home, step: int, work: Callable[[Engine], object]) -> bool:
    """Do something in a process that kills itself at its Nth step; whether it came so far."""
    pid = os.fork()
    if not pid:
        try:
            doomed = home.engine()
            with _dying_at(step):
                work(doomed)
            os._exit(0)
        finally:
            os._exit(1)
    status = os.waitpid(pid, 0)[1]
    assert status == 0 or os.WTERMSIG(status) == signal.SIGKILL, status
    return status != 0


@contextlib.contextmanager
def _dying_at(step: int) -> Iterator[None]:
    """Count what changes anything, from the first removal on."""
    left, has_begun = step, False
    begin = RemovalTable.begin

    def count_down(*_: object) -> None:
        nonlocal left
        left -= has_begun
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    def begun(table: RemovalTable, removal: BegunRemoval) -> None:
        nonlocal has_begun
        has_begun = True
        begin(table, removal)

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **keys: Any) -> Any:
            count_down()
            return call(*arguments, **keys)

        return wrapper

    with pytest.MonkeyPatch.context() as doomed, watched(on_commit=count_down):
        doomed.setattr(RemovalTable, "begin", begun)
        for module, name in _STEPS:
            doomed.setattr(module, name, dying(getattr(module, name)))
        yield


def lines(home: Home) -> Counter[str]:
    """How often each folder stands in the logs of the storages."""
    logs = (home.storage(name) / "_system" / "cleanup.log" for name in ("disk", "nas"))
    return Counter(line.split()[2] for log in logs if log.exists() for line in log.read_text().splitlines())


def test_a_cleanup_that_is_killed_at_any_step_is_written_down_and_told_once(home: Home, engine: Engine) -> None:
    engine.close()
    removed: list[Path] = []
    kept = add(home, START, "disk")
    for step in count(1):
        leftover = home.storage() / JOB / f".partial-2024-01-01_030000-{new_id()}"
        orphan = home.storage() / JOB / f"{START - timedelta(days=step):%Y-%m-%d_%H%M%S}"
        gone, kept = kept, add(home, START + timedelta(days=step), "disk")
        for folder in (leftover, orphan):
            folder.mkdir()
            (folder / "backup.tar.zst").write_bytes(b"rest")
        removed += [*gone, leftover, orphan]
        was_killed = killed(home, step, lambda doomed: doomed.retention.clean_up(Scope()))
        after = home.engine()
        assert RemovalTable(after.catalog).is_empty()
        assert after.retention.clean_up(Scope()).not_removed == ()
        assert [path for folder in kept for path in folder.parent.iterdir()] == kept
        once = Counter(dict.fromkeys(map(str, removed), 1))
        assert lines(home) == once, step
        audited = [entry for entry in AuditTable(after.catalog).entries() if entry.action == "retention"]
        assert Counter(entry.details[0].partition(": ")[2] for entry in audited) == once, step
        told = Notifications(after.catalog).listed(kind="cleanup_completed")
        assert Counter(line.partition(": ")[0] for one in told for line in one.details) == once, step
        after.close()
        if not was_killed:
            break
    assert step > 20, "three removals, each of several steps"
    assert verify_audit(home.engine().catalog).damage == ()


def test_a_deletion_that_is_killed_at_any_step_is_written_down_once(home: Home, engine: Engine) -> None:
    engine.close()
    for step in count(1):
        folders = add(home, START + timedelta(days=step), "disk", "nas")
        before = home.engine()
        doomed = next(one for one in before.executions() if one.folder == folders[0].name)
        before.close()
        was_killed = killed(home, step, lambda engine, of=doomed: engine.delete(of, force=True))  # type: ignore[misc]
        after = home.engine()
        assert RemovalTable(after.catalog).is_empty()
        there = [str(folder) for folder in folders if folder.exists()]
        gone = [str(folder) for folder in folders if not folder.exists()]
        known = after.catalog.execution(doomed.execution_id)
        assert [copy.path for copy in known.copies] == there if known else not there, step
        assert [lines(home)[path] for path in gone] == [1] * len(gone), step
        assert not any(lines(home)[path] for path in there)
        entries = [
            entry
            for entry in AuditTable(after.catalog).entries()
            if (entry.action, entry.object_name) == ("delete", doomed.execution_id)
        ]
        assert len(entries) == bool(gone), step
        assert all(entry.outcome == ("partial" if there else "completed") for entry in entries)
        after.close()
        if not was_killed:
            break
    assert step > 15, "two removals, each of several steps"
    assert Notifications(home.engine().catalog).listed(kind="cleanup_completed") == []
