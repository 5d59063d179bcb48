"""Notices that the files of the configuration have changed."""

import os
from pathlib import Path

from dgtui.config.files import find_files
from dgtui.engine.errors import ConfigError

Fingerprint = tuple[tuple[str, int, int, int], ...]


class ConfigWatch:
    """Compares what the files are with what they were.

    What is being written is left alone until it stays as it is from one look to the next: half of a file may be right
    too, and would end all that stands in its other half.
    """

    def __init__(self, path: Path | None) -> None:
        """`path` is the main file; the usual one where None."""
        self._path = path
        self._taken = self._looked = self._fingerprint()

    def changed(self) -> bool:
        """Whether anything was changed since this was last so, or since it was taken, and nothing is any more."""
        former, self._looked = self._looked, self._fingerprint()
        if self._looked == self._taken or self._looked != former:
            return False
        self._taken = self._looked
        return True

    def take(self) -> None:
        """What the files are now is taken up, whether they are still being changed or not."""
        self._taken = self._looked = self._fingerprint()

    def _fingerprint(self) -> Fingerprint:
        try:
            found = find_files(self._path)
        except ConfigError:
            return ()
        return tuple(_mark(path) for path in (*([found.main] if found.main else []), *found.others))


def _mark(path: Path) -> tuple[str, int, int, int]:
    try:
        about = path.stat()
    except OSError:
        return (os.fspath(path), 0, 0, 0)
    return (os.fspath(path), about.st_mtime_ns, about.st_size, about.st_ino)
