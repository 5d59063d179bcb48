"""What a process leaves that is killed while it puts a file in place: one that has not got its name yet."""

import contextlib
import re
import time
from collections.abc import Collection
from pathlib import Path

_TEMPORARY = re.compile(r"\.(.{1,100})\.[0-9a-f]{16}\.tmp")
_WRITING_SECONDS = 600
"""A younger one may be that of a process that is writing just now."""


def remove_cut_writes(folder: Path, *, of: str | None = None, spare: Collection[str] = ()) -> None:
    """Remove them from a folder, only those of the file named `of` where it is given; what cannot be removed stays.

    Those of files that are named in `spare` stay whatever their age.
    """
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            match = _TEMPORARY.fullmatch(path.name)
            if match is not None and of in (None, match[1]) and match[1] not in spare and _is_old(path):
                path.unlink()


def _is_old(path: Path) -> bool:
    return time.time() - path.lstat().st_mtime > _WRITING_SECONDS
