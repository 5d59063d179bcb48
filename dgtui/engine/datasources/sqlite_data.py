"""Rows alone into the tables of an SQLite database: into a copy of it, which takes its place when it is whole."""

import contextlib
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from dgtui.engine.child import printable
from dgtui.engine.datasources.dumping import Archive
from dgtui.engine.datasources.loading import Announce, LoadError, LoadOutcome, Selection
from dgtui.engine.datasources.own_names import NEW_SUFFIX
from dgtui.engine.datasources.places import beside, mark_of, need_room
from dgtui.engine.datasources.sqlite_check import check_file, quoted, shown_name, table_names
from dgtui.engine.datasources.sqlite_restore import write_archive
from dgtui.engine.datasources.sqlite_selection import chosen_tables
from dgtui.engine.datasources.sqlite_snapshot import SIDE_FILES, connect, side_file, take_snapshot, uri
from dgtui.engine.datasources.sqlite_swap import refuse_open, swap_database, version_at_rest
from dgtui.engine.errors import RestoreError
from dgtui.engine.reporting import Reporter
from dgtui.engine.restore_model import Part

_NAMED = 5
_BLOCK = 1 << 20
_ROWID_NAMES = ("rowid", "_rowid_", "oid")


class KeptDatabase:
    """A database file at rest, read as an archive is."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.total_size_bytes = path.stat().st_size
        self.object_bytes = dict[str, int]()

    def blocks(self) -> Iterator[bytes]:
        """The bytes of the file."""
        with self._path.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block

    def as_file(self) -> Path:
        """The file itself, which is only read."""
        return self._path


def load_rows(
    archive: Archive,
    target: Path,
    selection: Selection,
    reporter: Reporter,
    *,
    overwrite: bool,
    keep_as: Path,
    scratch_folder: Path,
    announce: Announce,
) -> LoadOutcome:
    """Load the rows; the former database is kept at `keep_as`. Raises RestoreError, ConfigError, sqlite3.Error.

    Where somebody writes to it meanwhile, nothing is changed.
    """
    refuse_open(target)
    need_room(target, target.stat().st_size + archive.total_size_bytes)
    source = scratch_folder / f"rows-{os.getpid()}-{os.urandom(4).hex()}.db"
    new = beside(target, NEW_SUFFIX)
    try:
        source.touch(mode=0o600, exist_ok=False)
        write_archive(archive.blocks(), source)
        check_file(source, "The archive")
        copied = version_at_rest(target, reporter)
        take_snapshot(target, new, busy_seconds=0, progress=lambda _done, _total: None)
        errors = _fill(new, source, selection, reporter, overwrite=overwrite)
        if errors:
            return LoadOutcome(errors=errors, error_count=len(errors))
        check_file(new, str(new))
        with new.open("rb") as file:
            os.fsync(file.fileno())
        names = tuple(shown_name(name) for name in sorted(chosen_tables(source, selection.tables, ())))
        announce(mark_of(new), Part(kind="rows", replaced=names))
        swap_database(new, target, keep_as, reporter, copied=copied)
    finally:
        for path in (source, new):
            for ending in ("", *SIDE_FILES):
                side_file(path, ending).unlink(missing_ok=True)
    return LoadOutcome(kept_as=str(keep_as))


def _fill(
    new: Path, source: Path, selection: Selection, reporter: Reporter, *, overwrite: bool
) -> tuple[LoadError, ...]:
    wanted = sorted(chosen_tables(source, selection.tables, ()))
    with contextlib.closing(connect(new, "mode=rw")) as connection:
        _refuse(connection, wanted, overwrite=overwrite)
        was_wal = connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        for setting in ("journal_mode = MEMORY", "synchronous = OFF", "foreign_keys = OFF", "trusted_schema = ON"):
            connection.execute(f"PRAGMA {setting}").fetchone()
        connection.execute("ATTACH ? AS source", (uri(source, "immutable=1"),))
        before = _orphans(connection)
        current = ""
        try:
            connection.execute("BEGIN IMMEDIATE")
            triggers = _drop_triggers(connection)
            for number, current in enumerate(wanted, start=1):
                reporter.current_object(shown_name(current), number=number, count=len(wanted))
                for table in (current, *_shadows(connection, current)):
                    _copy_rows(connection, table)
                _copy_counter(connection, current)
            current = ""
            for statement in triggers:
                connection.execute(statement)
            orphans = _orphans(connection) - (before | _orphans(connection, "source"))
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            return (LoadError(message=printable(str(error)), statement=shown_name(current)),)
        connection.execute("DETACH source")
        if was_wal:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
    return tuple(
        LoadError(message=f"Rows of {shown_name(table)} refer to rows of {shown_name(parent)} that are not there")
        for table, parent in sorted({(table, parent) for table, parent, _, _ in orphans})
    )


def _refuse(connection: sqlite3.Connection, wanted: Sequence[str], *, overwrite: bool) -> None:
    present = table_names(connection)
    if absent := [shown_name(name) for name in wanted if name not in present]:
        raise RestoreError(
            f"There is no table {_listed(absent)} to load rows into; nothing was changed",
            subject=absent[0],
            hint="First restore the schema with --schema-only, or restore the backup in full",
        )
    full = [
        shown_name(name)
        for name in wanted
        if connection.execute(f"SELECT 1 FROM main.{quoted(name)} LIMIT 1").fetchone() is not None  # noqa: S608
    ]
    if full and not overwrite:
        raise RestoreError(
            f"{_listed(full)} already hold rows; nothing was changed",
            subject=full[0],
            hint="Replace them with --overwrite, choose other tables with --table, or empty them first",
        )


def _drop_triggers(connection: sqlite3.Connection) -> list[str]:
    """Take the triggers away, which would act on every row; the statements that make them again."""
    found = connection.execute("SELECT name, sql FROM main.sqlite_master WHERE type = 'trigger' ORDER BY rowid")
    triggers = found.fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER main.{quoted(name)}")
    return [statement for _, statement in triggers]


def _shadows(connection: sqlite3.Connection, table: str) -> list[str]:
    """The tables behind a virtual table, which hold its rows."""
    kinds = dict(connection.execute("SELECT name, type FROM pragma_table_list WHERE schema = 'source'").fetchall())
    if kinds.get(table) != "virtual":
        return []
    return [name for name, kind in kinds.items() if kind == "shadow" and name.startswith(f"{table}_")]


def _copy_rows(connection: sqlite3.Connection, table: str) -> None:
    """Replace the rows of one table by those of the backup, with their rowids."""
    kind, without_rowid = connection.execute(
        "SELECT type, wr FROM pragma_table_list WHERE schema = 'source' AND name = ?", (table,)
    ).fetchone()
    if kind == "virtual":
        return
    found = connection.execute("SELECT name FROM pragma_table_xinfo(?, 'source') WHERE hidden = 0", (table,))
    columns = [name for (name,) in found.fetchall()]
    taken = {name.lower() for name in columns}
    rowid = next((name for name in _ROWID_NAMES if name not in taken), None)
    listed = ", ".join([*([rowid] if rowid and not without_rowid else []), *map(quoted, columns)])
    connection.execute(f"DELETE FROM main.{quoted(table)}")  # noqa: S608  # quoted
    connection.execute(
        f"INSERT INTO main.{quoted(table)} ({listed}) SELECT {listed} FROM source.{quoted(table)}"  # noqa: S608
    )


def _copy_counter(connection: sqlite3.Connection, table: str) -> None:
    """The last number that AUTOINCREMENT gave out."""
    has = "SELECT 1 FROM {}.sqlite_master WHERE name = 'sqlite_sequence'"
    if any(connection.execute(has.format(schema)).fetchone() is None for schema in ("main", "source")):
        return
    connection.execute("DELETE FROM main.sqlite_sequence WHERE name = ?", (table,))
    connection.execute(
        "INSERT INTO main.sqlite_sequence (name, seq) SELECT name, seq FROM source.sqlite_sequence WHERE name = ?",
        (table,),
    )


def _orphans(connection: sqlite3.Connection, schema: str = "main") -> Counter[tuple[str, str, int, int]]:
    """The rows whose foreign key finds nothing: table, what they look for, rowid, number of the key.

    Those of a table without rowids cannot be told from each other.
    """
    with contextlib.suppress(sqlite3.OperationalError):  # a key to a table that is not there at all
        rows = connection.execute(f"PRAGMA {schema}.foreign_key_check")
        return Counter((table, parent, rowid or 0, number) for table, rowid, parent, number in rows)
    return Counter()


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
