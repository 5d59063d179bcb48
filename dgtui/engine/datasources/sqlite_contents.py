"""Checksums of the rows of an SQLite database at rest."""

import contextlib
import sqlite3
from collections.abc import Collection
from pathlib import Path

from dgtui.engine.datasources.contents import RowsChecksum
from dgtui.engine.datasources.sqlite_check import quoted, shown_name, table_names
from dgtui.engine.datasources.sqlite_snapshot import connect


def file_checksums(path: Path, names: Collection[str]) -> dict[str, str]:
    """The checksum of each of these tables (of all, where none is named) that can be read; raises sqlite3.Error."""
    with contextlib.closing(connect(path, "immutable=1")) as connection:
        every = table_names(connection)
        # A text may be no UTF-8, and must not look like the blob of the same bytes.
        connection.text_factory = bytearray
        found = {}
        for name in every:
            if not names or shown_name(name) in names:
                with contextlib.suppress(sqlite3.OperationalError):  # a virtual table whose module is not here
                    found[shown_name(name)] = _checksum(connection, name)
        return found


def _checksum(connection: sqlite3.Connection, name: str) -> str:
    rows = RowsChecksum()
    for row in connection.execute(f"SELECT * FROM {quoted(name)}"):  # noqa: S608  # quoted
        rows.add(repr(row).encode())
    return rows.text
