"""Notices that the files of the configuration have changed."""

import os
from pathlib import Path

from dgtui.config.files import find_files
from dgtui.engine.errors import ConfigError

Fingerprint = tuple[tuple[str, int, int, int], ...]


class ConfigWatch:
    """Compares what the files are with what they were."""

    def __init__(self, path: Path | None) -> None:
        """`path` is the main file; the usual one where None."""
        self._path = path
        self._seen = self._fingerprint()

    def changed(self) -> bool:
        """Whether anything was changed since the last call."""
        former, self._seen = self._seen, self._fingerprint()
        return former != self._seen

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
