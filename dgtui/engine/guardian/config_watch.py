"""Notices that the files of the configuration have changed."""

import os
from functools import partial
from pathlib import Path

from dgtui.config.files import find_files
from dgtui.engine.errors import ConfigError
from dgtui.engine.guardian.settled_watch import SettledWatch

Fingerprint = tuple[tuple[str, int, int, int], ...]


class ConfigWatch(SettledWatch[Fingerprint]):
    """Compares what the files are with what they were.

    What is being written is left alone until it stays as it is from one look to the next: half of a file may be right
    too, and would end all that stands in its other half.
    """

    def __init__(self, path: Path | None) -> None:
        """`path` is the main file; the usual one where None."""
        super().__init__(partial(_fingerprint, path))


def _fingerprint(path: Path | None) -> Fingerprint:
    try:
        found = find_files(path)
    except ConfigError:
        return ()
    return tuple(_mark(file) for file in (*([found.main] if found.main else []), *found.others))


def _mark(path: Path) -> tuple[str, int, int, int]:
    try:
        about = path.stat()
    except OSError:
        return (os.fspath(path), 0, 0, 0)
    return (os.fspath(path), about.st_mtime_ns, about.st_size, about.st_ino)
