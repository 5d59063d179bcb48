"""What an error of the file system means for people: which path and disk it is about, and what to do next.

It becomes a StorageError, or a DiskSpaceError where there is no room.
"""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from dgtui.engine.errors import DiskSpaceError, StorageError

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
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
        os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600))
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


def is_full(error: OSError) -> bool:
    """Whether it says that there is no room left."""
    return error.errno in _NO_ROOM
