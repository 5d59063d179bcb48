"""The catalogue where nothing can be written beside it: SQLite opens it only with files of its own there."""

import contextlib
import errno
import shutil
from pathlib import Path

from dgtui.engine.catalog.catalog import Catalog

_TRIES = 5


class CatalogCopy(Catalog):
    """A copy of a catalogue as it was left: what would be written is refused, and not lost."""

    def __init__(self, original: Path, folder: Path, *, keeps_changes: bool = False) -> None:
        """Open the copy that lies in `folder`; with `keeps_changes` it takes them, for as long as it is there itself.

        Raises CatalogError.
        """
        super().__init__(folder, mend=False)
        self.path = original
        if not keeps_changes:
            self._connections.refuse_changes()

    def _follow_file(self) -> None:
        """It stays what was copied."""


def copy_catalog(original: Path, folder: Path) -> None:
    """Copy a catalogue into a folder, as it is at one moment. Raises OSError, also where it changes all the time."""
    for _ in range(_TRIES):
        before = _looks(original)
        # What was written last may not have come to the file itself yet.
        for name in before:
            shutil.copyfile(original.with_name(name), folder / name)
        # Of another user, it may be written to meanwhile.
        if _looks(original) == before:
            return
    raise OSError(errno.EAGAIN, "it changes all the time")


def _looks(original: Path) -> dict[str, tuple[int, int]]:
    """By the names of the files that make it up, what a change of one shows in."""
    found = {original.name: original.stat()}
    with contextlib.suppress(FileNotFoundError):
        journal = original.with_name(f"{original.name}-wal")
        found[journal.name] = journal.stat()
    return {name: (status.st_mtime_ns, status.st_size) for name, status in found.items()}
