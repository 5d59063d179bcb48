"""Storages that do not answer: everything asked of them ends in its time, and what comes too late does no harm."""

import os
import threading
from collections.abc import Callable, Generator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dgtui.engine.archive import check_parts
from dgtui.engine.errors import Cancelled, StorageError
from dgtui.engine.files import rename_folder, replace_file
from dgtui.engine.manifest import Chunk
from dgtui.engine.storages.base import FolderRef, Leftover, Orphan
from dgtui.engine.storages.deadline import answers_within, with_deadline
from dgtui.engine.storages.local import LocalSettings, LocalStorage
from dgtui.engine.storages.local_marker import MARKER
from tests.support.backup_folders import EXECUTION_ID, FOLDER, JOB_ID
from tests.support.homes import PATIENCE_SECONDS

REF = FolderRef(job_id=JOB_ID, folder=FOLDER)
PART = "backup.tar.zst"


class Frozen:
    """A point where calls hang until `thaw`."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._thawed = threading.Event()

    def hang(self) -> None:
        """Wait here."""
        self.reached.set()
        self._thawed.wait()

    def thaw(self) -> None:
        """Let everybody go on."""
        self._thawed.set()


@pytest.fixture
def frozen() -> Iterator[Frozen]:
    made = Frozen()
    yield made
    made.thaw()


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    made = LocalStorage("disk", LocalSettings(type="local", path=str(tmp_path / "root")))
    made.prepare()
    return made


def leftover(storage: LocalStorage) -> Leftover:
    path = f"{storage.root}/{JOB_ID}/.partial-{FOLDER}-{EXECUTION_ID}"
    return Leftover(path=path, execution_id=EXECUTION_ID, bytes=1, changed_at=datetime.now(UTC))


def orphan(storage: LocalStorage) -> Orphan:
    return Orphan(ref=REF, path=storage.path(REF), bytes=1, changed_at=datetime.now(UTC))


CALLS: dict[str, Callable[[LocalStorage], object]] = {
    "marker_id": lambda storage: storage.marker_id(),
    "try_writing": lambda storage: storage.try_writing(),
    "prepare": lambda storage: storage.prepare(),
    "folder_exists": lambda storage: storage.folder_exists(REF),
    "begin": lambda storage: storage.begin(REF, EXECUTION_ID),
    "backups": lambda storage: list(storage.backups()),
    "read_manifest": lambda storage: storage.read_manifest(REF),
    "open_file": lambda storage: storage.open_file(REF, PART),
    "file_size": lambda storage: storage.file_size(REF, PART),
    "delete": lambda storage: storage.delete(REF),
    "leftovers": lambda storage: list(storage.leftovers()),
    "remove_leftover": lambda storage: storage.remove_leftover(leftover(storage)),
    "strangers": lambda storage: list(storage.strangers({})),
    "remove_orphan": lambda storage: storage.remove_orphan(orphan(storage)),
    "end_removal": lambda storage: storage.end_removal(REF),
    "append_system_log": lambda storage: storage.append_system_log("cleanup.log", "line"),
}


@pytest.mark.parametrize("name", sorted(CALLS))
def test_a_storage_that_is_frozen_keeps_nobody_waiting(
    storage: LocalStorage, frozen: Frozen, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def hang(*_: object, **__: object) -> int:
        frozen.hang()
        raise FileNotFoundError

    for module in ("local", "local_root"):
        monkeypatch.setattr(f"dgtui.engine.storages.{module}.open_folder", hang)
    storage.answer_seconds = storage.prepare_seconds = storage.removal_seconds = 0.05
    with pytest.raises(StorageError, match="does not answer"):
        CALLS[name](storage)
    # On a busy machine it is given up before it has come to that point.
    assert frozen.reached.wait(PATIENCE_SECONDS)


def test_a_folder_that_is_begun_too_late_is_removed(
    storage: LocalStorage, frozen: Frozen, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed = threading.Event()
    rmdir = os.rmdir

    def hang(name: str, folder: int) -> None:
        frozen.hang()
        os.mkdir(name, dir_fd=folder)

    def note(name: str, *, dir_fd: int | None = None) -> None:
        rmdir(name, dir_fd=dir_fd)
        if name == JOB_ID:
            removed.set()

    monkeypatch.setattr("dgtui.engine.storages.local_writer.make_folder", hang)
    monkeypatch.setattr("os.rmdir", note)
    storage.prepare_seconds = 0.05
    with pytest.raises(StorageError, match="does not answer"):
        storage.begin(REF, EXECUTION_ID)
    frozen.thaw()
    assert removed.wait(PATIENCE_SECONDS)
    assert [path.name for path in Path(storage.root).iterdir()] == [MARKER]


@pytest.mark.parametrize("step", ["replace_file", "rename_folder"])
def test_a_commit_that_ends_after_it_was_given_up_publishes_nothing(
    storage: LocalStorage, frozen: Frozen, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """It hangs right after its manifest was written, or after its rename; the removal waits for it."""
    steps: dict[str, Callable[..., None]] = {"replace_file": replace_file, "rename_folder": rename_folder}
    real = steps[step]

    def hang(*arguments: object) -> None:
        real(*arguments)
        frozen.hang()

    writer = storage.begin(REF, EXECUTION_ID)
    writer.open_part(PART)
    writer.write(b"content")
    writer.close_part()
    monkeypatch.setattr(f"dgtui.engine.storages.local_writer.{step}", hang)
    with pytest.raises(StorageError, match="does not answer"):
        with_deadline(lambda: writer.commit({}, b"{}"), 0.05, subject=storage.root)
    assert frozen.reached.wait(PATIENCE_SECONDS)
    removal = threading.Thread(target=writer.abort)
    removal.start()
    while not writer._given_up:  # type: ignore[attr-defined]
        removal.join(0.01)
    frozen.thaw()
    removal.join()
    assert [path.name for path in Path(storage.root).iterdir()] == [MARKER]


# Reading on


def test_what_is_read_ahead_comes_in_order_and_errors_at_their_place() -> None:
    def numbers() -> Generator[int, None, None]:
        yield from range(50)
        raise ZeroDivisionError

    found: list[int] = []
    with pytest.raises(ZeroDivisionError):
        found.extend(answers_within(numbers(), 60, subject="x"))
    assert found == list(range(50))


def test_who_reads_no_further_closes_what_was_open() -> None:
    closed = threading.Event()

    def numbers() -> Generator[int, None, None]:
        try:
            yield from range(1000)
        finally:
            closed.set()

    answers = answers_within(numbers(), 60, subject="x")
    assert next(answers) == 0
    answers.close()
    assert closed.wait(PATIENCE_SECONDS)


@pytest.fixture
def silent_file(tmp_path: Path) -> Iterator[Path]:
    """A pipe without a writer in the place of a file: who reads from it waits."""
    fifo = tmp_path / "backup.tar"
    os.mkfifo(fifo)
    keep_open = os.open(fifo, os.O_RDWR)
    yield fifo
    os.close(keep_open)


CHUNK = Chunk(number=1, file="backup.tar", checksum=f"sha256:{'0' * 64}", size_bytes=1)


def test_a_part_that_gives_no_more_bytes_ends_the_reading(silent_file: Path) -> None:
    with pytest.raises(StorageError, match=r"does not answer: nothing from backup\.tar"):
        check_parts(lambda _: silent_file.open("rb"), [CHUNK], cancelled=threading.Event(), idle_timeout=0.05)


def test_cancelling_reaches_who_waits_for_a_storage(silent_file: Path) -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        check_parts(lambda _: silent_file.open("rb"), [CHUNK], cancelled=cancelled, idle_timeout=PATIENCE_SECONDS)
