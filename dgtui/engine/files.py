"""Small files that survive a crash, private folders, and file operations that follow no link.

What fails here fails as a StorageError (DiskSpaceError where there is no room) that names the path and the next step.
"""

import contextlib
import ctypes
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from dgtui.engine.errors import DiskSpaceError, StorageError

FILE_MODE = 0o600
FOLDER_MODE = 0o700

_NO_NAMELESS_FILES = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL})
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_MODES = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS})
_RENAME_NOREPLACE = 1
_FALLOC_KEEP_SIZE = 1
_NO_SUCH_CALL = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP})
_NEW_FILE = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

_HINTS = {
    errno.EACCES: "Give the user who runs dgtui the right to read and write it: ls -ld {path}",
    errno.EPERM: "Is it marked as immutable, or owned by somebody else? See: lsattr -d {path}",
    errno.EROFS: "It is mounted read-only. See: findmnt -T {folder}",
    errno.EIO: "The disk or its connection is failing. See: dmesg | tail",
    errno.ENOTCONN: "What served this mount has gone: mount it again. See: findmnt -T {folder}",
    errno.ESTALE: "The server of this mount knows it no more: mount it again. See: findmnt -T {folder}",
    errno.ELOOP: "It is a symbolic link, and links are not followed here. Who made it? See: ls -l {path}",
    errno.ENOENT: "Does it exist, and is its disk mounted? See: findmnt -T {folder}",
    errno.EISDIR: "A folder lies there: name a file in it, or elsewhere. See: ls -ld {path}",
    errno.ENOTDIR: "Something else than a folder lies there. See: ls -ld {path}",
    errno.EFBIG: "The file system takes no larger file. Set a smaller max_file_size_mb in the job",
    errno.EMFILE: "Too many files are open. Raise the limit: ulimit -n",
    errno.ENFILE: "Too many files are open on this machine",
}


def file_error(error: OSError, path: str | Path, doing: str) -> StorageError:
    """The error that people see instead of an OSError: what was being done, to which path, and what to do next."""
    code = error.errno or 0
    if code in _NO_ROOM:
        # The long path is what a narrow line may cut, and what is being written goes away with the run.
        disk = mount_of(Path(path))
        left, command = _room_left(disk, code)
        return DiskSpaceError(
            f"No room left on {disk}{left}: could not {doing} {path}",
            subject=str(path),
            hint=f"Make room or delete old backups. See: {command}",
        )
    reason = os.strerror(code) if code else str(error)
    hint = _HINTS.get(code, "See: dmesg | tail").format(path=path, folder=nearest_folder(Path(path)))
    return StorageError(f"Could not {doing} {path}: {reason}", subject=str(path), hint=hint)


def _room_left(disk: Path, code: int) -> tuple[str, str]:
    """What there is no room of, and the command that shows it."""
    if code == errno.EDQUOT:
        return " by our quota", "quota -s"
    try:
        space = os.statvfs(disk)
    except OSError:
        return "", f"df -h {disk}"
    # Where files of all sizes were made until there were too many, the bytes that are free tell of no want.
    if space.f_files and not space.f_favail:
        return " for another file (no inodes free)", f"df -i {disk}"
    return f" ({space.f_bavail * space.f_frsize} bytes free)", f"df -h {disk}"


def mount_of(path: Path) -> Path:
    """The folder at which the disk is mounted that holds it, or would."""
    folder = nearest_folder(Path(os.path.abspath(path)))  # noqa: PTH100  # no link is followed to tell of a path
    return next((one for one in (folder, *folder.parents) if os.path.ismount(one)), Path("/"))


def nearest_folder(path: Path) -> Path:
    """The folder itself where it exists, else the nearest one above it that does; never fails."""
    return next((folder for folder in (path, *path.parents) if os.path.isdir(folder)), Path("/"))  # noqa: PTH112


def is_read_only(path: Path) -> bool:
    """Whether the disk that holds it, or would, is mounted read-only; also where it became so by an error."""
    folder = nearest_folder(path)
    try:
        # After an error newer kernels refuse to write, and name the mount writable still.
        os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, FILE_MODE))
    except OSError as error:
        return error.errno == errno.EROFS
    return False


@contextlib.contextmanager
def explained(path: str | Path, doing: str) -> Iterator[None]:
    """Turn every OSError of the block into the StorageError of `file_error`."""
    try:
        yield
    except OSError as error:
        raise file_error(error, path, doing) from error


def set_mode(descriptor: int, mode: int) -> None:
    """Give an open file or folder this mode whatever the umask was; raises OSError."""
    if stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o777 == mode:
        return
    try:
        os.fchmod(descriptor, mode)
    except OSError as error:
        # vfat and some network mounts keep no modes of their own: there the mount's options decide.
        if error.errno not in _NO_MODES:
            raise


def open_folder(name: str | Path, *, folder: int | None = None, follow: bool = False) -> int:
    """A descriptor of a folder, of a plain name inside `folder` where that is given; raises OSError."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    return os.open(name, flags, dir_fd=folder)


def new_file(name: str, folder: int, mode: int = FILE_MODE) -> int:
    """Create a file for writing that did not exist, of this mode, in an open folder; raises OSError."""
    descriptor = os.open(name, os.O_WRONLY | _NEW_FILE, mode, dir_fd=folder)
    try:
        set_mode(descriptor, mode)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def write_all(descriptor: int, content: bytes | memoryview) -> None:
    """Write every byte; raises OSError."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def set_room_aside(descriptor: int, length: int) -> None:
    """Have the disk keep room for the first `length` bytes of a file, which stays as long as it is; raises OSError.

    Not every file system can (EOPNOTSUPP).
    """
    try:
        call = ctypes.CDLL(None, use_errno=True).fallocate
    except AttributeError:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP)) from None
    if call(descriptor, _FALLOC_KEEP_SIZE, ctypes.c_int64(0), ctypes.c_int64(length)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def is_full(error: OSError) -> bool:
    """Whether it says that there is no room left."""
    return error.errno in _NO_ROOM


def write_new_file(name: str, content: bytes, folder: int, mode: int = FILE_MODE) -> None:
    """Create a file with this content and make it durable; raises OSError."""
    descriptor = new_file(name, folder, mode)
    try:
        write_all(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_and_forget(folder: int) -> None:
    """Write a little into an open folder, durably, and leave nothing of it; raises OSError.

    Modes and free space do not tell of quotas, mount options, immutable folders and disks that went bad.
    """
    name = f".{secrets.token_hex(8)}.tmp"
    try:
        descriptor = os.open(".", os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, FILE_MODE, dir_fd=folder)
    except OSError as error:
        if error.errno not in _NO_NAMELESS_FILES:
            raise
        descriptor = new_file(name, folder)
        os.unlink(name, dir_fd=folder)
    try:
        write_all(descriptor, bytes(4096))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(name: str, content: bytes, folder: int, mode: int = FILE_MODE) -> None:
    """Put a file of this content in place in an open folder: old or new after a crash, never half; raises OSError."""
    temporary = f".{name[:100]}.{secrets.token_hex(8)}.tmp"
    try:
        write_new_file(temporary, content, folder, mode)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
    os.fsync(folder)


@contextlib.contextmanager
def file_in_place(path: Path) -> Iterator[int]:
    """A descriptor to write to; at the end of the block the file gets its name, durably. One that is empty does not.

    Raises OSError; after any error there is no file of it.
    """
    folder = open_folder(path.parent, follow=True)
    temporary = f".{path.name[:100]}.{secrets.token_hex(8)}.tmp"
    try:
        descriptor = new_file(temporary, folder)
        try:
            yield descriptor
            os.fsync(descriptor)
            if os.fstat(descriptor).st_size:
                os.rename(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
                os.fsync(folder)
        finally:
            os.close(descriptor)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)
    finally:
        os.close(folder)


def write_durably(path: Path, content: bytes, *, mode: int = FILE_MODE) -> None:
    """Put a file of this mode in place: after a crash there is the old content or the new, never a half.

    A symbolic link at `path` is replaced, not followed. Raises StorageError.
    """
    with explained(path, "write"):
        folder = open_folder(path.parent, follow=True)
        try:
            replace_file(path.name, content, folder, mode)
        finally:
            os.close(folder)


def make_folder(name: str, folder: int) -> None:
    """Make a folder of mode 0700 that did not exist, inside an open one; raises OSError."""
    os.mkdir(name, FOLDER_MODE, dir_fd=folder)
    made = open_folder(name, folder=folder)
    try:
        set_mode(made, FOLDER_MODE)
    finally:
        os.close(made)


def make_private_folder(path: Path) -> None:
    """Make a folder of mode 0700 whatever the umask, with the folders above it; one that exists is left as it is.

    Raises StorageError.
    """
    with explained(path, "look at"):
        if path.is_dir():
            return
    if path.parent != path:
        make_private_folder(path.parent)
    with explained(path, "make the folder"):
        above = open_folder(path.parent, follow=True)
        try:
            with contextlib.suppress(FileExistsError):
                make_folder(path.name, above)
            if not path.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, "not a folder", str(path))
            os.fsync(above)
        finally:
            os.close(above)


def fsync_folder(path: Path) -> None:
    """Make the names inside a folder durable. Raises StorageError."""
    with explained(path, "make durable"):
        folder = open_folder(path, follow=True)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def rename_folder(old: str, new: str, folder: int) -> None:
    """Rename a folder inside an open one, never over anything; raises OSError (FileExistsError where it is taken)."""
    number = _rename_without_replacing(old, new, folder)
    if number == 0:
        return
    if number not in _NO_SUCH_CALL:
        raise OSError(number, os.strerror(number), new)
    # Without the call: the new name is claimed with an empty folder of ours, which a rename replaces at one stroke.
    os.mkdir(new, FOLDER_MODE, dir_fd=folder)
    try:
        os.rename(old, new, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        os.rmdir(new, dir_fd=folder)
        raise


def _rename_without_replacing(old: str, new: str, folder: int) -> int:
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return errno.ENOSYS
    failed = call(folder, os.fsencode(old), folder, os.fsencode(new), _RENAME_NOREPLACE)
    return ctypes.get_errno() if failed else 0


def open_regular(name: str, folder: int) -> int:
    """Open a plain file of an open folder for reading; no link is followed, and no pipe or device waited for.

    Raises OSError, and ValueError where it is no plain file.
    """
    # O_NONBLOCK: opening a fifo without a writer would wait for ever before it could be seen to be one.
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError("not a plain file")
    return descriptor
