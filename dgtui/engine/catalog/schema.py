"""The version of the catalogue's tables, and how those that an earlier version made are brought up to date."""

import contextlib
import sqlite3
from pathlib import Path

from dgtui.engine.catalog.alike import keep_alike
from dgtui.engine.catalog.connection import Connection
from dgtui.engine.catalog.tables import SCHEMA_VERSION, TABLES
from dgtui.engine.errors import CatalogError


def schema_version(connection: Connection) -> int:
    """The version of the tables; 0 where there are none yet."""
    return version_in(connection) if "meta" in _tables(connection) else 0


def version_in(connection: Connection) -> int:
    """The version of the tables, which are there; 0 where it was not noted."""
    return int(connection.scalar("SELECT value FROM meta WHERE key = 'schema_version'") or 0)


def refuse_newer(version: int, path: Path) -> None:
    """Raise CatalogError where a newer program made the tables of the catalogue at `path`."""
    if version > SCHEMA_VERSION:
        raise CatalogError(
            f"The catalogue was written by a newer version (schema {version}, this one knows {SCHEMA_VERSION})",
            subject=str(path),
            hint="Install the newer version here as well and start its daemon anew, or set DGTUI_STATE to another "
            "folder and run dgtui scan",
        )


def bring_up_to_date(connection: Connection) -> bool:
    """Make what is missing: tables, and columns and indexes of tables that an earlier version made.

    Returns whether the catalogue is new.
    """
    # Or each table would be there at once: one that was cut then would pass for one that knows its storages.
    connection.execute("BEGIN IMMEDIATE")
    is_new = not schema_version(connection)
    _add_missing_columns(connection)
    for statement in TABLES:
        connection.execute(statement)
    keep_alike(connection)
    connection.upsert("meta", {"key": "schema_version", "value": str(SCHEMA_VERSION)}, key="key")
    return is_new


def _add_missing_columns(connection: Connection) -> None:
    """Add to each table that is there the columns that it would have if it were made now."""
    with contextlib.closing(sqlite3.connect(":memory:", factory=Connection)) as made_now:
        for statement in TABLES:
            made_now.execute(statement)
        for table in _tables(made_now) & _tables(connection):
            known = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
            for _, name, kind, is_needed, default, _ in made_now.execute(f"PRAGMA table_info({table})"):
                if name not in known:
                    needed = " NOT NULL" if is_needed else ""
                    otherwise = f" DEFAULT {default}" if default is not None else ""
                    connection.execute(f'ALTER TABLE {table} ADD COLUMN "{name}" {kind}{needed}{otherwise}')


def _tables(connection: Connection) -> set[str]:
    # Not those of SQLite itself.
    query = r"SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'"
    return set(connection.scalars(query))
