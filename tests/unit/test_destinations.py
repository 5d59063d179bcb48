"""What is asked of the storages around the writing: what they hold is looked at, and nothing unpublished stays."""

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dgtui.engine.cancellation import Cancellation
from dgtui.engine.destinations import Destinations
from dgtui.engine.errors import Cancelled, StorageError, ValidationError
from dgtui.engine.manifest import Chunk
from dgtui.engine.model import VerifyLevel
from dgtui.engine.pipeline import PipelineResult
from dgtui.engine.storages.base import FolderRef
from dgtui.engine.threads import Thread
from tests.support.folder_writer import FolderWriter

PART = "backup.tar"
CONTENT = b"content"
RESULT = PipelineResult(
    total_size_bytes=len(CONTENT),
    compressed_size_bytes=len(CONTENT),
    checksum="",
    chunks=(
        Chunk(number=1, file=PART, checksum=f"sha256:{hashlib.sha256(CONTENT).hexdigest()}", size_bytes=len(CONTENT)),
    ),
    failures={},
)


class Writer(FolderWriter):
    """Publishes in place, or fails at it; what is given up is removed."""

    def __init__(self, storage: str, folder: Path) -> None:
        super().__init__(storage, folder)
        self.fault: BaseException | None = None
        self.given_up = False
        self.may_go = threading.Event()
        self.may_go.set()

    def commit(self, texts: dict[str, bytes], manifest: bytes) -> str:
        if self.fault is not None:
            raise self.fault
        return str(self.folder)

    def abort(self) -> None:
        assert self.may_go.wait(60)
        super().abort()
        self.given_up = True


class Backup:
    """The storages of a backup that has written its one part everywhere."""

    def __init__(self, folder: Path) -> None:
        self.cancellation = Cancellation()
        self.writers = {name: Writer(name, folder / name) for name in ("disk", "nas")}
        storages: list[Any] = [
            SimpleNamespace(name=name, default_verify="full", begin=lambda *_, writer=writer: writer)
            for name, writer in self.writers.items()
        ]
        run: Any = SimpleNamespace(log=lambda *_, **__: None, storage=lambda _: None)
        self.destinations = Destinations(storages, run, self.cancellation, idle_timeout=60)
        self.destinations.begin(FolderRef(job_id="job", folder="folder"), "execution")
        for writer in self.destinations.writers:
            writer.open_part(PART)
            writer.write(CONTENT)
            writer.close_part()

    @property
    def left(self) -> list[str]:
        """The storages that the backup goes on with."""
        return [writer.storage for writer in self.destinations.writers]


@pytest.fixture
def backup(tmp_path: Path) -> Iterator[Backup]:
    made = Backup(tmp_path)
    yield made
    made.destinations.close()


@pytest.mark.parametrize("level", ["size", "full"])
@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"!"])
def test_a_part_of_another_size_is_no_backup(backup: Backup, level: VerifyLevel, content: bytes) -> None:
    (backup.writers["nas"].folder / PART).write_bytes(content)
    backup.destinations.check(RESULT, level)
    assert backup.left == ["disk"]
    problem = backup.destinations.failures["nas"]
    assert isinstance(problem, ValidationError)
    assert f"{PART} has {len(content)} bytes at the storage, {len(CONTENT)} were written" in problem.message


@pytest.mark.parametrize(
    ("level", "stored", "left"),
    [("size", b"role", ["disk"]), ("size", b"Roles", ["disk", "nas"]), ("full", b"Roles", ["disk"])],
)
def test_files_beside_the_parts_are_checked_with_them(
    backup: Backup, level: VerifyLevel, stored: bytes, left: list[str]
) -> None:
    backup.destinations.add_file("globals.sql", b"roles")
    (backup.writers["nas"].folder / "globals.sql").write_bytes(stored)
    backup.destinations.check(RESULT, level)
    assert backup.left == left


def test_an_error_of_our_own_in_the_check_is_no_fault_of_the_storage(
    backup: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup.writers["nas"], "stored_size", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        backup.destinations.check(RESULT, "size")
    assert backup.destinations.failures == {}


def test_what_was_not_published_is_removed_at_the_end(backup: Backup, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also at a storage that was left behind, and before the run ends, with whose process the removal would end."""

    class Removal(Thread):
        """Takes as long as nobody waits for it."""

        def join(self, timeout: float | None = None) -> None:
            backup.writers["nas"].may_go.set()
            super().join(timeout)

    monkeypatch.setattr("dgtui.engine.destinations.Thread", Removal)
    backup.writers["nas"].may_go.clear()
    backup.destinations.drop("disk", StorageError("Full"), "failed")
    backup.destinations.close()
    assert [writer.given_up for writer in backup.writers.values()] == [True, True]


def test_where_nothing_was_published_a_cancelled_backup_is_a_cancelled_one(
    backup: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The storages that are not waited for any more fail, but that is not why there is no backup."""
    backup.cancellation.begin()

    def give_up(_: Writer, *__: object) -> str:
        backup.cancellation.event.set()
        raise StorageError("The storage does not answer")

    monkeypatch.setattr(Writer, "commit", give_up)
    with pytest.raises(Cancelled):
        backup.destinations.publish({}, b"", 0)


def test_a_storage_that_cannot_publish_is_left_behind(backup: Backup) -> None:
    backup.writers["disk"].fault = StorageError("Full")
    copies = backup.destinations.publish({}, b"", 0)
    assert [(copy.storage, copy.status) for copy in copies] == [("nas", "available")]
    assert [copy.storage for copy in backup.destinations.failed_copies()] == ["disk"]
    backup.writers["nas"].fault = StorageError("Full too")
    with pytest.raises(StorageError, match=r"^Full$"):
        backup.destinations.publish({}, b"", 0)
