"""Local storages: how a backup gets there, is found, read and taken away again."""

import os
import shutil
import stat
import threading
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from dgtui.engine.errors import StorageError, ValidationError
from dgtui.engine.settings import decode_setting
from dgtui.engine.storages import storage_adapter
from dgtui.engine.storages.base import FolderRef, Orphan, StorageState
from dgtui.engine.storages.deadline import with_deadline
from dgtui.engine.storages.local import LocalSettings, LocalStorage
from tests.support.backup_folders import EXECUTION_ID, FOLDER, JOB_ID, make_backup, new_id, some_bytes
from tests.support.damage import CHUNK_DAMAGES, MANIFEST_DAMAGES

REF = FolderRef(job_id=JOB_ID, folder=FOLDER)
PART = "backup.tar.zst"


def storage_at(path: Path) -> LocalStorage:
    """A storage that was not used before."""
    return LocalStorage("disk", LocalSettings(type="local", path=str(path)))


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    """A storage that is ready."""
    made = storage_at(tmp_path / "root")
    made.prepare()
    return made


def put(storage: LocalStorage, ref: FolderRef = REF, content: bytes = b"content", execution_id: str = "") -> Path:
    """Write a backup of one part."""
    writer = storage.begin(ref, execution_id or new_id())
    writer.open_part(PART)
    writer.write(content)
    writer.close_part()
    return Path(writer.commit({"RESTORE.txt": b"text"}, b'{"execution_id": "%s"}' % EXECUTION_ID.encode()))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


# Writing


def test_a_backup_is_seen_when_it_is_published_and_not_before(storage: LocalStorage) -> None:
    writer = storage.begin(REF, EXECUTION_ID)
    writer.open_part(PART)
    writer.write(b"con")
    writer.write(b"tent")
    writer.close_part()
    assert writer.stored_size(PART) == 7
    with writer.read_back(PART) as file:
        assert file.read() == b"content"
    assert list(storage.backups()) == []
    assert storage.copy_status(REF) == "missing"
    assert not storage.folder_exists(REF)
    assert [(left.execution_id, left.bytes) for left in storage.leftovers()] == [(EXECUTION_ID, 7)]
    path = Path(writer.commit({"RESTORE.txt": b"text"}, b"{}"))
    assert sorted(item.name for item in path.iterdir()) == ["RESTORE.txt", PART, "manifest.json"]
    assert list(storage.backups()) == [REF]
    assert list(storage.leftovers()) == []
    assert storage.copy_status(REF) == "available"
    assert storage.folder_exists(REF)
    assert storage.path(REF) == str(path)
    assert storage.read_manifest(REF) == b"{}"
    assert storage.file_size(REF, PART) == 7
    writer.abort()
    assert list(storage.backups()) == [REF]


def test_a_large_part_is_read_back_whole(storage: LocalStorage) -> None:
    block = some_bytes(1 << 18)
    writer = storage.begin(REF, EXECUTION_ID)
    writer.open_part(PART)
    for _ in range(300):
        writer.write(block)
    writer.close_part()
    with writer.read_back(PART) as file:
        assert all(file.read(1 << 18) == block for _ in range(300))
        assert file.read() == b""
    writer.abort()


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o277])
def test_only_the_owner_can_read_it(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        storage = storage_at(tmp_path / "root")
        storage.prepare()
        put(storage)
        storage.append_system_log("cleanup.log", "line")
    finally:
        os.umask(before)
    for path in (tmp_path / "root", *(tmp_path / "root").rglob("*")):
        assert mode(path) == (0o700 if path.is_dir() else 0o600), path


@pytest.mark.parametrize("when", ["begun", "open", "closed"])
def test_giving_up_leaves_nothing(storage: LocalStorage, when: str) -> None:
    writer = storage.begin(REF, EXECUTION_ID)
    if when != "begun":
        writer.open_part(PART)
        writer.write(b"x" * 100)
    if when == "closed":
        writer.close_part()
    writer.abort()
    writer.abort()
    assert [path.name for path in Path(storage.root).iterdir()] == [".dgtui-storage.json"]
    with pytest.raises(StorageError):
        writer.commit({}, b"{}")
    assert list(storage.backups()) == []


def test_giving_up_leaves_other_backups_alone(storage: LocalStorage) -> None:
    put(storage)
    storage.begin(FolderRef(job_id=JOB_ID, folder="2025-02-13_060002"), EXECUTION_ID).abort()
    assert list(storage.backups()) == [REF]


def test_a_part_gets_another_name(storage: LocalStorage) -> None:
    writer = storage.begin(REF, EXECUTION_ID)
    writer.open_part(PART)
    writer.write(b"one")
    writer.close_part()
    writer.rename_part(PART, f"{PART}.part-001")
    assert writer.stored_size(f"{PART}.part-001") == 3
    writer.abort()


def test_a_published_backup_is_never_replaced(storage: LocalStorage) -> None:
    put(storage, content=b"first")
    writer = storage.begin(REF, EXECUTION_ID)
    with pytest.raises(StorageError, match="already a backup"):
        writer.commit({}, b"{}")
    writer.abort()
    with storage.open_file(REF, PART) as file:
        assert file.read() == b"first"
    assert list(storage.leftovers()) == []


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/b", "", ".", "..", ".x", "-x", "a\nb", "a\0b", "x" * 300])
def test_names_that_are_no_names_are_refused(storage: LocalStorage, name: str) -> None:
    put(storage)
    for ref in (FolderRef(job_id=name, folder=FOLDER), FolderRef(job_id=JOB_ID, folder=name)):
        with pytest.raises(StorageError):
            storage.begin(ref, EXECUTION_ID)
        with pytest.raises(StorageError):
            storage.read_manifest(ref)
        with pytest.raises(StorageError):
            storage.delete(ref)
    with pytest.raises(StorageError):
        storage.begin(FolderRef(job_id=JOB_ID, folder="2025-02-13_060009"), name)
    with pytest.raises(ValidationError):
        storage.open_file(REF, name)
    with pytest.raises(StorageError):
        storage.append_system_log(name, "x")
    writer = storage.begin(FolderRef(job_id=JOB_ID, folder="2025-02-13_060009"), EXECUTION_ID)
    with pytest.raises(StorageError):
        writer.open_part(name)
    writer.abort()


# Reading


def test_what_is_missing_is_told_apart(storage: LocalStorage) -> None:
    with pytest.raises(ValidationError, match="There is no backup"):
        storage.read_manifest(REF)
    path = put(storage)
    (path / PART).unlink()
    with pytest.raises(ValidationError, match=f"{PART} is missing"):
        storage.open_file(REF, PART)
    (path / "manifest.json").unlink()
    with pytest.raises(ValidationError, match="no manifest: not a complete backup"):
        storage.read_manifest(REF)
    assert storage.copy_status(REF) == "missing"
    assert list(storage.backups()) == []


@pytest.mark.parametrize("name", ["manifest_is_a_link", "manifest_is_a_fifo", "manifest_is_a_folder"])
def test_a_manifest_that_is_no_file_is_refused(storage: LocalStorage, name: str) -> None:
    folder = Path(storage.path(REF))
    make_backup(folder, b"content")
    MANIFEST_DAMAGES[name](folder)
    assert list(storage.backups()) == [REF]
    with pytest.raises(ValidationError, match="no plain file"):
        storage.read_manifest(REF)


@pytest.mark.parametrize(
    "name",
    ["chunk_is_a_folder", "chunk_is_a_fifo", "chunk_is_a_link", "chunk_links_to_dev_zero", "chunk_links_to_nothing"],
)
def test_a_part_that_is_no_file_is_refused(storage: LocalStorage, name: str) -> None:
    folder = Path(storage.path(REF))
    make_backup(folder, b"content")
    CHUNK_DAMAGES[name](folder)
    with pytest.raises(ValidationError, match="no plain file"):
        storage.open_file(REF, PART)
    with pytest.raises(ValidationError, match="no plain file"):
        storage.file_size(REF, PART)


@pytest.mark.parametrize("level", ["job", "folder"])
def test_a_folder_that_is_a_link_is_not_followed(storage: LocalStorage, tmp_path: Path, level: str) -> None:
    path = put(storage) if level == "folder" else put(storage).parent
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert list(storage.backups()) == []
    assert storage.copy_status(REF) == "missing"
    with pytest.raises(ValidationError, match="link"):
        storage.read_manifest(REF)
    with pytest.raises(StorageError):
        storage.delete(REF)
    with pytest.raises(StorageError):
        put(storage)
    assert (tmp_path / "elsewhere").exists()


def test_foreign_folders_are_passed_over(storage: LocalStorage) -> None:
    put(storage)
    root = Path(storage.root)
    for odd in (
        "lost+found",
        f"{JOB_ID}x",
        "_system",
        f"{JOB_ID}/.partial-x",
        f"{JOB_ID}/notes",
        f"{JOB_ID}/{FOLDER}_2",
    ):
        (root / odd).mkdir(parents=True, exist_ok=True)
        (root / odd / "manifest.json").write_bytes(b"{}")
    (root / new_id()).write_bytes(b"a file")
    assert list(storage.backups()) == [REF]
    assert list(storage.leftovers()) == []


# Which disk it is


def test_the_root_is_made_on_first_use_only(tmp_path: Path) -> None:
    storage = storage_at(tmp_path / "a" / "root")
    state = storage.examine()
    assert (state.status, not state.free_bytes) == ("available", False)
    assert "does not exist yet" in state.message
    assert storage.marker_id() is None
    assert not (tmp_path / "a").exists()
    storage.prepare()
    assert storage.marker_id() == storage.known_id
    again = storage_at(tmp_path / "a" / "root")
    again.prepare()
    assert again.known_id == storage.known_id


@pytest.mark.parametrize("missing", ["marker", "root"])
def test_nothing_is_written_where_the_disk_is_not_mounted(storage: LocalStorage, tmp_path: Path, missing: str) -> None:
    put(storage)
    root = Path(storage.root)
    root.rename(tmp_path / "unmounted")
    if missing == "marker":
        root.mkdir()
    state = storage.examine()
    assert state.status == "missing"
    assert "not mounted?" in state.message
    assert storage.copy_status(REF) == "unreachable"
    for call in (
        storage.prepare,
        lambda: storage.begin(REF, EXECUTION_ID),
        lambda: list(storage.backups()),
        lambda: list(storage.leftovers()),
        lambda: storage.read_manifest(REF),
        lambda: storage.delete(REF),
        lambda: storage.folder_exists(REF),
        lambda: storage.append_system_log("cleanup.log", "x"),
    ):
        with pytest.raises(StorageError, match="not mounted"):
            call()
    assert not root.exists() or list(root.iterdir()) == []


def test_the_hint_accepts_an_empty_disk(storage: LocalStorage, tmp_path: Path) -> None:
    Path(storage.root).rename(tmp_path / "gone")
    with pytest.raises(StorageError) as caught:
        storage.prepare()
    command = caught.value.hint.partition("empty one: ")[2]
    assert os.system(command) == 0
    storage.prepare()
    put(storage)


def test_another_disk_at_the_same_place_is_noticed(storage: LocalStorage, tmp_path: Path) -> None:
    Path(storage.root).rename(tmp_path / "gone")
    storage_at(Path(storage.root)).prepare()
    with pytest.raises(StorageError, match="Another storage is mounted"):
        storage.prepare()
    assert storage.examine().status == "missing"


@pytest.mark.parametrize("text", [b"", b"[]", b'{"storage_id": 1}', b'{"storage_id": "x"}', b"[" * 60_000])
def test_a_damaged_marker_is_told(storage: LocalStorage, text: bytes) -> None:
    (Path(storage.root) / ".dgtui-storage.json").write_bytes(text)
    with pytest.raises(StorageError, match=f"storage at {storage.root} is damaged") as caught:
        storage.prepare()
    assert caught.value.subject == storage.root
    assert storage.examine().status == "unreachable"
    command = caught.value.hint.partition("write it anew: ")[2]
    assert os.system(command) == 0
    storage.prepare()
    assert storage.examine().status == "available"


@pytest.mark.parametrize("kind", ["link", "folder", "fifo"])
def test_a_marker_that_is_no_file_is_damaged(storage: LocalStorage, tmp_path: Path, kind: str) -> None:
    """A link is not followed: what it leads to may be changed by whoever made it."""
    marker = Path(storage.root) / ".dgtui-storage.json"
    marker.rename(tmp_path / "real")
    if kind == "link":
        marker.symlink_to(tmp_path / "real")
    elif kind == "folder":
        marker.mkdir()
    else:
        os.mkfifo(marker)
    with pytest.raises(StorageError, match="damaged"):
        storage.prepare()
    assert storage.examine().status == "unreachable"
    assert [path.name for path in Path(storage.root).iterdir()] == [marker.name]


def test_two_first_uses_at_once_agree(tmp_path: Path) -> None:
    storages = [storage_at(tmp_path / "root") for _ in range(8)]
    threads = [threading.Thread(target=storage.prepare) for storage in storages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({storage.known_id for storage in storages}) == 1
    assert storages[0].known_id is not None
    assert [path.name for path in (tmp_path / "root").iterdir()] == [".dgtui-storage.json"]


def test_a_root_that_others_can_write_to_is_shown(storage: LocalStorage) -> None:
    assert storage.examine().message == ""
    Path(storage.root).chmod(0o770)
    state = storage.examine()
    assert state.status == "available"
    assert "by others" in state.message
    assert "chmod" in state.hint


def test_a_file_in_the_place_of_the_root_is_told(tmp_path: Path) -> None:
    (tmp_path / "root").write_bytes(b"")
    storage = storage_at(tmp_path / "root")
    assert storage.examine().status == "unreachable"
    with pytest.raises(StorageError, match="Not a directory"):
        storage.prepare()


def test_what_never_answers_is_unreachable(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    frozen = threading.Event()

    def wait(*_: object) -> StorageState:
        frozen.wait()
        raise AssertionError

    monkeypatch.setattr("dgtui.engine.storages.local_root.LocalRoot._open", wait)
    storage.answer_seconds = 0.05
    try:
        state = storage.examine()
        assert (state.status, "does not answer" in state.message) == ("unreachable", True)
        assert storage.copy_status(REF) == "unreachable"
    finally:
        frozen.set()


def test_many_are_told_as_each_of_them_would_be(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    other = FolderRef(job_id=new_id(), folder=REF.folder)
    link = FolderRef(job_id=REF.job_id, folder="2025-02-13_060003")
    gone = FolderRef(job_id=REF.job_id, folder="2025-02-13_060002")
    odd = FolderRef(job_id=REF.job_id, folder="../x")
    path = put(storage)
    path.with_name(link.folder).symlink_to(path)
    refs = [other, gone, REF, link, odd]
    monkeypatch.setattr("dgtui.engine.storages.local._ASKED_AT_ONCE", 2)
    told = storage.copy_statuses(refs)
    assert told == {ref: storage.copy_status(ref) for ref in refs}
    assert [told[ref] for ref in refs] == ["missing", "missing", "available", "missing", "unreachable"]
    storage.known_id = new_id()
    assert set(storage.copy_statuses(refs).values()) == {"unreachable"}


def test_the_names_in_the_folders_of_jobs(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(storage)
    (path.parent / "a file").write_text("")
    empty, odd, file = new_id(), "../x", new_id()
    (path.parent.parent / file).write_text("")
    told = storage.folders([empty, odd, JOB_ID, file])
    assert told == {empty: frozenset(), odd: None, JOB_ID: {path.name, "a file"}, file: frozenset()}
    frozen = threading.Event()
    with monkeypatch.context() as patch:
        patch.setattr("dgtui.engine.storages.local_root.LocalRoot.names", lambda *_: frozen.wait())
        storage.answer_seconds = 0.05
        try:
            assert storage.folders([JOB_ID]) == {}
        finally:
            frozen.set()
    storage.known_id = new_id()
    assert storage.folders([JOB_ID]) == {}


def test_strangers_are_all_but_the_known_folders(interrupted: LocalStorage) -> None:
    bare = FolderRef(job_id=JOB_ID, folder="2025-02-13_060004")
    whole = FolderRef(job_id=JOB_ID, folder="2025-02-13_060005")
    put(interrupted, whole)
    (Path(interrupted.path(bare))).mkdir()
    Path(interrupted.path(bare)).with_name("no backup").mkdir()
    left, orphan, backup = sorted(
        interrupted.strangers({}), key=lambda one: ["Leftover", "Orphan", "FolderRef"].index(type(one).__name__)
    )
    assert [left] == list(interrupted.leftovers())
    assert isinstance(orphan, Orphan)
    assert (orphan.ref, backup) == (bare, whole)
    known = {JOB_ID: {bare.folder, whole.folder}, new_id(): {REF.folder}}
    assert list(interrupted.strangers(known)) == [left]


def test_strangers_by_the_names_that_were_listed_before(interrupted: LocalStorage) -> None:
    names = {job_id: names for job_id, names in interrupted.folders([JOB_ID]).items() if names is not None}
    put(interrupted, FolderRef(job_id=JOB_ID, folder="2025-02-13_060005"))
    other = FolderRef(job_id=new_id(), folder="2025-02-13_060006")
    put(interrupted, other)
    (left,) = interrupted.leftovers()
    assert sorted(map(repr, interrupted.strangers({}, names))) == sorted(map(repr, [left, other]))
    shutil.rmtree(left.path)
    assert list(interrupted.strangers({}, names)) == [other]


def test_a_deadline_hands_on_results_and_errors() -> None:
    assert with_deadline(lambda: 5, 10, subject="x") == 5
    with pytest.raises(ZeroDivisionError):
        with_deadline(lambda: 1 // 0, 10, subject="x")


@pytest.mark.parametrize("path", ["relative/path", "", "/x\0y"])
def test_a_path_that_is_not_absolute_is_refused(path: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="absolute path"):
        msgspec.convert({"type": "local", "path": path}, LocalSettings)


def test_settings_as_they_are_written() -> None:
    settings = msgspec.convert(
        {"type": "local", "path": "~/x", "reserve": "2 GB"}, LocalSettings, dec_hook=decode_setting
    )
    assert settings.reserve == 2_000_000_000
    assert storage_adapter("local")("disk", settings).root == str(Path("~/x").expanduser())


# Taking away


def test_deleting_frees_everything(storage: LocalStorage) -> None:
    put(storage, content=b"x" * 1000)
    assert storage.delete(REF) >= 1000
    assert storage.delete(REF) == 0
    assert storage.copy_status(REF) == "missing"
    assert [path.name for path in Path(storage.root).iterdir()] == [".dgtui-storage.json"]


def test_deleting_leaves_the_rest(storage: LocalStorage) -> None:
    other = FolderRef(job_id=JOB_ID, folder="2025-02-13_060002")
    put(storage)
    put(storage, other)
    storage.delete(REF)
    assert list(storage.backups()) == [other]


@pytest.fixture
def interrupted(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> LocalStorage:
    """A storage with a deletion that ended in the middle."""
    put(storage, content=b"x" * 1000)
    with monkeypatch.context() as patch:
        patch.setattr("dgtui.engine.storages.local_removal.remove_tree", lambda *_: None)
        storage.delete(REF)
    return storage


def test_what_an_interrupted_deletion_leaves_is_garbage(interrupted: LocalStorage) -> None:
    assert list(interrupted.backups()) == []
    (left,) = interrupted.leftovers()
    assert left.execution_id == EXECUTION_ID
    assert sorted(path.name for path in Path(left.path).iterdir()) == ["RESTORE.txt", PART]
    interrupted.remove_leftover(left)
    interrupted.remove_leftover(left)
    assert [path.name for path in Path(interrupted.root).iterdir()] == [".dgtui-storage.json"]


def test_the_name_is_free_again_and_can_be_deleted_again(interrupted: LocalStorage) -> None:
    put(interrupted)
    assert interrupted.delete(REF) > 0
    assert list(interrupted.backups()) == []


def test_only_leftovers_are_removed_as_such(storage: LocalStorage) -> None:
    path = put(storage)
    (leftover,) = [
        left
        for _ in [storage.begin(FolderRef(job_id=JOB_ID, folder="2025-02-13_060002"), EXECUTION_ID)]
        for left in storage.leftovers()
    ]
    for odd in (str(path), str(path.parent), "/etc", f"{leftover.path}/../{FOLDER}", f"{leftover.path}/x"):
        with pytest.raises(StorageError, match="Not an unfinished folder"):
            storage.remove_leftover(msgspec.structs.replace(leftover, path=odd))
    storage.remove_leftover(leftover)
    assert list(storage.leftovers()) == []
    assert list(storage.backups()) == [REF]


def test_what_is_written_to_has_changed_though_its_folder_has_not(storage: LocalStorage) -> None:
    """Another machine may write to one part for longer than the time of grace."""
    writer = storage.begin(REF, EXECUTION_ID)
    writer.open_part(PART)
    (folder,) = Path(storage.root, JOB_ID).iterdir()
    while (folder / PART).stat().st_ctime_ns <= folder.stat().st_ctime_ns:
        writer.write(b"x")
    (leftover,) = storage.leftovers()
    assert leftover.changed_at.timestamp() == pytest.approx((folder / PART).stat().st_ctime, abs=1e-5)
    writer.abort()


def test_a_folder_that_has_a_manifest_is_not_renamed_to_find_that_out(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before the name was given back, a cleanup would have removed the backup as something half deleted."""
    orphan = Orphan(ref=REF, path=str(put(storage)), bytes=0, changed_at=datetime.now(UTC))
    renamed: list[str] = []
    monkeypatch.setattr("dgtui.engine.storages.local_removal.rename_folder", lambda name, *_: renamed.append(name))
    with pytest.raises(StorageError, match="has a manifest by now"):
        storage.remove_orphan(orphan)
    assert renamed == []


def test_a_manifest_that_comes_while_an_orphan_is_removed_saves_it(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(storage)
    orphan = Orphan(ref=REF, path=str(path), bytes=0, changed_at=datetime.now(UTC))
    looks = iter([False, True])
    monkeypatch.setattr("dgtui.engine.storages.local_removal.holds", lambda *_: next(looks))
    with pytest.raises(StorageError, match="has a manifest by now"):
        storage.remove_orphan(orphan)
    assert storage.file_size(REF, PART) == 7


def test_a_folder_that_has_a_manifest_by_now_is_no_orphan(storage: LocalStorage) -> None:
    path = put(storage)
    orphan = Orphan(ref=REF, path=str(path), bytes=0, changed_at=datetime.now(UTC))
    with pytest.raises(StorageError, match="has a manifest by now"):
        storage.remove_orphan(orphan)
    with pytest.raises(StorageError, match="has a manifest by now"):
        storage.end_removal(REF)
    assert list(storage.backups()) == [REF]
    assert storage.file_size(REF, PART) == 7
    for odd in (FolderRef(job_id="x", folder=FOLDER), FolderRef(job_id=JOB_ID, folder="x")):
        (Path(storage.root) / odd.job_id / odd.folder).mkdir(parents=True)
        with pytest.raises(StorageError, match="Not a folder without a backup"):
            storage.remove_orphan(msgspec.structs.replace(orphan, ref=odd))
        assert (Path(storage.root) / odd.job_id / odd.folder).is_dir()


def test_the_system_log_grows_line_by_line(storage: LocalStorage) -> None:
    storage.append_system_log("cleanup.log", "one\ntwo\x1b[2J")
    storage.append_system_log("cleanup.log", "three")
    assert (Path(storage.root) / "_system" / "cleanup.log").read_text() == "one\\x0atwo\\x1b[2J\nthree\n"


def test_a_line_that_was_cut_does_not_spoil_the_next_one(storage: LocalStorage) -> None:
    storage.append_system_log("cleanup.log", "one")
    log = Path(storage.root) / "_system" / "cleanup.log"
    log.write_text("one\nha")
    for _ in range(2):
        storage.append_system_log("cleanup.log", "half", once=True)
    assert log.read_text() == "one\nha\nhalf\n"
    log.write_text("one\nha")
    for line in ("two", "three"):
        storage.append_system_log("cleanup.log", line)
    assert log.read_text() == "one\nha\ntwo\nthree\n"


@pytest.mark.parametrize("kind", ["link", "link to nothing", "fifo", "linked folder"])
def test_a_log_in_whose_place_something_else_lies_is_not_written(
    storage: LocalStorage, tmp_path: Path, kind: str
) -> None:
    elsewhere, system = tmp_path / "elsewhere", Path(storage.root) / "_system"
    elsewhere.mkdir()
    if kind == "linked folder":
        system.symlink_to(elsewhere)
    else:
        system.mkdir()
        if kind == "fifo":
            os.mkfifo(system / "cleanup.log")
        else:
            (system / "cleanup.log").symlink_to(elsewhere / "file")
    if kind == "link":
        (elsewhere / "file").write_text("mine\n")
    for once in (False, True):
        with pytest.raises(StorageError):
            storage.append_system_log("cleanup.log", "line", once=once)
    assert [path.read_text() for path in elsewhere.iterdir()] == (["mine\n"] if kind == "link" else [])
