"""A catalogue for one run where the real one cannot be used: a backup is made all the same, and taken up later."""

import contextlib
import sqlite3
from pathlib import Path

import sqlalchemy as sa

from dgtui.engine.catalog.catalog import Catalog
from dgtui.engine.catalog.database import CatalogError, is_without_room
from dgtui.engine.catalog.tables import meta
from dgtui.engine.files import make_private_folder


def open_or_stand_in(state: Path, elsewhere: Path) -> tuple[Catalog, CatalogError | None]:
    """The catalogue; where it cannot be written, an empty one in `elsewhere`, and why. Raises CatalogError.

    On a full disk nothing stands in: a run needs its state folder.
    """
    try:
        catalog = Catalog(state)
        with catalog.exclusive() as connection:
            # Beginning alone is allowed where nothing may be written.
            connection.execute(sa.delete(meta).where(meta.c.key == ""))
        return catalog, None
    except CatalogError as error:
        if is_without_room(state / "catalog.db"):
            raise
        make_private_folder(elsewhere)
        stand_in = Catalog(elsewhere)
        # Without them a disk that is not mounted would not be noticed.
        for storage, marker in _markers(state / "catalog.db"):
            stand_in.save_storage_marker(storage, marker)
        return stand_in, error


def _markers(path: Path) -> list[tuple[str, str]]:
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection,
    ):
        return [(str(name), str(marker)) for name, marker in connection.execute("SELECT name, marker_id FROM storages")]
    return []
