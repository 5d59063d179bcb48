"""Notices that the time zone of the system was set: whoever goes by it would go on by the former one."""

import time
from collections.abc import Sequence
from pathlib import Path

from dgtui.engine.guardian.settled_watch import SettledWatch

_FILES = (Path("/etc/localtime"), Path("/etc/timezone"))

_Look = tuple[tuple[int, int, int] | None, ...]


class ZoneWatch(SettledWatch[_Look]):
    """Looks at the files that say which one it is: they are written one after the other, and say two in between."""

    def __init__(self, files: Sequence[Path] = _FILES) -> None:
        super().__init__(lambda: tuple(_identity(file) for file in files))

    def changed(self) -> bool:
        """Whether it was set, and the files stay as they are from one call to the next; it is taken up then."""
        changed = super().changed()
        if changed:
            # The C library looks there only once; Python asks it where no zone is named.
            time.tzset()
        return changed


def _identity(file: Path) -> tuple[int, int, int] | None:
    """Which file it is, through links, and when it was written."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns
