"""What the kinds that live in the file system share: who holds a file, guards of a target, renames that cannot be cut.

Everything here works on real paths: the caller resolves links, or refuses them.
"""

import contextlib
import ctypes
import errno
import os
import pwd
import re
import shutil
import stat
from pathlib import Path

from dgtui.engine.child import printable
from dgtui.engine.datasources.dumping import Client
from dgtui.engine.errors import DiskSpaceError, PermissionDenied, RestoreError
from dgtui.engine.file_errors import nearest_folder
from dgtui.engine.files import rename_folder

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Also the marks that turn the direction of writing: a name must not look like another one."""
_ACCESS_LISTS = "system.posix_acl_"
_CARRIED_ATTRIBUTES = (_ACCESS_LISTS, "user.")
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_NO_SUCH_CALL = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP})


def shown(name: str | bytes) -> str:
    """A file name as text that can be printed, stored as JSON and read back by `unshown`: odd bytes as `\\xNN`."""
    text = os.fsencode(name).replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")
    return _CONTROL.sub(lambda match: "".join(f"\\x{byte:02x}" for byte in match[0].encode()), text)


def unshown(text: str) -> bytes:
    """The file name that `shown` wrote."""
    out, rest = bytearray(), text.encode("utf-8", "surrogateescape")
    while rest:
        before, slash, rest = rest.partition(b"\\")
        out += before
        if slash and rest[:1] == b"x":
            with contextlib.suppress(ValueError):
                out.append(int(rest[1:3], 16))
            rest = rest[3:]
        elif slash:
            out += rest[:1]
            rest = rest[1:]
    return bytes(out)


def free_bytes(path: Path) -> int | None:
    """Room on the disk where a path lies or would lie."""
    try:
        return shutil.disk_usage(nearest_folder(path)).free
    except OSError:
        return None


def disk_space(path: Path) -> tuple[int | None, int | None]:
    """Free and whole room of the disk where an existing path lies."""
    try:
        usage = shutil.disk_usage(path)
    except OSError:
        return None, None
    return usage.free, usage.total


def holders(path: Path) -> tuple[Client, ...]:
    """The other processes that have a file open, as far as we may see them."""
    try:
        wanted = path.stat()
    except OSError:
        return ()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) != os.getpid() and _has_open(process, path.name, wanted):
            found.append(_client(process))
    return tuple(found)


def _has_open(process: Path, name: str, wanted: os.stat_result) -> bool:
    # The name is compared first: to ask every open file of every process could wait for a dead network mount.
    with contextlib.suppress(OSError):
        for link in (process / "fd").iterdir():
            with contextlib.suppress(OSError):
                if link.readlink().name == name and os.path.samestat(link.stat(), wanted):
                    return True
    return False


def _client(process: Path) -> Client:
    program, user = "", ""
    with contextlib.suppress(OSError):
        program = (process / "comm").read_text(errors="backslashreplace").strip()
    with contextlib.suppress(OSError, KeyError):
        user = pwd.getpwuid(process.stat().st_uid).pw_name
    return Client(user=user, program=printable(f"{program} (pid {process.name})"))


def real_path(path: str) -> Path:
    """The path with every link resolved."""
    return Path(os.path.realpath(path))


def safe_target(path: str) -> Path:
    """A path that a restore may write to; raises RestoreError where it leads through a link, or is no place for it."""
    target = Path(os.path.abspath(path))  # noqa: PTH100  # it must not resolve links, only dots
    parent = real_path(str(target.parent))
    if parent != target.parent:
        raise RestoreError(
            f"{target} leads through a symbolic link",
            subject=str(target),
            hint=f"Links are not followed in a restore. Name the real path: {parent / target.name}",
        )
    if target == target.parent or not target.name:
        raise RestoreError(
            "The root of the file system cannot be a target",
            subject=str(target),
            hint="Restore into a folder, and move from there what you need",
        )
    return target


def need_sight(path: Path) -> None:
    """Raise PermissionDenied where even whether something is there cannot be seen."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        try:
            path.lstat()
        except PermissionError as error:
            raise PermissionDenied(
                f"{path} cannot be looked at",
                subject=str(path),
                hint=f"Let our user into the folders above it, or run as root. See: namei -l {path}",
            ) from error


def need_parent(target: Path) -> None:
    """Check that the folder above a target is there and can be written; raises RestoreError, PermissionDenied."""
    need_sight(target)
    if not target.parent.is_dir():
        raise RestoreError(
            f"There is no folder {target.parent}",
            subject=str(target),
            hint=f"Is its disk mounted? Else make it: mkdir -p {target.parent}",
        )
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise PermissionDenied(
            f"{target.parent} cannot be written",
            subject=str(target),
            hint=f"Run as the owner of the folder or as root. See: ls -ld {target.parent}",
        )


def need_room(target: Path, size: int) -> None:
    """Raise DiskSpaceError where a target of that size would not fit."""
    free = free_bytes(target)
    if free is not None and free < size:
        raise DiskSpaceError(
            f"The restore needs {size} bytes, {target.parent} has {free} left",
            subject=str(target.parent),
            hint=f"Make room there. See: df -h {target.parent}",
        )


def copy_ownership(like: os.stat_result, path: Path) -> None:
    """Give a file or folder the owner and the mode of another one; raises OSError."""
    with contextlib.suppress(PermissionError):
        os.chown(path, like.st_uid, like.st_gid, follow_symlinks=False)
    path.chmod(stat.S_IMODE(like.st_mode))


def copy_attributes(like: Path, path: Path) -> None:
    """Give a file or folder the access list and the attributes of another one, where the file system knows of such."""
    if not hasattr(os, "listxattr"):
        return
    with contextlib.suppress(OSError):
        names = sorted(name for name in os.listxattr(like) if name.startswith(_CARRIED_ATTRIBUTES))
        for name in names:
            os.setxattr(path, name, os.getxattr(like, name))
        # What its folder has given it would let others in.
        for name in (name for name in os.listxattr(path) if name.startswith(_ACCESS_LISTS) and name not in names):
            os.removexattr(path, name)


def mark_of(path: Path) -> str:
    """What tells a file or folder from every other one, whatever its name is; raises RestoreError."""
    try:
        found = path.lstat()
    except OSError as error:
        raise RestoreError(f"{path} cannot be looked at: {error.strerror}", subject=str(path)) from error
    return f"{found.st_dev}:{found.st_ino}"


def has_mark(path: Path, mark: str) -> bool:
    """Whether this very file or folder is there under this name."""
    return os.path.lexists(path) and mark_of(path) == mark


def exchange(first: Path, second: Path) -> bool:
    """Swap two names at one stroke; False where the file system cannot; raises OSError."""
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    if call(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NO_SUCH_CALL:
        return False
    raise OSError(number, os.strerror(number), str(second))


def rename_new(old: Path, new: Path) -> None:
    """Rename, never over anything that exists; both in one folder; raises OSError."""
    folder = os.open(old.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if stat.S_ISDIR(old.lstat().st_mode):
            rename_folder(old.name, new.name, folder)
        else:
            os.link(old.name, new.name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
            os.unlink(old.name, dir_fd=folder)
    finally:
        os.close(folder)


def beside(path: Path, suffix: str) -> Path:
    """A hidden name in the same folder, within the 255 bytes a name may have."""
    room = 255 - len(os.fsencode(suffix)) - 24
    stem = os.fsencode(path.name)[:room].decode("utf-8", "ignore")
    return path.with_name(f".{stem}{suffix}")
