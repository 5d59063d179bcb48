"""A look at the copies as they are now: by manifest and sizes, and never better than what a check of bytes found."""

import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import msgspec
import pytest

from dgtui.engine.errors import StorageError
from dgtui.engine.facade import Engine
from dgtui.engine.model import Copy, CopyStatus, Execution
from dgtui.engine.storages.base import RESTORE_TEXT, FolderRef
from dgtui.engine.storages.local import LocalSettings, LocalStorage
from dgtui.engine.stored import know_marker
from dgtui.engine.verify import copies_at, live_copies, manual_commands, validate_copy
from tests.support.backup_folders import add_backup, mark_storage
from tests.support.homes import Home


@pytest.fixture
def engine(home: Home) -> Engine:
    """One backup."""
    home.configure('[datasources.shop]\ntype = "files"\npath = "/nowhere"\n')
    add_backup(home.storage(), "nightly", datetime(2025, 1, 1, 3, tzinfo=UTC))
    mark_storage(home.storage())
    engine = home.engine()
    engine.scan("disk")
    return engine


def unmount(home: Home) -> None:
    """Leave an empty folder in the place of the disk."""
    home.storage().rename(home.folder / "unmounted")
    home.storage().mkdir()


def both(engine: Engine) -> list[CopyStatus]:
    """By a look at the backup, and by one at the storage."""
    (one,) = engine.executions()
    at_storage = copies_at(engine.catalog, engine.config, "disk", [one])[one.execution_id]
    (live,) = live_copies(engine.catalog, engine.config, one)
    return [live.status, at_storage.status]


def know(engine: Engine, status: CopyStatus) -> Execution:
    """The backup, its copy known to be in a state."""
    (one,) = engine.executions()
    engine.catalog.save_copy(one.execution_id, msgspec.structs.replace(one.copies[0], status=status))
    return engine.execution(one.execution_id)


def test_what_is_whole_is_available(engine: Engine) -> None:
    assert both(engine) == ["available", "available"]
    know(engine, "missing")
    assert both(engine) == ["available", "available"]


def test_what_a_check_found_damaged_stays_so(engine: Engine) -> None:
    know(engine, "corrupt")
    assert both(engine) == ["corrupt", "corrupt"]


def test_a_part_that_is_shorter_is_damaged(engine: Engine) -> None:
    (one,) = engine.executions()
    (part,) = Path(one.copies[0].path).glob("backup.*")
    part.write_bytes(part.read_bytes()[:-1])
    (live,) = live_copies(engine.catalog, engine.config, one)
    assert live.status == "corrupt"
    assert engine.execution(one.execution_id).copies[0].status == "corrupt"


def test_what_cannot_be_asked_is_not_missing_and_what_is_missing_stays_so(home: Home, engine: Engine) -> None:
    unmount(home)
    assert both(engine) == ["unreachable", "unreachable"]
    know(engine, "missing")
    (one,) = engine.executions()
    assert copies_at(engine.catalog, engine.config, "disk", [one])[one.execution_id].status == "missing"


def test_a_check_of_what_cannot_be_reached_finds_no_damage(home: Home, engine: Engine, tmp_path: Path) -> None:
    (one,) = engine.executions()
    storage = engine.config.storage("disk")
    know_marker(engine.catalog, storage)

    def checked() -> Copy:
        return validate_copy(storage, one, tmp_path, threading.Event())

    unmount(home)
    assert checked().status == "unreachable"
    home.storage().rmdir()
    (home.folder / "unmounted").rename(home.storage())
    Path(one.copies[0].path).rename(tmp_path / "gone")
    assert checked().status == "missing"


def test_what_is_removed_during_the_look_is_missing_and_not_damaged(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    (one,) = engine.executions()
    read = LocalStorage.read_manifest

    def remove(storage: LocalStorage, ref: FolderRef) -> bytes:
        shutil.rmtree(one.copies[0].path)
        return read(storage, ref)

    monkeypatch.setattr(LocalStorage, "read_manifest", remove)
    (live,) = live_copies(engine.catalog, engine.config, one)
    assert live.status == "missing"


def test_who_did_not_answer_is_not_waited_for_again_to_tell_how_to_restore_by_hand(
    home: Home, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    (one,) = engine.executions()
    (Path(one.copies[0].path) / RESTORE_TEXT).write_text("by hand")
    asked: list[str] = []
    open_file = LocalStorage.open_file

    def note(storage: LocalStorage, ref: FolderRef, name: str) -> BinaryIO:
        asked.append(storage.name)
        return open_file(storage, ref, name)

    monkeypatch.setattr(LocalStorage, "open_file", note)
    frozen = LocalSettings(type="local", path=str(home.folder / "frozen"))
    config = msgspec.structs.replace(engine.config, storages={"frozen": frozen, **engine.config.storages})
    silent = Copy(storage="frozen", status="unreachable", path="/frozen/copy")
    both = msgspec.structs.replace(one, copies=(silent, *one.copies))
    assert manual_commands(config, both) == "by hand"
    with pytest.raises(StorageError, match="No copy of this backup can be read now"):
        manual_commands(config, msgspec.structs.replace(one, copies=(silent,)))
    assert asked == ["disk"]
