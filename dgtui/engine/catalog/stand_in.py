"""A catalogue for one run where the real one cannot be used: a backup is made all the same, and taken up later."""

from collections.abc import Callable
from pathlib import Path

from dgtui.engine.catalog.catalog import Catalog
from dgtui.engine.errors import CatalogError, DataGuardianError, StorageError
from dgtui.engine.storages.known_markers import known_markers


def open_or_stand_in(state: Path, elsewhere: Callable[[], Path]) -> tuple[Catalog, DataGuardianError | None]:
    """The catalogue; where it cannot be written, an empty one in a folder `elsewhere`, and why.

    Raises CatalogError, StorageError.
    """
    try:
        catalog = Catalog(state)
        with catalog.exclusive() as connection:
            # Beginning alone is allowed where nothing may be written.
            connection.execute("DELETE FROM meta WHERE key = ''")
        return catalog, None
    except (CatalogError, StorageError) as error:
        stand_in = Catalog(elsewhere())
        # Without them a disk that is not mounted would not be noticed.
        for storage, marker in (known_markers(state) or {}).items():
            stand_in.save_storage_marker(storage, marker)
        return stand_in, error
