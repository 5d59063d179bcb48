"""The steps of a change in a live tree: written down before the first, each told from its being done or not."""

import contextlib
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from dgtui.engine.datasources.places import copy_attributes, copy_ownership, exchange, mark_of, shown
from dgtui.engine.errors import RestoreError
from dgtui.engine.files import fsync_folder, write_durably

STEPS = ".steps"
"""Ending of the list beside the folder of what was replaced: what was done, so that it can be taken back."""

_WRITABLE = stat.S_IWUSR | stat.S_IXUSR
Action = Literal["folder", "add", "exchange", "remove", "no folder", "time"]
"""Make a folder; give a path to what lies beside; exchange both; put a path beside; remove an empty folder; give a
folder that was there another time, once all is done."""


class Step(NamedTuple):
    """One step."""

    action: Action
    path: str
    mark: str = ""
    """Of what moves into the tree, or with `remove` out of it; of a folder that is made, the time it shall have, of one
    that is removed, the time it had, and of one that was there, both."""

    @classmethod
    def of(cls, action: Action, path: str, moving: Path) -> "Step":
        """A step that moves this file or folder."""
        return cls(action, path, mark_of(moving))

    @classmethod
    def folder(cls, path: str, like: Path) -> "Step":
        """A step that makes a folder like this one, which what moves out of it changes."""
        return cls("folder", path, str(like.lstat().st_mtime_ns))

    @classmethod
    def no_folder(cls, path: str, live: Path) -> "Step":
        """A step that removes this folder, where nothing is left in it."""
        return cls("no folder", path, str(live.lstat().st_mtime_ns))

    @classmethod
    def time(cls, path: str, like: Path, live: Path) -> "Step":
        """A step that gives a folder the time of this one."""
        return cls("time", path, f"{like.lstat().st_mtime_ns} {live.lstat().st_mtime_ns}")


def write_steps(listed: Path, steps: Sequence[Step]) -> None:
    """Write the steps to the disk, durably; raises StorageError."""
    fields = (os.fsencode(field) for step in steps for field in step)
    write_durably(listed, b"".join(field + b"\0" for field in fields))


def read_steps(listed: Path) -> list[Step]:
    """Read steps again; raises OSError, RestoreError."""
    fields = [os.fsdecode(field) for field in listed.read_bytes().split(b"\0")]
    steps = [Step(*fields[start : start + 3]) for start in range(0, len(fields) - 1, 3)]  # type: ignore[arg-type]  # judged below
    if any(step.action not in get_args(Action) for step in steps):
        raise RestoreError(f"{listed} is no list of steps", subject=str(listed), hint="Was it changed by hand?")
    return steps


def steps_back(steps: Sequence[Step], beside: Path, live: Path) -> list[Step]:
    """What takes these steps back, as far as others have not done so; raises RestoreError."""
    back: list[Step] = []
    for step in reversed(steps):
        here, there = os.path.lexists(live / step.path), os.path.lexists(beside / step.path)
        if step.action in ("exchange", "remove") and there:
            back.append(Step.of("exchange" if here else "add", step.path, beside / step.path))
        elif step.action == "add" and here:
            back.append(Step.of("remove", step.path, live / step.path))
        elif step.action == "folder" and here:
            back.append(Step.no_folder(step.path, live / step.path))
        elif step.action == "no folder" and not here:
            back.append(Step("folder", step.path, step.mark))
        elif step.action == "time" and here:
            given, former = step.mark.split(" ")
            if int(given) == (live / step.path).lstat().st_mtime_ns:
                back.append(Step("time", step.path, f"{former} {given}"))
    return back


class TreeSteps:
    """Steps between a folder beside and a live tree; they can be gone on with from wherever they were cut."""

    def __init__(self, beside: Path, live: Path, steps: Sequence[Step]) -> None:
        self._beside = beside
        self._live = live
        self.steps = steps
        self._made: list[Step] = []
        self._former_times: dict[Path, int] = {}
        """Of the folders in which something is changed."""
        self._opened: dict[str, tuple[str, int]] = {}
        """By their marks the folders that were for reading alone: path and mode."""
        self.place = live
        """The folder in which the last step changed something."""

    def begun(self) -> bool:
        """Whether as much as one was made; raises RestoreError."""
        return any(self._is_done(step) for step in self.steps if step.action != "time")

    def go_on(self) -> None:
        """Make all that are not made yet; raises OSError, RestoreError."""
        folders = {(self._live / step.path).parent for step in self.steps if step.action != "time"}
        self._former_times = {path: path.lstat().st_mtime_ns for path in folders if path.is_dir()}
        for step in self.steps:
            if not self._is_done(step):
                self.place = (self._live / step.path).parent
                try:
                    self._make(step)
                except PermissionError:
                    if not self._open(step):
                        raise
                    self._make(step)
            self._made.append(step)

    def take_back(self) -> None:
        """Take back all that were made."""
        for step in reversed(self._made):
            beside, live = self._beside / step.path, self._live / step.path
            match step.action:
                case "exchange" | "add" if os.path.lexists(beside):
                    exchange(beside, live)
                case "exchange" | "add":
                    _move_new(live, beside)
                case "remove":
                    _move_new(beside, live)
                case "folder":
                    with contextlib.suppress(OSError):
                        live.rmdir()
                case "no folder" if not os.path.lexists(live):
                    self._make_folder(step)
                    self._former_times[live] = int(step.mark)
                case "no folder" | "time":
                    pass
        for path, former in self._former_times.items():
            _set_time(path, former)
        self._close()
        self._made.clear()

    def set_times(self) -> None:
        """Give folders their times, once nothing is put into them any more."""
        for step in self.steps:
            if step.action in ("folder", "time") and step.mark:
                _set_time(self._live / step.path, int(step.mark.split(" ")[0]))
        self._close()

    def settle_on_disk(self) -> None:
        """Make every rename last; raises OSError."""
        folders = {self._live / step.path for step in self.steps}
        for folder in {path.parent for path in folders}:
            if folder.is_dir():
                fsync_folder(folder)

    def _is_done(self, step: Step) -> bool:
        """What moves in is not beside any more, what moves out not in the tree."""
        beside, live = self._beside / step.path, self._live / step.path
        match step.action:
            case "exchange" | "add":
                return not _is(beside, step.mark)
            case "remove":
                return not _is(live, step.mark)
            case "folder":
                return os.path.lexists(live)
            case "no folder":
                return not os.path.lexists(live)
            case "time":
                return True

    def _make(self, step: Step) -> None:
        beside, live = self._beside / step.path, self._live / step.path
        match step.action:
            case "add" if not os.path.lexists(live) or _is(live, step.mark):
                _move_new(beside, live)
            case "add" | "exchange":
                self._exchange(beside, live)
            case "remove":
                self._make_room(step)
                _move_new(live, beside)
            case "folder":
                self._make_folder(step)
            case "no folder":
                self._remove_empty(step)

    def _remove_empty(self, step: Step) -> None:
        """Where somebody has put something into it, it stays."""
        live = self._live / step.path
        try:
            live.rmdir()
        except PermissionError:
            if self._open(step):
                with contextlib.suppress(OSError):
                    live.rmdir()
        except OSError:
            pass

    def _open(self, step: Step) -> bool:
        """Let us write into the folders that a step changes, as far as they are ours; whether any were closed.

        To whom a folder belongs may do so; only root writes into it whatever its mode is.
        """
        parts = step.path.split("/")
        before = len(self._opened)
        # What is moved to another folder has to be open itself: its `..` changes.
        for number in range(len(parts) + (step.action in ("add", "exchange", "remove"))):
            relative = "/".join(parts[:number])
            for folder in (self._live / relative, self._beside / relative):
                self._open_one(folder, relative)
        return len(self._opened) > before

    def _open_one(self, folder: Path, relative: str) -> None:
        if not os.path.lexists(folder):
            return
        found = folder.lstat()
        ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
        if ours and found.st_mode & _WRITABLE != _WRITABLE:
            self._opened.setdefault(mark_of(folder), (relative, stat.S_IMODE(found.st_mode)))
            folder.chmod(stat.S_IMODE(found.st_mode) | _WRITABLE)

    def _close_like(self, opened: Path, other: Path) -> None:
        """Give another folder the mode that one has which was opened."""
        if (found := self._opened.get(mark_of(opened))) is not None:
            other.chmod(found[1])

    def _close(self) -> None:
        """Give the folders that were opened their modes, wherever they are now."""
        for mark, (relative, mode) in self._opened.items():
            for folder in (self._live / relative, self._beside / relative):
                if _is(folder, mark):
                    folder.chmod(mode)
        self._opened.clear()

    def _exchange(self, beside: Path, live: Path) -> None:
        if not os.path.lexists(live):
            _move_new(beside, live)
        elif not exchange(beside, live):
            raise RestoreError(
                f"The file system of {shown(str(live))} cannot exchange two names; nothing was changed",
                subject=shown(str(live)),
                hint="Restore under another name with --into NAME, and copy from there",
            )

    def _make_folder(self, step: Step) -> None:
        live, like = self._live / step.path, self._beside / step.path
        live.mkdir(0o700)
        if like.is_dir() and not like.is_symlink():
            copy_ownership(like.stat(), live)
            copy_attributes(like, live)
            self._close_like(like, live)

    def _make_room(self, step: Step) -> None:
        """The folders beside that a path which is taken away needs, with owner and mode of those it came from."""
        parts = step.path.split("/")[:-1]
        for number in range(1, len(parts) + 1):
            folder = "/".join(parts[:number])
            if not os.path.lexists(self._beside / folder):
                (self._beside / folder).mkdir(0o700)
                copy_ownership((self._live / folder).stat(), self._beside / folder)
                self._close_like(self._live / folder, self._beside / folder)
                self._open_one(self._beside / folder, folder)


def _set_time(folder: Path, modified: int) -> None:
    with contextlib.suppress(OSError):
        os.utime(folder, ns=(folder.lstat().st_atime_ns, modified), follow_symlinks=False)


def _is(path: Path, mark: str) -> bool:
    return os.path.lexists(path) and mark_of(path) == mark


def _move_new(old: Path, new: Path) -> None:
    """Give a name that nothing has; a file never takes the place of another one that comes up meanwhile."""
    if stat.S_ISDIR(old.lstat().st_mode):
        old.rename(new)
        return
    if not (os.path.lexists(new) and os.path.samestat(new.lstat(), old.lstat())):
        os.link(old, new, follow_symlinks=False)
    old.unlink()
