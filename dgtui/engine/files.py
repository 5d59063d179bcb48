"""Small files that survive a crash, private folders, and file operations that follow no link."""

import contextlib
import ctypes
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from dgtui.engine.file_errors import explained

FILE_MODE = 0o600
FOLDER_MODE = 0o700

_NO_NAMELESS_FILES = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL})
_NO_MODES = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS})
_RENAME_NOREPLACE = 1
_FALLOC_KEEP_SIZE = 1
_NO_SUCH_CALL = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP})
_NEW_FILE = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


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
