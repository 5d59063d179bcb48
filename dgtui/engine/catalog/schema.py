"""The version of the catalogue's tables, and how those that an earlier version made are brought up to date."""

import sqlite3
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from dgtui.engine.catalog.alike import keep_alike
from dgtui.engine.catalog.tables import SCHEMA_VERSION, meta, metadata
from dgtui.engine.errors import CatalogError


def schema_version(connection: sa.Connection) -> int:
    """The version of the tables; 0 where there are none yet."""
    return version_in(connection) if sa.inspect(connection).has_table("meta") else 0


def version_in(connection: sa.Connection) -> int:
    """The version of the tables, which are there; 0 where it was not noted."""
    # Asked in each transaction, so straight of the driver, which costs least.
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    row = driver.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    return int(row[0]) if row is not None else 0


def refuse_newer(version: int, path: Path) -> None:
    """Raise CatalogError where a newer program made the tables of the catalogue at `path`."""
    if version > SCHEMA_VERSION:
        raise CatalogError(
            f"The catalogue was written by a newer version (schema {version}, this one knows {SCHEMA_VERSION})",
            subject=str(path),
            hint="Install the newer version here as well and start its daemon anew, or set DGTUI_STATE to another "
            "folder and run dgtui scan",
        )


def bring_up_to_date(connection: sa.Connection) -> bool:
    """Make what is missing: tables, and columns and indexes of tables that an earlier version made.

    Returns whether the catalogue is new.
    """
    # Or each table would be there at once: one that was cut then would pass for one that knows its storages.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    inspector = sa.inspect(connection)
    existing = set(inspector.get_table_names())
    is_new = "meta" not in existing or not version_in(connection)
    for table in metadata.sorted_tables:
        if table.name in existing:
            _add_missing(connection, table, inspector)
    metadata.create_all(connection)
    keep_alike(connection)
    version = insert(meta).values(key="schema_version", value=str(SCHEMA_VERSION))
    connection.execute(version.on_conflict_do_update(index_elements=["key"], set_={"value": str(SCHEMA_VERSION)}))
    return is_new


def _add_missing(connection: sa.Connection, table: sa.Table, inspector: sa.Inspector) -> None:
    quote = connection.dialect.identifier_preparer.quote
    known = {column["name"] for column in inspector.get_columns(table.name)}
    for column in table.columns:
        if column.name not in known:
            definition = sa.schema.CreateColumn(column).compile(dialect=connection.dialect)
            connection.execute(sa.text(f"ALTER TABLE {quote(table.name)} ADD COLUMN {definition}"))
    indexes = {index["name"] for index in inspector.get_indexes(table.name)}
    for index in table.indexes:
        if index.name not in indexes:
            index.create(connection)
