"""Notices that the time zone of the system was set: whoever goes by it would go on by the former one."""

import time
from collections.abc import Sequence
from pathlib import Path

_FILES = (Path("/etc/localtime"), Path("/etc/timezone"))

_Look = tuple[tuple[int, int, int] | None, ...]


class ZoneWatch:
    """Looks at the files that say which one it is."""

    def __init__(self, files: Sequence[Path] = _FILES) -> None:
        self._files = files
        self._taken = self._seen = self._look()

    def changed(self) -> bool:
        """Whether it was set, and the files stay as they are from one call to the next; it is taken up then."""
        former, self._seen = self._seen, self._look()
        # They are written one after the other, and say two things in between.
        if self._seen == self._taken or self._seen != former:
            return False
        self._taken = self._seen
        # The C library looks there only once; Python asks it where no zone is named.
        time.tzset()
        return True

    def _look(self) -> _Look:
        return tuple(_identity(file) for file in self._files)


def _identity(file: Path) -> tuple[int, int, int] | None:
    """Which file it is, through links, and when it was written."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns
