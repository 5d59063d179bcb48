"""The catalogue's file: how it is opened, made, brought up to date, and used by many programs at once."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from dgtui.engine.catalog.tables import SCHEMA_VERSION, meta, metadata
from dgtui.engine.errors import DataGuardianError
from dgtui.engine.locks import take_lock

_BUSY_SECONDS = 10
_LITTLE_BYTES = 1 << 20


class CatalogError(DataGuardianError):
    """The catalogue cannot be read or written."""


class Database:
    """Opens the catalogue under a state folder, making it at first use."""

    def __init__(self, state: Path) -> None:
        """Raises CatalogError, also where a newer version of the program wrote it."""
        self.path = state / "catalog.db"
        _make_private(self.path)
        self._engine = sa.create_engine(
            sa.URL.create("sqlite", database=str(self.path)), connect_args={"timeout": _BUSY_SECONDS}
        )
        sa.event.listen(self._engine, "connect", _configure_connection)
        version = self._schema_version()
        if version < SCHEMA_VERSION:
            # Two programs may meet a fresh state folder at once.
            with take_lock(state / "catalog.lock", purpose="making the catalogue", patience_seconds=_BUSY_SECONDS):
                version = self._schema_version()
                if version < SCHEMA_VERSION:
                    version = self._bring_up_to_date()
        if version > SCHEMA_VERSION:
            raise CatalogError(
                f"The catalogue was written by a newer version (schema {version}, this one knows {SCHEMA_VERSION})",
                subject=str(self.path),
                hint="Install the newer dgtui, or set DGTUI_STATE to another folder and run dgtui scan",
            )

    def _schema_version(self) -> int:
        """0 where there are no tables yet."""
        with self.transaction() as connection:
            if not sa.inspect(connection).has_table("meta"):
                return 0
            return int(connection.scalar(sa.select(meta.c.value).where(meta.c.key == "schema_version")) or 0)

    def _bring_up_to_date(self) -> int:
        """Make what is missing: tables, and columns and indexes of tables that an earlier version made."""
        with self.transaction() as connection:
            inspector = sa.inspect(connection)
            existing = set(inspector.get_table_names())
            for table in metadata.sorted_tables:
                if table.name in existing:
                    _add_missing(connection, table, inspector)
            metadata.create_all(connection)
            version = insert(meta).values(key="schema_version", value=str(SCHEMA_VERSION))
            connection.execute(
                version.on_conflict_do_update(index_elements=["key"], set_={"value": str(SCHEMA_VERSION)})
            )
        return SCHEMA_VERSION

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """A connection whose work is kept together or not at all. Raises CatalogError."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except sa.exc.DBAPIError as error:
            raise CatalogError(
                f"The catalogue cannot be used: {error.orig}",
                subject=str(self.path),
                hint=_way_out(self.path),
            ) from error

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[sa.Connection]:
        """Like `transaction`, but nobody else writes between its first reading and its end."""
        with self.transaction() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection


def _way_out(path: Path) -> str:
    with contextlib.suppress(OSError):
        free = shutil.disk_usage(path.parent).free
        if free < _LITTLE_BYTES:
            return (
                f"The disk of the state folder is full, {free} bytes are free, and no run begins without it. Make room "
                f"there (df -h {path.parent}), or let DGTUI_STATE name a folder elsewhere and run dgtui scan"
            )
    return "Is its disk full or read-only? A damaged one can be moved away and made anew with dgtui scan"


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


def _make_private(path: Path) -> None:
    """Make the file before SQLite does: its journals take over the mode that it has.

    An existing one is never opened here: closing it would free the locks that SQLite holds on it in this process.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise CatalogError(
            f"The catalogue cannot be used: {error.strerror}",
            subject=str(path),
            hint="Is its disk full or read-only? DGTUI_STATE names another folder",
        ) from error


def time_text(moment: datetime) -> str:
    """A time as text that sorts by time."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _configure_connection(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
