"""Putting a part of a restored tree into a live one: chosen paths exchanged, or every file merged in.

Each path changes at one stroke. All steps are written down before the first one, so that a change which was cut can be
brought to its end; what fails is taken back, step by step, in the order it came.
"""

import contextlib
import glob
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from dgtui.engine.datasources.file_tree import walk
from dgtui.engine.datasources.loading import Announce
from dgtui.engine.datasources.places import shown, unshown
from dgtui.engine.datasources.tree_steps import STEPS, Step, TreeSteps, read_steps, steps_back, write_steps
from dgtui.engine.datasources.tree_swap import refuse_mounts
from dgtui.engine.errors import RestoreError
from dgtui.engine.file_errors import file_error
from dgtui.engine.restore_model import Part, PartChange

_NAMES_AT_MOST = 5000
"""Beyond this many paths the record of a restore does not name them; the list beside what is kept always does."""


def replace_paths(change: PartChange, remove_tree: Callable[[Path], None], announce: Announce) -> bool:
    """Exchange a part of a tree; whether the former one is kept. Raises RestoreError, StorageError, as it was."""
    beside, live, keep_as = Path(change.beside), Path(change.database), Path(change.keep_as)
    steps = _planned(beside, live, change)
    if not steps:
        raise RestoreError("There is nothing to be exchanged; nothing was changed", subject=shown(str(live)))
    listed = keep_as.with_name(keep_as.name + STEPS)
    for step in steps:
        if step.action in ("exchange", "remove") and (live / step.path).is_dir():
            refuse_mounts(live / step.path)
    work = TreeSteps(beside, live, steps)
    announce(str(listed), _part(steps))
    write_steps(listed, steps)
    try:
        work.go_on()
    except BaseException as error:
        work.take_back()
        listed.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise file_error(error, work.place, "put the restored files into") from error
        raise
    return _kept(work, listed, keep_as, change, remove_tree)


def settle_paths(mark: str, change: PartChange, remove_tree: Callable[[Path], None]) -> Literal["old", "new"]:
    """Bring a change that was cut to its end, where it had begun. Raises RestoreError.

    Forward and not back: whatever was written to the new files meanwhile stays, and what they replaced is kept.
    """
    listed, beside, live, keep_as = Path(mark), Path(change.beside), Path(change.database), Path(change.keep_as)
    try:
        if not listed.exists():
            for stray in listed.parent.glob(f".{glob.escape(listed.name)}.*.tmp"):
                stray.unlink()
            return "new" if keep_as.is_dir() else "old"
        work = TreeSteps(beside, live, read_steps(listed))
        if not keep_as.is_dir():
            if not work.begun():
                listed.unlink()
                return "old"
            work.go_on()
        _kept(work, listed, keep_as, change, remove_tree)
    except OSError as error:
        raise RestoreError(
            f"The exchange of paths in {shown(str(live))} was cut and cannot be brought to its end: {error.strerror}",
            subject=shown(str(live)),
            hint=f"What it had to do stands in {listed}, what it replaced lies in {beside}",
        ) from error
    return "new"


def _kept(
    work: TreeSteps, listed: Path, keep_as: Path, change: PartChange, remove_tree: Callable[[Path], None]
) -> bool:
    """Keep what was replaced, with the list of what was done; whether there was something."""
    beside = Path(change.beside)
    work.set_times()
    work.settle_on_disk()
    if os.path.lexists(beside):
        beside.rename(keep_as)
    if change.back:
        beside.with_name(beside.name + STEPS).unlink(missing_ok=True)
    if any(step.action in ("exchange", "remove") for step in work.steps):
        return True
    remove_tree(keep_as)
    listed.unlink(missing_ok=True)
    return False


def _planned(beside: Path, live: Path, change: PartChange) -> list[Step]:
    if change.back:
        listed = beside.with_name(beside.name + STEPS)
        try:
            return steps_back(read_steps(listed), beside, live)
        except OSError as error:
            raise file_error(error, listed, "read") from error
    if change.merge:
        return _merging(beside, live)
    planned: dict[str, Step] = {}
    for relative in _outermost(change.tables):
        putting = _putting(beside, live, relative)
        for step in (*_parents(beside, live, relative, planned), putting):
            planned[step.path] = step
    removals = [Step.of("remove", name, live / name) for name in _outermost(change.remove) if _there(live / name)]
    emptied = sorted((path for path in map(_path, change.remove_empty) if (live / path).is_dir()), reverse=True)
    return [*planned.values(), *removals, *(Step.no_folder(path, live / path) for path in emptied)]


def _merging(beside: Path, live: Path) -> list[Step]:
    _refuse_conflicts(beside, live)
    steps = []
    for entry in walk(beside):
        if not stat.S_ISDIR(entry.status.st_mode):
            steps.append(_putting(beside, live, entry.relative))
        elif not _there(live / entry.relative):
            steps.append(Step.folder(entry.relative, beside / entry.relative))
        else:
            steps.append(Step.time(entry.relative, beside / entry.relative, live / entry.relative))
    return steps


def _refuse_conflicts(beside: Path, live: Path) -> None:
    for entry in walk(beside):
        path = live / entry.relative
        if not _there(path):
            continue
        is_folder = stat.S_ISDIR(path.lstat().st_mode)
        if is_folder != stat.S_ISDIR(entry.status.st_mode):
            raise RestoreError(
                f"{shown(str(path))} is {'a folder' if is_folder else 'no folder'} here, and not so in the backup; "
                "nothing was changed",
                subject=shown(str(path)),
                hint="Move it away, or restore under another name with --into NAME",
            )


def _putting(beside: Path, live: Path, relative: str) -> Step:
    new = beside / relative
    if not _there(new):
        raise RestoreError(f"There is no {shown(relative)} in the backup; nothing was changed", subject=shown(relative))
    return Step.of("exchange" if _there(live / relative) else "add", relative, new)


def _parents(beside: Path, live: Path, relative: str, planned: dict[str, Step]) -> list[Step]:
    """The folders that have to be made for a path."""
    parts = relative.split("/")[:-1]
    steps = []
    for number in range(1, len(parts) + 1):
        parent = "/".join(parts[:number])
        path = live / parent
        if not _there(path):
            steps += [] if parent in planned else [Step.folder(parent, beside / parent)]
        elif not stat.S_ISDIR(path.lstat().st_mode):
            raise RestoreError(
                f"{shown(str(path))} is no folder; nothing was changed",
                subject=shown(str(path)),
                hint="Links are not followed in a restore. Restore under another name with --into NAME",
            )
    return steps


def _outermost(chosen: Sequence[str]) -> list[str]:
    """The chosen paths without those that lie in another one of them."""
    paths = {_path(name) for name in chosen}
    if any(part in ("", ".", "..") for path in paths for part in path.split("/")):
        raise RestoreError("That is no path inside of the tree", hint="Name paths as `dgtui show` lists them")
    return sorted(path for path in paths if not any(path.startswith(f"{other}/") for other in paths))


def _path(name: str) -> str:
    return os.fsdecode(unshown(name)).strip("/").removeprefix("./")


def _part(steps: Sequence[Step]) -> Part:
    def named(action: str) -> tuple[str, ...]:
        return tuple(shown(step.path) for step in steps if step.action == action)

    if sum(step.action != "time" for step in steps) > _NAMES_AT_MOST:
        return Part(kind="objects", complete=False)
    return Part(
        kind="objects",
        replaced=named("exchange"),
        added=named("add"),
        removed=named("remove"),
        made_for_them=named("folder"),
    )


def _there(path: Path) -> bool:
    with contextlib.suppress(OSError):
        return os.path.lexists(path)
    return False
