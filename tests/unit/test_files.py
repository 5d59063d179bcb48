"""Small files and folders: whole or not at all, private, and never through somebody's link."""

import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from dgtui.engine.cut_writes import remove_cut_writes
from dgtui.engine.errors import DiskSpaceError, StorageError
from dgtui.engine.file_errors import file_error, is_read_only
from dgtui.engine.files import (
    fsync_folder,
    make_private_folder,
    new_file,
    open_folder,
    open_regular,
    rename_folder,
    set_room_aside,
    write_and_forget,
    write_durably,
)
from tests.support.descriptors import open_below


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o277])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """Every umask somebody could have."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    """A descriptor of the test's folder."""
    descriptor = open_folder(tmp_path)
    yield descriptor
    os.close(descriptor)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    make_private_folder(tmp_path / "a" / "b")
    write_durably(tmp_path / "a" / "b" / "file", b"content")
    assert mode(tmp_path / "a") == mode(tmp_path / "a" / "b") == 0o700
    assert mode(tmp_path / "a" / "b" / "file") == 0o600


def test_a_folder_that_exists_is_left_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    make_private_folder(tmp_path)
    assert mode(tmp_path) == 0o755


def test_a_file_is_replaced_and_leaves_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o644)
    write_durably(path, b"new")
    assert path.read_bytes() == b"new"
    assert mode(path) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "file").symlink_to(tmp_path / "victim")
    write_durably(tmp_path / "file", b"new")
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert not (tmp_path / "file").is_symlink()


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path: Path) -> None:
    (tmp_path / "file" / "inside").mkdir(parents=True)
    with pytest.raises(StorageError) as caught:
        write_durably(tmp_path / "file", b"new")
    assert str(tmp_path / "file") in caught.value.message
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.fixture
def disk_calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path]]:
    """What is synced and renamed, in order, by what it is called then."""
    calls: list[tuple[str, Path]] = []
    fsync, rename = os.fsync, os.rename

    def seen_fsync(descriptor: int) -> None:
        fsync(descriptor)
        calls.append(("sync", Path(f"/proc/self/fd/{descriptor}").readlink()))

    def seen_rename(old: str, new: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        rename(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        calls.append(("rename", Path(new)))

    monkeypatch.setattr(os, "fsync", seen_fsync)
    monkeypatch.setattr(os, "rename", seen_rename)
    return calls


def test_content_is_durable_before_its_name_and_the_name_before_success_is_told(
    tmp_path: Path, disk_calls: list[tuple[str, Path]]
) -> None:
    """Otherwise a power cut could leave an empty file in the place of a good one."""
    write_durably(tmp_path / "file", b"new")
    (first, temporary), *others = disk_calls
    assert (first, temporary.parent, temporary.suffix) == ("sync", tmp_path, ".tmp")
    assert others == [("rename", Path("file")), ("sync", tmp_path)]


def test_the_names_of_folders_are_durable(tmp_path: Path, disk_calls: list[tuple[str, Path]]) -> None:
    make_private_folder(tmp_path / "a" / "b")
    fsync_folder(tmp_path)
    assert disk_calls == [("sync", tmp_path), ("sync", tmp_path / "a"), ("sync", tmp_path)]


@pytest.mark.parametrize("nameless", [True, False])
def test_a_trial_is_synced_and_leaves_nothing(
    tmp_path: Path, folder: int, nameless: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network drive may tell only then that there is no room, or that the disk behind it is broken."""
    really_open = os.open

    def without_nameless_files(name: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "no O_TMPFILE")
        return really_open(name, flags, mode, dir_fd=dir_fd)

    def fail(_: int) -> None:
        raise OSError(errno.EDQUOT, "quota")

    if not nameless:
        monkeypatch.setattr(os, "open", without_nameless_files)
    write_and_forget(folder)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="quota"):
        write_and_forget(folder)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_trial_that_cannot_begin_says_why(folder: int, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not tried again in another way, as where there are no nameless files."""
    really_open = os.open

    def fail(name: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(code, "x")
        return really_open(name, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(OSError, match="x") as caught:
        write_and_forget(folder)
    assert caught.value.errno == code


def test_what_the_system_takes_in_pieces_is_written_whole(
    tmp_path: Path, folder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, block: write(descriptor, block[:3]))
    write_durably(tmp_path / "file", b"0123456789")
    assert (tmp_path / "file").read_bytes() == b"0123456789"


def test_a_new_file_is_never_one_that_was_there(tmp_path: Path, folder: int) -> None:
    (tmp_path / "file").write_bytes(b"precious")
    (tmp_path / "link").symlink_to("elsewhere")
    for name in ("file", "link"):
        with pytest.raises(FileExistsError):
            new_file(name, folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]
    assert (tmp_path / "file").read_bytes() == b"precious"


@pytest.mark.parametrize(("code", "raises"), [(errno.EPERM, False), (errno.ENOTSUP, False), (errno.EIO, True)])
def test_where_modes_cannot_be_kept_the_mount_decides(
    tmp_path: Path, code: int, raises: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A FAT disk or a network drive takes backups as well; a disk that fails is told, and no descriptor stays open."""

    def fail(*_: object) -> None:
        raise OSError(code, "x")

    monkeypatch.setattr(os, "fchmod", fail)
    mask = os.umask(0o277)
    try:
        if raises:
            with pytest.raises(StorageError):
                write_durably(tmp_path / "file", b"new")
        else:
            write_durably(tmp_path / "file", b"new")
    finally:
        os.umask(mask)
    assert (tmp_path / "file").exists() != raises
    assert open_below(tmp_path) == []


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file") as caught:
        write_durably(tmp_path / "none" / "file", b"new")
    assert caught.value.hint
    with pytest.raises(StorageError):
        fsync_folder(tmp_path / "none")


def test_a_file_in_the_way_of_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="Not a directory"):
        make_private_folder(tmp_path / "file" / "folder")


def test_a_folder_is_never_renamed_over_another(tmp_path: Path, folder: int) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "taken").mkdir()
    with pytest.raises(FileExistsError):
        rename_folder("old", "taken", folder)
    rename_folder("old", "new", folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "taken"]


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOSYS])
def test_the_same_where_the_file_system_lacks_the_call(
    tmp_path: Path, folder: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dgtui.engine.files._rename_without_replacing", lambda *_: code)
    test_a_folder_is_never_renamed_over_another(tmp_path, folder)
    with pytest.raises(FileNotFoundError):
        rename_folder("none", "claimed", folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "taken"]


def test_only_plain_files_are_opened(tmp_path: Path, folder: int) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("file")
    for name in ("fifo", "folder"):
        with pytest.raises(ValueError, match="plain file"):
            open_regular(name, folder)
    with pytest.raises(OSError, match="symbolic links"):
        open_regular("link", folder)
    os.close(open_regular("file", folder))


def test_a_folder_is_not_opened_through_a_link_unless_that_is_wanted(tmp_path: Path, folder: int) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    with pytest.raises(NotADirectoryError):
        open_folder("link", folder=folder)
    os.close(open_folder("link", folder=folder, follow=True))


@pytest.mark.parametrize(("code", "read_only"), [(errno.EROFS, True), (errno.EACCES, False), (errno.EOPNOTSUPP, False)])
def test_a_disk_that_is_read_only_is_known(
    tmp_path: Path, code: int, read_only: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise OSError(code, "x")

    assert not is_read_only(tmp_path / "none")
    monkeypatch.setattr(os, "open", fail)
    assert is_read_only(tmp_path / "none") == read_only


def test_room_that_is_set_aside_leaves_a_file_as_long_as_it_is(tmp_path: Path, folder: int) -> None:
    descriptor = new_file("file", folder)
    try:
        set_room_aside(descriptor, 1 << 20)
        assert (os.fstat(descriptor).st_size, os.fstat(descriptor).st_blocks * 512 >= 1 << 20) == (0, True)
    finally:
        os.close(descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        set_room_aside(descriptor, 1 << 20)


@pytest.mark.parametrize(
    ("code", "reason", "command"),
    [(errno.ENOSPC, r" \(\d+ bytes free\)", "df -h {disk}"), (errno.EDQUOT, " by our quota", "quota -s")],
)
def test_a_full_disk_has_an_error_of_its_own(tmp_path: Path, code: int, reason: str, command: str) -> None:
    """The reason comes before the long path, and the command is about what is there also when the run has tidied up."""
    written = tmp_path / "none" / "file"
    error = file_error(OSError(code, "x"), written, "write")
    disk = next(folder for folder in tmp_path.parents if folder.is_mount())
    assert isinstance(error, DiskSpaceError)
    assert re.fullmatch(f"No room left on {disk}{reason}: could not write {written}", error.message)
    assert error.hint == f"Make room or delete old backups. See: {command.format(disk=disk)}"


def test_what_is_not_there_is_looked_for_from_what_is(tmp_path: Path) -> None:
    """`findmnt -T` says nothing at all about a path that does not exist."""
    error = file_error(FileNotFoundError(errno.ENOENT, "x"), tmp_path / "none" / "file", "open")
    assert error.hint.endswith(f"findmnt -T {tmp_path}")


@pytest.mark.parametrize(
    ("code", "hint"),
    [(errno.EROFS, "read-only"), (errno.EACCES, "right"), (errno.EIO, "dmesg"), (errno.EFBIG, "max_file_size_mb")],
)
def test_other_errors_say_what_to_do(code: int, hint: str) -> None:
    error = file_error(OSError(code, "x"), "/mnt/nas", "write")
    assert hint in error.hint
    assert "/mnt/nas" in error.message


@pytest.mark.parametrize("of", [None, "a.toml", "b.toml", "other"])
def test_only_what_a_kill_left_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of: str | None) -> None:
    """Nothing else of a folder that people use too."""

    def killed(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", killed)
        patch.setattr(os, "unlink", killed)
        for name in ("a.toml", "b.toml", f"{'long' * 50}.toml"):
            with pytest.raises(StorageError):
                write_durably(tmp_path / name, b"content")
    left = {path.name for path in tmp_path.iterdir()}
    assert len(left) == 3
    theirs = {"a.toml", ".a.toml.tmp", ".a.toml.0123.tmp", ".0123456789abcdef.tmp", "a.toml.0123456789abcdef.tmp"}
    for name in theirs:
        (tmp_path / name).touch()
    remove_cut_writes(tmp_path, of=of)
    assert {path.name for path in tmp_path.iterdir()} == theirs | left, "somebody may be writing just now"
    for path in tmp_path.iterdir():
        os.utime(path, (0, 0))
    remove_cut_writes(tmp_path, of=of)
    stays = {name for name in left if of is not None and not name.startswith(f".{of}.")}
    assert {path.name for path in tmp_path.iterdir()} == theirs | stays
    assert len(stays) == {None: 0, "a.toml": 2, "b.toml": 2, "other": 3}[of]
    remove_cut_writes(tmp_path / "none")
