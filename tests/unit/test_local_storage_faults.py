"""Local storages when the disk is full, read-only, failing, swapped, or the process is killed."""

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dgtui.engine.errors import DiskSpaceError, StorageError
from dgtui.engine.settings import ByteSize
from dgtui.engine.storages.base import BackupWriter, FolderRef
from dgtui.engine.storages.local import LocalSettings, LocalStorage
from tests.support.backup_folders import EXECUTION_ID, FOLDER, JOB_ID
from tests.support.descriptors import open_below

REF = FolderRef(job_id=JOB_ID, folder=FOLDER)
PART = "backup.tar.zst"
MEBIBYTE = 1 << 20
STRACE = ("strace", "-f", "-qq")

_ONE_BACKUP = """
import sys
from dgtui.engine.errors import DataGuardianError
from dgtui.engine.storages.base import FolderRef
from dgtui.engine.storages.local import LocalSettings, LocalStorage

root, known_id, job, folder, execution = sys.argv[1:]
storage = LocalStorage("disk", LocalSettings(type="local", path=root))
storage.known_id = known_id
writer = None
try:
    writer = storage.begin(FolderRef(job_id=job, folder=folder), execution)
    for part in ("backup.tar.zst.part-001", "backup.tar.zst.part-002"):
        writer.open_part(part)
        writer.write(b"content")
        writer.close_part()
    writer.commit({"RESTORE.txt": b"text"}, b"{}")
except DataGuardianError as error:
    if writer is not None:
        writer.abort()
    sys.exit(f"{error.kind}: {error.message}")
"""


def storage_at(path: Path, reserve: int = 0) -> LocalStorage:
    storage = LocalStorage("disk", LocalSettings(type="local", path=str(path), reserve=ByteSize(reserve)))
    storage.prepare()
    return storage


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", path], check=True)
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def fill(writer: BackupWriter, size: int) -> None:
    writer.open_part(PART)
    for _ in range(size // MEBIBYTE):
        writer.write(b"x" * MEBIBYTE)
    writer.close_part()


@pytest.mark.root
def test_a_full_disk(small_disk: Path) -> None:
    storage = storage_at(small_disk)
    writer = storage.begin(REF, EXECUTION_ID)
    with pytest.raises(DiskSpaceError, match="bytes free") as caught:
        fill(writer, 8 * MEBIBYTE)
    assert "df -h" in caught.value.hint
    with pytest.raises(DiskSpaceError):
        writer.commit({}, b"{}")
    writer.abort()
    assert [path.name for path in small_disk.iterdir()] == [".dgtui-storage.json"]


@pytest.mark.root
def test_a_disk_that_is_full_at_the_manifest(small_disk: Path) -> None:
    storage = storage_at(small_disk)
    writer = storage.begin(REF, EXECUTION_ID)
    fill(writer, 2 * MEBIBYTE)
    with pytest.raises(DiskSpaceError):
        writer.commit({}, b"x" * 4 * MEBIBYTE)
    writer.abort()
    assert list(storage.backups()) == []
    assert [path.name for path in small_disk.iterdir()] == [".dgtui-storage.json"]


@pytest.mark.root
def test_a_disk_that_is_full_at_its_first_use_is_left_as_it_was(small_disk: Path) -> None:
    room = 4 * MEBIBYTE
    (small_disk / "else").write_bytes(b"x" * room)
    storage = LocalStorage("disk", LocalSettings(type="local", path=str(small_disk)))
    with pytest.raises(DiskSpaceError):
        storage.prepare()
    assert [path.name for path in small_disk.iterdir()] == ["else"]


@pytest.mark.root
def test_a_disk_without_inodes_does_not_boast_of_its_free_bytes(small_disk: Path) -> None:
    storage = storage_at(small_disk)
    subprocess.run(["mount", "-o", "remount,nr_inodes=8", small_disk], check=True)
    writer = storage.begin(REF, EXECUTION_ID)
    with pytest.raises(DiskSpaceError, match="no inodes free") as caught:
        writer.commit({f"note{number}.txt": b"x" for number in range(8)}, b"{}")
    assert f"df -i {small_disk}" in caught.value.hint
    writer.abort()
    assert [path.name for path in small_disk.iterdir()] == [".dgtui-storage.json"]


@pytest.mark.root
def test_a_read_only_disk(small_disk: Path) -> None:
    storage = storage_at(small_disk)
    put_one(storage)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(StorageError, match="Read-only") as caught:
        storage.prepare()
    assert str(small_disk) in caught.value.message
    state = storage.examine()
    assert (state.status, "read-only" in state.message) == ("available", True)
    assert storage.copy_status(REF) == "available"
    with pytest.raises(StorageError):
        storage.delete(REF)
    assert list(storage.backups()) == [REF]


@pytest.mark.root
def test_a_disk_that_is_unmounted(small_disk: Path) -> None:
    storage = storage_at(small_disk)
    put_one(storage)
    writer = storage.begin(FolderRef(job_id=JOB_ID, folder="2025-02-13_060002"), EXECUTION_ID)
    writer.open_part(PART)
    writer.write(b"content")
    subprocess.run(["umount", "-l", small_disk], check=True)
    writer.close_part()
    with pytest.raises(StorageError, match="removed, unmounted or replaced"):
        writer.commit({}, b"{}")
    writer.abort()
    assert storage.examine().status == "missing"
    assert storage.copy_status(REF) == "unreachable"
    assert list(small_disk.iterdir()) == []
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", small_disk], check=True)


@pytest.mark.root
def test_an_immutable_root(tmp_path: Path) -> None:
    storage = storage_at(tmp_path / "root")
    if os.geteuid() != 0 or subprocess.run(["chattr", "+i", storage.root], check=False).returncode != 0:
        pytest.skip("the file system knows no immutable folders, or we are not root")
    try:
        with pytest.raises(StorageError, match="not permitted"):
            storage.prepare()
        assert "No right to write" in storage.examine().message
    finally:
        subprocess.run(["chattr", "-i", storage.root], check=True)


def put_one(storage: LocalStorage) -> None:
    writer = storage.begin(REF, EXECUTION_ID)
    writer.open_part(PART)
    writer.write(b"content")
    writer.close_part()
    writer.commit({}, b"{}")


def test_an_unreadable_job_folder_is_not_missing(tmp_path: Path) -> None:
    """An empty answer because of an error is not "nothing"."""
    script = (
        "import sys\n"
        "from dgtui.engine.errors import StorageError\n"
        "from dgtui.engine.storages.base import FolderRef\n"
        "from dgtui.engine.storages.local import LocalSettings, LocalStorage\n"
        "storage = LocalStorage('disk', LocalSettings(type='local', path=sys.argv[1]))\n"
        "print(storage.copy_status(FolderRef(job_id=sys.argv[2], folder=sys.argv[3])))\n"
        "try:\n"
        "    print(list(storage.backups()))\n"
        "except StorageError as error:\n"
        "    print(error.message)\n"
    )
    storage = storage_at(tmp_path / "root")
    put_one(storage)
    job = Path(storage.root) / JOB_ID
    job.chmod(0o000)
    # Without its capabilities root is stopped by modes like anybody else.
    prefix = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"] if os.geteuid() == 0 else []
    result = subprocess.run(
        [*prefix, sys.executable, "-c", script, storage.root, JOB_ID, FOLDER],
        capture_output=True,
        text=True,
        check=True,
    )
    job.chmod(0o700)
    assert result.stdout.splitlines()[0] == "unreachable"
    assert "Permission denied" in result.stdout.splitlines()[1]


def test_the_reserve_is_kept(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    storage = storage_at(tmp_path / "root", reserve=free * 2)
    assert storage.examine().free_bytes == 0
    writer = storage.begin(REF, EXECUTION_ID)
    with pytest.raises(DiskSpaceError, match="reserved"):
        fill(writer, 32 * MEBIBYTE)
    writer.abort()


def test_the_reserve_is_kept_from_small_backups_and_parts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reserve = shutil.disk_usage(tmp_path).free * 2
    writer = storage_at(tmp_path / "full", reserve=reserve).begin(REF, EXECUTION_ID)
    with pytest.raises(DiskSpaceError, match="reserved"):
        fill(writer, 1)
    writer.abort()
    # There is room as it begins, and no more once the part is whole.
    storage = storage_at(tmp_path / "root", reserve=1)
    writer = storage.begin(REF, EXECUTION_ID)
    writer.open_part("backup.tar.zst")
    writer.write(b"x")
    whole = os.fstatvfs

    def none_left(descriptor: int) -> os.statvfs_result:
        fields = list(whole(descriptor))
        fields[4] = 0
        return os.statvfs_result(fields)

    monkeypatch.setattr(os, "fstatvfs", none_left)
    with pytest.raises(DiskSpaceError, match="Only 0 bytes are free"):
        writer.close_part()
    writer.abort()
    assert [path.name for path in Path(storage.root).iterdir()] == [".dgtui-storage.json"]


def test_what_failed_once_stays_failed(tmp_path: Path) -> None:
    """Nothing is published whose part lacks something, also where the reason is gone by then."""
    storage = storage_at(tmp_path / "root")
    writer = storage.begin(REF, EXECUTION_ID)
    fill(writer, MEBIBYTE)
    root = Path(storage.root)
    root.rename(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="was removed, unmounted or replaced"):
        writer.open_part("backup.tar.zst.part-002")
    (tmp_path / "elsewhere").rename(root)
    with pytest.raises(StorageError, match="was removed, unmounted or replaced"):
        writer.commit({}, b"{}")
    writer.abort()
    assert [path.name for path in root.iterdir()] == [".dgtui-storage.json"]


@pytest.mark.parametrize("end", ["published", "given up", "refused"])
def test_no_descriptor_is_left_open(tmp_path: Path, end: str) -> None:
    storage = storage_at(tmp_path / "root")
    put_one(storage)
    before = open_below(tmp_path)
    if end == "refused":
        storage.begin(FolderRef(job_id=JOB_ID, folder="2025-02-13_060002"), EXECUTION_ID).abort()
        (Path(storage.root) / "file").touch()
        with pytest.raises(StorageError):
            storage.begin(FolderRef(job_id="file", folder=FOLDER), EXECUTION_ID)
    else:
        writer = storage.begin(FolderRef(job_id=JOB_ID, folder="2025-02-13_060002"), EXECUTION_ID)
        fill(writer, MEBIBYTE)
        if end == "published":
            writer.commit({"RESTORE.txt": b"text"}, b"{}")
        writer.abort()
    assert open_below(tmp_path) == before


@pytest.mark.parametrize("level", ["root", "job", "staging"])
@pytest.mark.parametrize("how", ["removed", "swapped"])
def test_a_folder_that_is_swapped_for_a_link_is_not_followed(tmp_path: Path, level: str, how: str) -> None:
    storage = storage_at(tmp_path / "root")
    writer = storage.begin(REF, EXECUTION_ID)
    writer.open_part(f"{PART}.part-001")
    writer.write(b"content")
    (leftover,) = storage.leftovers()
    folder = {"root": Path(storage.root), "job": Path(leftover.path).parent, "staging": Path(leftover.path)}[level]
    folder.rename(tmp_path / "moved")
    (tmp_path / "victim").mkdir()
    if how == "swapped":
        folder.symlink_to(tmp_path / "victim")
    writer.write(b"content")
    writer.close_part()
    with pytest.raises(StorageError, match="removed, unmounted or replaced"):
        writer.open_part(f"{PART}.part-002")
    with pytest.raises(StorageError):
        writer.commit({}, b"{}")
    writer.abort()
    assert list((tmp_path / "victim").iterdir()) == []
    assert not list(tmp_path.rglob("manifest.json"))


def test_a_job_folder_that_is_somebodys_link_is_refused(tmp_path: Path) -> None:
    storage = storage_at(tmp_path / "root")
    (tmp_path / "victim").mkdir()
    (Path(storage.root) / JOB_ID).symlink_to(tmp_path / "victim")
    with pytest.raises(StorageError):
        storage.begin(REF, EXECUTION_ID)
    assert list((tmp_path / "victim").iterdir()) == []


@pytest.mark.root
def test_a_job_folder_that_somebody_else_made_is_refused(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    storage = storage_at(tmp_path / "root")
    job = Path(storage.root) / JOB_ID
    job.mkdir()
    os.chown(job, 65534, 65534)
    storage.begin(REF, EXECUTION_ID).abort()
    Path(storage.root).chmod(0o1777)
    with pytest.raises(StorageError, match="not permitted"):
        storage.begin(REF, EXECUTION_ID)
    assert list(job.iterdir()) == []


def traced(storage: LocalStorage, calls: str, fault: str) -> tuple[int, bool]:
    """Write a backup in a process of its own with a fault; its exit code, and whether the fault came."""
    log = Path(storage.root).parent / "strace"
    known_id = storage.known_id or ""
    program = [sys.executable, "-c", _ONE_BACKUP, storage.root, known_id, JOB_ID, FOLDER, EXECUTION_ID]
    result = subprocess.run(
        [*STRACE, "-o", str(log), "-e", f"trace={calls}", "-e", f"inject={calls}:{fault}", *program],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Traceback" not in result.stderr, result.stderr
    text = log.read_text()
    return result.returncode, "(INJECTED)" in text or "+++ killed by SIGKILL" in text


@pytest.mark.parametrize(
    ("calls", "fault"),
    [("fsync", "error=EIO"), ("write", "error=ENOSPC"), ("renameat", "error=EIO"), ("renameat2", "error=EIO")],
)
def test_a_call_that_fails_leaves_no_backup_and_no_litter(tmp_path: Path, calls: str, fault: str) -> None:
    require_strace()
    storage = storage_at(tmp_path / "root")
    for number in range(1, 30):
        code, came = traced(storage, calls, f"{fault}:when={number}")
        if not came:
            assert code == 0
            assert list(storage.backups()) == [REF]
            assert number > 1
            return
        assert code == 1
        assert list(storage.backups()) == []
        assert [path.name for path in Path(storage.root).iterdir()] == [".dgtui-storage.json"]
    pytest.fail("the loop has no end")


@pytest.mark.parametrize("calls", ["fsync", "renameat", "renameat2"])
def test_a_kill_leaves_a_whole_backup_or_a_leftover(tmp_path: Path, calls: str) -> None:
    require_strace()
    storage = storage_at(tmp_path / "root")
    for number in range(1, 30):
        code, came = traced(storage, calls, f"signal=KILL:when={number}")
        whole = list(storage.backups()) == [REF]
        if whole:
            folder = Path(storage.path(REF))
            assert sorted(path.name for path in folder.iterdir()) == [
                "RESTORE.txt", f"{PART}.part-001", f"{PART}.part-002", "manifest.json",
            ]  # fmt: skip
            storage.delete(REF)
        if not came:
            assert (code, whole) == (0, True)
            assert number > 1
            return
        assert code == -signal.SIGKILL
        for leftover in list(storage.leftovers()):
            assert leftover.execution_id == EXECUTION_ID
            storage.remove_leftover(leftover)
        for empty in Path(storage.root).glob(JOB_ID):
            empty.rmdir()
        assert [path.name for path in Path(storage.root).iterdir()] == [".dgtui-storage.json"]
    pytest.fail("the loop has no end")


def test_deleting_takes_the_manifest_first(tmp_path: Path) -> None:
    require_strace()
    storage = storage_at(tmp_path / "root")
    put_one(storage)
    log = tmp_path / "strace"
    script = (
        "import sys\n"
        "from dgtui.engine.storages.base import FolderRef\n"
        "from dgtui.engine.storages.local import LocalSettings, LocalStorage\n"
        "storage = LocalStorage('disk', LocalSettings(type='local', path=sys.argv[1]))\n"
        "storage.delete(FolderRef(job_id=sys.argv[2], folder=sys.argv[3]))\n"
    )
    subprocess.run(
        [*STRACE, "-o", str(log), "-e", "trace=unlinkat", sys.executable, "-c", script, storage.root, JOB_ID, FOLDER],
        check=True,
    )
    removed = [line for line in log.read_text().splitlines() if "unlink" in line]
    assert '"manifest.json"' in removed[0]
    assert len(removed) >= 3


def test_a_file_that_cannot_be_closed_is_no_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems say only then that there is no room."""
    storage = storage_at(tmp_path / "root")
    really_close = os.close
    left = 0

    def close(descriptor: int) -> None:
        nonlocal left
        of_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
        really_close(descriptor)
        if of_file:
            left -= 1
            if left == 0:
                raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(os, "close", close)
    for number in range(1, 30):
        left, writer = number, None
        try:
            writer = storage.begin(REF, EXECUTION_ID)
            fill(writer, MEBIBYTE)
            writer.commit({"RESTORE.txt": b"text"}, b"{}")
        except StorageError:
            if writer is not None:
                writer.abort()
            assert list(storage.backups()) == []
            assert [path.name for path in Path(storage.root).iterdir()] == [".dgtui-storage.json"]
        else:
            left = 0
            assert number > 3
            assert list(storage.backups()) == [REF]
            return
    pytest.fail("it never came to its end")


def require_strace() -> None:
    """Skip where a fault cannot be injected."""
    if shutil.which("strace") is None or subprocess.run([*STRACE, "-o", os.devnull, "true"], check=False).returncode:
        pytest.skip("strace is missing, or may not trace here")
