"""The markers by which storages are known, read without loading the catalogue."""

import contextlib
import sqlite3
from pathlib import Path


def known_markers(state: Path) -> dict[str, str] | None:
    """The marker of each storage that was used before, by its name; None where the catalogue does not tell.

    For a process that does not have the catalogue open: closing the file would free its locks.
    """
    path = state / "catalog.db"
    if not path.exists():
        return {}
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT name, marker_id FROM storages WHERE marker_id IS NOT NULL").fetchall()
    except sqlite3.Error:
        return None
    return {str(name): str(marker) for name, marker in rows}
