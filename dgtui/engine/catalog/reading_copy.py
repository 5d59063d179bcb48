"""The catalogue where nothing can be written beside it: SQLite opens it only with files of its own there."""

import contextlib
import shutil
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from dgtui.engine.catalog.catalog import Catalog


class CatalogCopy(Catalog):
    """A copy of a catalogue as it was left: what would be written is refused, and not lost."""

    def __init__(self, original: Path, folder: Path, *, keeps_changes: bool = False) -> None:
        """Open the copy that lies in `folder`; with `keeps_changes` it takes them, for as long as it is there itself.

        Raises CatalogError.
        """
        super().__init__(folder, mend=False)
        self.path = original
        if not keeps_changes:
            sa.event.listen(self._engine, "connect", _refuse_changes)
            self._engine.dispose()

    def _follow_file(self) -> None:
        """It stays what was copied."""


def copy_catalog(original: Path, folder: Path) -> None:
    """Copy a catalogue that nobody has open into a folder. Raises OSError."""
    shutil.copyfile(original, folder / original.name)
    # What was written last may not have come to the file itself yet.
    with contextlib.suppress(FileNotFoundError):
        shutil.copyfile(f"{original}-wal", folder / f"{original.name}-wal")


def _refuse_changes(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA query_only=ON")
