"""Making, removing and exchanging whole trees, with guards against the mistakes nobody can undo."""

import errno
import os
import shlex
import stat
import subprocess
from pathlib import Path
from typing import Literal

from dgtui.engine.child import Child, describe_exit
from dgtui.engine.datasources.places import copy_ownership, exchange, has_mark, rename_new, shown
from dgtui.engine.errors import RestoreError
from dgtui.engine.file_errors import file_error
from dgtui.engine.files import FOLDER_MODE, fsync_folder


def make_folder_like(target: Path, like: Path | None) -> None:
    """Make an empty folder, 0700 or with owner and mode of another one; raises RestoreError, StorageError."""
    try:
        target.mkdir(FOLDER_MODE)
        target.chmod(FOLDER_MODE)
        if like is not None and like.is_dir():
            copy_ownership(like.stat(), target)
            # One for reading alone would take in nothing; what is unpacked closes it in the end.
            target.chmod(stat.S_IMODE(target.stat().st_mode) | stat.S_IRWXU)
    except FileExistsError:
        raise RestoreError(
            f"{target} exists already", subject=str(target), hint="Restore under another name, or move it away"
        ) from None
    except OSError as error:
        raise file_error(error, target, "make the folder") from error


def remove_tree(target: Path) -> None:
    """Remove a folder or file whole, following no link; raises RestoreError.

    `rm` does the work: it manages trees that are deeper than a path can be long.
    """
    if not os.path.lexists(target):
        return
    if target.is_symlink() or _is_mount(target) or len(target.parts) < 3:
        raise RestoreError(
            f"{target} is a link, a mount or a folder of the system, and is not removed",
            subject=str(target),
            hint=f"If you are sure, remove it yourself. See: ls -ld {target}",
        )
    if mounts := mounts_below(target):
        # To `rm` what is mounted from the same disk (a bind mount) is no other file system.
        raise RestoreError(
            f"{mounts[0]} is mounted there, so that {target} is not removed",
            subject=str(target),
            hint=f"Unmount it: umount {shlex.quote(mounts[0])}",
        )
    removing = ("rm", "--recursive", "--force", "--one-file-system", "--preserve-root", "--", str(target))
    code, said = _run(*removing)
    if os.path.lexists(target) and os.geteuid() != 0:
        # Folders that are for reading alone came back so, and keep what is in them from everybody but root.
        closed = ("-xdev", "-type", "d", "!", "-perm", "-u=rwx")
        _run("find", str(target), *closed, "-execdir", "chmod", "u+rwx", "--", "{}", ";")
        code, said = _run(*removing)
    if code != 0 or os.path.lexists(target):
        raise RestoreError(
            f"{target} could not be removed whole: {describe_exit(code)}",
            subject=str(target),
            hint=_removal_hint(target, said),
            detail=said,
        )


def _removal_hint(target: Path, said: tuple[str, ...]) -> str:
    path = shlex.quote(str(target))
    if os.geteuid() == 0 and any("Operation not permitted" in line for line in said):
        return f"Something in it is marked as immutable. See: lsattr -aR {path}. Let it go with: chattr -R -i -a {path}"
    return "See the lines below; it can be removed by hand"


def _run(*command: str) -> tuple[int, tuple[str, ...]]:
    """Its exit code, and what it complained about."""
    child = Child(command, stdout=subprocess.DEVNULL)
    try:
        return child.wait(), tuple(child.tail)
    finally:
        child.stop()


def swap_trees(new: Path, current: Path, keep_as: Path) -> None:
    """Put `new` at `current` and the old one at `keep_as`; at each moment `current` is one of them, whole.

    Only where the file system cannot exchange two names is there a moment without `current`. Raises RestoreError.
    """
    _examine(new, current, keep_as)
    try:
        if not os.path.lexists(current):
            rename_new(new, current)
        elif exchange(new, current):
            _keep(new, current, keep_as)
        else:
            _rename_both(new, current, keep_as)
    except OSError as error:
        raise RestoreError(
            f"{new} could not take the place of {current}: {error.strerror}",
            subject=str(current),
            hint=_hint(error, new, current),
        ) from error
    fsync_folder(current.parent)


def settle_trees(mark: str, new: Path, current: Path, keep_as: Path) -> Literal["old", "new"]:
    """Which tree is at `current`, after a swap that was cut: each name it may have reached is one of these.

    Raises RestoreError.
    """
    try:
        if has_mark(current, mark):
            # The exchange was made, and perhaps the old one has not got its own name yet.
            if os.path.lexists(new) and not os.path.lexists(keep_as):
                rename_new(new, keep_as)
            elif os.path.lexists(new) and new.samefile(keep_as):
                new.unlink()
            fsync_folder(current.parent)
            return "new"
        if not os.path.lexists(current) and os.path.lexists(keep_as):
            rename_new(keep_as, current)
        elif os.path.lexists(current) and os.path.lexists(keep_as) and current.samefile(keep_as):
            keep_as.unlink()
        fsync_folder(current.parent)
    except OSError as error:
        raise RestoreError(
            f"The swap of {current} cannot be settled: {error.strerror}",
            subject=str(current),
            hint=f"See: ls -ld {new} {current} {keep_as}",
        ) from error
    return "old"


def _examine(new: Path, current: Path, keep_as: Path) -> None:
    if not os.path.lexists(new):
        raise RestoreError(f"There is no {new}", subject=str(new), hint="Restore again")
    if os.path.lexists(keep_as):
        raise RestoreError(f"{keep_as} is in the way", subject=str(keep_as), hint=f"Move it away: ls -ld {keep_as}")
    if current.is_symlink():
        raise RestoreError(
            f"{current} is a symbolic link",
            subject=str(current),
            hint=f"Links are not followed in a restore. Name the real path: {current.resolve()}",
        )
    if _is_mount(current):
        raise RestoreError(
            f"{current} is a mount point and cannot be renamed",
            subject=str(current),
            hint=f"The restored tree is at {new}. Copy it: rsync -aHAX --delete {new}/ {current}/",
        )
    refuse_mounts(current)


def refuse_mounts(tree: Path) -> None:
    """Raise RestoreError where something is mounted in a tree, with which it would move away."""
    if mounts := mounts_below(tree):
        raise RestoreError(
            f"{mounts[0]} is mounted in {tree}, and would move away with the former content; nothing was changed",
            subject=str(tree),
            hint=f"Unmount it first (umount {shlex.quote(mounts[0])}), or restore under another name with --into NAME "
            "and copy from there",
        )


def mounts_below(path: Path) -> tuple[str, ...]:
    """What is mounted below a folder, from the same file system too."""
    above = os.fsencode(path) + b"/"
    return tuple(sorted(shown(point) for point in _mount_points() if point.startswith(above)))


def _keep(old: Path, current: Path, keep_as: Path) -> None:
    """After the exchange: the old one, which has the new one's name, gets its own; else all goes back."""
    try:
        rename_new(old, keep_as)
    except OSError:
        exchange(old, current)
        raise


def _rename_both(new: Path, current: Path, keep_as: Path) -> None:
    rename_new(current, keep_as)
    try:
        rename_new(new, current)
    except OSError:
        rename_new(keep_as, current)
        raise


def _is_mount(path: Path) -> bool:
    """Whether something is mounted there, from the same file system too (a bind mount)."""
    if path.is_mount():
        return True
    return os.fsencode(path) in _mount_points()


def _mount_points() -> list[bytes]:
    try:
        with Path("/proc/self/mountinfo").open("rb") as mounts:
            return [_unescaped(line.split(b" ", 5)[4]) for line in mounts]
    except (OSError, IndexError):
        return []


def _unescaped(point: bytes) -> bytes:
    for character in b" \t\n\\":
        point = point.replace(b"\\%03o" % character, bytes((character,)))
    return point


def _hint(error: OSError, new: Path, current: Path) -> str:
    if error.errno == errno.EBUSY:
        return f"Something is mounted there. The restored tree is at {new}; copy it by hand"
    if error.errno == errno.EXDEV:
        return f"They are on different disks. The restored tree is at {new}; copy it by hand"
    return f"The old content is still at {current}, the restored one at {new}"
