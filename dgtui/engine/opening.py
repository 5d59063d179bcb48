"""Opening the catalogue for what a program is about to do: work with it, or only look."""

import contextlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.database import is_without_room
from dgtui.engine.catalog.reading_copy import CatalogCopy, copy_catalog
from dgtui.engine.errors import CatalogDamaged, DataGuardianError
from dgtui.engine.file_errors import explained, is_read_only
from dgtui.engine.runs import RunPaths


@dataclass(frozen=True)
class Surroundings:
    """What checks of health work with."""

    config: Config
    catalog: Catalog


class Opening:
    """The catalogue of a state folder, and what stands in for it; all of that goes with `close`."""

    def __init__(self, state: Path, *, look_only: bool = False, read_anyway: bool = False) -> None:
        """Open it; with `look_only` nothing is made and nothing mended.

        With `read_anyway` it is read as it was left where the state folder cannot be written. Raises CatalogError,
        StorageError, PermissionDenied.
        """
        self._elsewhere = contextlib.ExitStack()
        self._copied: Path | None = None
        self._tries: Catalog | None = None
        self._look_only = look_only
        try:
            self.catalog = self._opened(state, look_only=look_only, read_anyway=read_anyway)
        except BaseException:
            self._elsewhere.close()
            raise

    @property
    def only_to_read(self) -> bool:
        """Whether nothing may be written."""
        return self._look_only or self._copied is not None

    def for_checks(self, config: Config) -> Surroundings:
        """For checks of health: where the catalogue cannot be written, what they find is there until we close."""
        if self._copied is None:
            return Surroundings(config, self.catalog)
        if self._tries is None:
            self._tries = CatalogCopy(self.catalog.path, self._copied, keeps_changes=True)
        return Surroundings(config, self._tries)

    def temporary_folder(self) -> Path:
        """A folder that goes when we close."""
        return Path(self._elsewhere.enter_context(tempfile.TemporaryDirectory(prefix="dgtui-")))

    def close(self) -> None:
        """Close the catalogue, and remove what stood in for it."""
        self.catalog.close()
        if self._tries is not None:
            self._tries.close()
        self._elsewhere.close()

    def _opened(self, state: Path, *, look_only: bool, read_anyway: bool) -> Catalog:
        try:
            return self._to_look(state) if look_only else self._to_work(state)
        except CatalogDamaged:
            raise
        except DataGuardianError as error:
            if not read_anyway or (unwritable(state) is None and not is_read_only(state)):
                raise
            try:
                return self._as_it_was_left(state / "catalog.db")
            except (OSError, DataGuardianError):
                raise error from None

    def _as_it_was_left(self, catalog: Path) -> Catalog:
        folder = self.temporary_folder()
        copy_catalog(catalog, folder)
        copy = CatalogCopy(catalog, folder)
        self._copied = folder
        return copy

    def _to_work(self, state: Path) -> Catalog:
        RunPaths(state).make()
        return Catalog(state)

    def _to_look(self, state: Path) -> Catalog:
        with explained(state, "look into"):
            there = (state / "catalog.db").exists()
        return Catalog(state if there else self.temporary_folder(), mend=False)


def unwritable(state: Path) -> str | None:
    """Why nothing can be written to a state folder, for people; None where that can be done."""
    if is_without_room(state / "catalog.db"):
        return f"The disk of the state folder is full; no run begins without room there: df -h {state}"
    # Whoever may not even look there is told so where it is opened.
    with contextlib.suppress(PermissionError):
        for place in (state, state / "catalog.db"):
            if place.exists() and not os.access(place, os.W_OK):
                return (
                    f"{place} cannot be written, so that nothing is recorded: what is told of is as it was left there"
                )
    return None
