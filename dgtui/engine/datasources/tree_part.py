"""Putting a part of a restored tree into a live one: chosen paths exchanged, or every file merged in.

Each path changes at one stroke. What fails is taken back, path by path, in the order it came.
"""

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from dgtui.engine.datasources.file_tree import walk
from dgtui.engine.datasources.places import copy_ownership, exchange, shown, unshown
from dgtui.engine.errors import RestoreError
from dgtui.engine.files import file_error, fsync_folder

ADDED = ".added"
"""Ending of the file beside the folder of what was replaced: the paths that are new, each ended by a zero byte."""


class TreePart:
    """Changes in a live tree that can be taken back."""

    def __init__(self, beside: Path, live: Path) -> None:
        self._beside = beside
        self._live = live
        self._exchanged: list[str] = []
        self._added: list[str] = []
        self._folders: list[str] = []

    def replace(self, chosen: Sequence[str]) -> bool:
        """Exchange the chosen paths; whether something was there before. Raises RestoreError, StorageError."""
        with self._all_or_nothing():
            for relative in _outermost(chosen):
                self._make_parents(relative)
                self._put(relative)
        return bool(self._exchanged)

    def merge(self) -> bool:
        """Put every file of the tree in its place, and leave all others alone; whether one was replaced."""
        self._refuse_conflicts()
        with self._all_or_nothing():
            for entry in list(walk(self._beside)):
                if not entry.relative:
                    continue
                if not stat.S_ISDIR(entry.status.st_mode):
                    self._put(entry.relative)
                elif not os.path.lexists(self._live / entry.relative):
                    self._make_folder(entry.relative)
        return bool(self._exchanged)

    def keep(self, keep_as: Path) -> None:
        """Keep what was replaced, and the list of what is new, as a folder."""
        added = keep_as.with_name(keep_as.name + ADDED)
        added.touch(0o600)
        added.write_bytes(b"".join(os.fsencode(name) + b"\0" for name in self._added))
        self._beside.rename(keep_as)
        fsync_folder(keep_as.parent)

    def _refuse_conflicts(self) -> None:
        for entry in walk(self._beside):
            path = self._live / entry.relative
            if not os.path.lexists(path):
                continue
            is_folder = stat.S_ISDIR(path.lstat().st_mode)
            if is_folder != stat.S_ISDIR(entry.status.st_mode):
                raise RestoreError(
                    f"{shown(str(path))} is {'a folder' if is_folder else 'no folder'} here, and not so in the backup; "
                    "nothing was changed",
                    subject=shown(str(path)),
                    hint="Move it away, or restore under another name with --into NAME",
                )

    @contextlib.contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._take_back()
            raise file_error(error, self._live, "put the restored files into") from error
        except BaseException:
            self._take_back()
            raise

    def _put(self, relative: str) -> None:
        new, current = self._beside / relative, self._live / relative
        if not os.path.lexists(new):
            raise RestoreError(
                f"There is no {shown(relative)} in the backup; nothing was changed", subject=shown(relative)
            )
        if not os.path.lexists(current):
            _move_new(new, current)
            self._added.append(relative)
        elif exchange(new, current):
            self._exchanged.append(relative)
        else:
            raise RestoreError(
                f"The file system of {shown(str(current))} cannot exchange two names; nothing was changed",
                subject=shown(str(current)),
                hint="Restore under another name with --into NAME, and copy from there",
            )

    def _make_parents(self, relative: str) -> None:
        parts = relative.split("/")[:-1]
        for number in range(1, len(parts) + 1):
            parent = "/".join(parts[:number])
            path = self._live / parent
            if not os.path.lexists(path):
                self._make_folder(parent)
            elif not stat.S_ISDIR(path.lstat().st_mode):
                raise RestoreError(
                    f"{shown(str(path))} is no folder; nothing was changed",
                    subject=shown(str(path)),
                    hint="Links are not followed in a restore. Restore under another name with --into NAME",
                )

    def _make_folder(self, relative: str) -> None:
        path = self._live / relative
        path.mkdir(0o700)
        self._folders.append(relative)
        copy_ownership((self._beside / relative).stat(), path)

    def _take_back(self) -> None:
        for relative in reversed(self._exchanged):
            exchange(self._beside / relative, self._live / relative)
        for relative in reversed(self._added):
            _move_new(self._live / relative, self._beside / relative)
        for relative in reversed(self._folders):
            with contextlib.suppress(OSError):
                (self._live / relative).rmdir()


def _outermost(chosen: Sequence[str]) -> list[str]:
    """The chosen paths without those that lie in another one of them."""
    paths = {os.fsdecode(unshown(name)).strip("/").removeprefix("./") for name in chosen}
    if any(part in ("", ".", "..") for path in paths for part in path.split("/")):
        raise RestoreError("That is no path inside of the tree", hint="Name paths as `dgtui show` lists them")
    return sorted(path for path in paths if not any(path.startswith(f"{other}/") for other in paths))


def _move_new(old: Path, new: Path) -> None:
    """Give a name that nothing has; a file never takes the place of another one that comes up meanwhile."""
    if stat.S_ISDIR(old.lstat().st_mode):
        old.rename(new)
    else:
        os.link(old, new, follow_symlinks=False)
        old.unlink()
