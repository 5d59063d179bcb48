"""Opening the catalogue for what a program is about to do: work with it, or only look."""

import contextlib
import tempfile
from pathlib import Path

from dgtui.engine.catalog import Catalog
from dgtui.engine.files import explained


class Opening:
    """The catalogue of a state folder, and what stands in for it; all of that goes with `close`."""

    def __init__(self, state: Path, *, look_only: bool = False) -> None:
        """Open it; with `look_only` nothing is made and nothing mended. Raises CatalogError."""
        self._elsewhere = contextlib.ExitStack()
        try:
            self.catalog = self._to_look(state) if look_only else Catalog(state)
        except BaseException:
            self._elsewhere.close()
            raise

    def temporary_folder(self) -> Path:
        """A folder that goes when we close."""
        return Path(self._elsewhere.enter_context(tempfile.TemporaryDirectory(prefix="dgtui-")))

    def close(self) -> None:
        """Close the catalogue, and remove what stood in for it."""
        self.catalog.close()
        self._elsewhere.close()

    def _to_look(self, state: Path) -> Catalog:
        with explained(state, "look into"):
            there = (state / "catalog.db").exists()
        return Catalog(state if there else self.temporary_folder(), mend=False)
