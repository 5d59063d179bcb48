"""Opening the catalogue for what a program is about to do: work with it, only look, or only start a backup."""

import contextlib
import tempfile
from pathlib import Path

from dgtui.engine.catalog import Catalog, open_or_stand_in


class Opening:
    """The catalogue of a state folder, and what stands in for it; all of that goes with `close`."""

    def __init__(self, state: Path, *, look_only: bool = False, backup_only: bool = False) -> None:
        """Open it. Raises CatalogError.

        With `look_only` nothing is made and nothing mended. With `backup_only` an empty catalogue stands in for one
        that cannot be used.
        """
        self._state = state
        self._elsewhere = contextlib.ExitStack()
        self.warnings: tuple[str, ...] = ()
        """Why something else stands in."""
        try:
            self.catalog = self._open(look_only=look_only, backup_only=backup_only)
        except BaseException:
            self._elsewhere.close()
            raise

    @property
    def stands_in(self) -> bool:
        """Whether the catalogue is not that of the state folder."""
        return self.catalog.path.parent != self._state

    def temporary_folder(self) -> Path:
        """A folder that goes when we close."""
        return Path(self._elsewhere.enter_context(tempfile.TemporaryDirectory(prefix="dgtui-")))

    def close(self) -> None:
        """Close the catalogue, and remove what stood in for it."""
        self.catalog.close()
        self._elsewhere.close()

    def _open(self, *, look_only: bool, backup_only: bool) -> Catalog:
        if look_only:
            there = (self._state / "catalog.db").exists()
            return Catalog(self._state if there else self.temporary_folder(), mend=False)
        if backup_only:
            return self._open_or_stand_in()
        return Catalog(self._state)

    def _open_or_stand_in(self) -> Catalog:
        catalog, error = open_or_stand_in(self._state, self.temporary_folder())
        if error is not None:
            self.warnings = (f"{error.message}. A backup does without it; it is taken up later",)
        return catalog
