"""Replacing chosen tables of an SQLite database that others may have open, in one transaction."""

import contextlib
import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Literal

from dgtui.engine.datasources.loading import Announce
from dgtui.engine.datasources.sqlite_check import quoted, shown_name, table_names
from dgtui.engine.datasources.sqlite_snapshot import connect
from dgtui.engine.errors import RestoreError
from dgtui.engine.restore_model import Part, PartChange

_GENERATED = (2, 3)
_SCHEMA = "schema "
_ROWID_NAMES = ("rowid", "_rowid_", "oid")


@contextlib.contextmanager
def exchanging(change: PartChange, live: Path, *, busy_seconds: float) -> Iterator[sqlite3.Connection]:
    """One transaction on the live file, with the file beside as `beside`; taken back where the block raises.

    Raises sqlite3.Error.
    """
    with contextlib.closing(connect(live, "mode=rw", busy_seconds=busy_seconds)) as connection:
        connection.isolation_level = None
        for setting in ("foreign_keys = OFF", "trusted_schema = ON", "legacy_alter_table = ON"):
            connection.execute(f"PRAGMA {setting}").fetchone()
        connection.execute("ATTACH ? AS beside", (change.beside,))
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def replace_tables(change: PartChange, live: Path, announce: Announce, *, busy_seconds: float) -> None:
    """Take the chosen tables, with indexes and triggers, from the file beside; raises RestoreError, sqlite3.Error.

    Foreign keys are checked before the end: what the exchange alone would break is refused.
    """
    with exchanging(change, live, busy_seconds=busy_seconds) as connection:
        before = _violations(connection)
        chosen, present = chosen_tables(connection, change.tables), table_names(connection)
        unwanted = [name for name in present if shown_name(name) in change.remove]
        for name in unwanted:
            connection.execute(f"DROP TABLE main.{quoted(name)}")
        for name in chosen:
            _replace(connection, name)
        _bring_statistics(connection, chosen)
        broken = _violations(connection) - before - _violations(connection, "beside", chosen)
        if broken:
            child, parent = sorted(broken)[0][:2]
            raise RestoreError(
                f"Rows of {child} would point to rows of {parent} that are not there; nothing was changed",
                subject=child,
                hint=f"Choose {parent} and {child} together, or restore under another name with --into NAME",
            )
        announce(
            schema_mark(connection),
            Part(
                kind="objects",
                replaced=tuple(shown_name(name) for name in chosen if name in present),
                added=tuple(shown_name(name) for name in chosen if name not in present),
                removed=tuple(shown_name(name) for name in unwanted),
            ),
        )


def schema_mark(connection: sqlite3.Connection) -> str:
    """What tells, once this transaction is committed, that it was."""
    return f"{_SCHEMA}{connection.execute('PRAGMA main.schema_version').fetchone()[0]}"


def settle_tables(mark: str, live: Path, *, busy_seconds: float) -> Literal["old", "new"]:
    """Whether the transaction of this mark was committed: each change of the schema counts the schema's number up."""
    with contextlib.closing(connect(live, "mode=rw", busy_seconds=busy_seconds)) as connection:
        # Whoever reads first takes back what was cut.
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        number = connection.execute("PRAGMA schema_version").fetchone()[0]
    return "new" if int(number) >= int(mark.removeprefix(_SCHEMA)) else "old"


def chosen_tables(connection: sqlite3.Connection, tables: Collection[str], place: str = "beside") -> list[str]:
    """Those of the tables that are there. Raises RestoreError where one is none of its own."""
    rows = connection.execute(f"SELECT name FROM {place}.sqlite_master WHERE type = 'table'").fetchall()  # noqa: S608  # our own word
    refuse_virtual(connection, tables, place)
    return [name for (name,) in rows if shown_name(name) in tables]


def refuse_virtual(connection: sqlite3.Connection, names: Collection[str], place: str = "main") -> None:
    """Raise RestoreError where one of these tables is a virtual one, whose rows lie in others."""
    rows = connection.execute(f"SELECT name FROM {place}.sqlite_master WHERE sql LIKE 'CREATE VIRTUAL%'").fetchall()  # noqa: S608  # our own word
    for (name,) in rows:
        if shown_name(name) in names:
            raise RestoreError(
                f"{shown_name(name)} is a virtual table and cannot be replaced alone; nothing was changed",
                subject=shown_name(name),
                hint="Restore everything, or under another name with --into NAME, and copy from there",
            )


def refuse_other_kinds(connection: sqlite3.Connection, names: Collection[str]) -> None:
    """Raise RestoreError where a view or an index has the name of a chosen table."""
    rows = connection.execute("SELECT name FROM main.sqlite_master WHERE type IN ('view', 'index')").fetchall()
    for (name,) in rows:
        if shown_name(name) in names:
            raise RestoreError(
                f"{shown_name(name)} is no table in the target; nothing was changed",
                subject=shown_name(name),
                hint="Restore under another name with --as NAME, or elsewhere with --into NAME",
            )


def _replace(connection: sqlite3.Connection, name: str) -> None:
    present = name in table_names(connection)
    if not present:
        refuse_other_kinds(connection, [shown_name(name)])
    if present:
        connection.execute(f"DROP TABLE main.{quoted(name)}")
    made = connection.execute(
        "SELECT type, sql FROM beside.sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL ORDER BY rowid", (name,)
    ).fetchall()
    for kind, statement in made:
        if kind == "table":
            connection.execute(statement)
    bring_rows(connection, name)
    # Triggers come last: they must not act upon the rows that are brought.
    for kind, statement in made:
        if kind in ("index", "trigger"):
            connection.execute(statement)


def bring_rows(connection: sqlite3.Connection, name: str) -> None:
    """Copy the rows of a table, and what it counts, from the file beside."""
    columns = _columns(connection, name)
    listed = ", ".join(columns)
    connection.execute(
        f"INSERT INTO main.{quoted(name)} ({listed}) SELECT {listed} FROM beside.{quoted(name)}"  # noqa: S608  # quoted
    )
    if connection.execute("SELECT 1 FROM beside.sqlite_master WHERE name = 'sqlite_sequence'").fetchone():
        rows = connection.execute("SELECT seq FROM beside.sqlite_sequence WHERE name = ?", (name,)).fetchall()
        if rows:
            connection.execute("DELETE FROM main.sqlite_sequence WHERE name = ?", (name,))
            connection.execute("INSERT INTO main.sqlite_sequence (name, seq) VALUES (?, ?)", (name, rows[0][0]))


def _columns(connection: sqlite3.Connection, name: str) -> list[str]:
    """The columns that are stored, and the rowid where the table has one that no column stands for."""
    info = connection.execute("SELECT name, hidden FROM pragma_table_xinfo(?, 'beside')", (name,)).fetchall()
    stored = [quoted(column) for column, hidden in info if hidden not in _GENERATED]
    taken = {str(column).lower() for column, _ in info}
    for rowid in _ROWID_NAMES:
        if rowid in taken:
            continue
        try:
            connection.execute(f"SELECT {rowid} FROM beside.{quoted(name)} LIMIT 0")  # noqa: S608  # quoted
        except sqlite3.OperationalError:
            break  # WITHOUT ROWID
        return [rowid, *stored]
    return stored


def _bring_statistics(connection: sqlite3.Connection, names: Collection[str]) -> None:
    """What ANALYZE has found out about the tables, which goes with a dropped one: queries would take other ways."""
    found = connection.execute("SELECT name FROM beside.sqlite_master WHERE name IN ('sqlite_stat1', 'sqlite_stat4')")
    figures = [name for (name,) in found.fetchall()]
    if not figures:
        return
    connection.execute("ANALYZE main.sqlite_schema")  # makes the tables of the figures, and looks at nothing
    for figure in figures:
        columns = [name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?, 'main')", (figure,))]
        listed = ", ".join(columns)
        for name in names if columns else ():
            connection.execute(
                f"INSERT INTO main.{figure} ({listed}) SELECT {listed} FROM beside.{figure} WHERE tbl = ?",  # noqa: S608  # our own words
                (name,),
            )


def _violations(
    connection: sqlite3.Connection, place: str = "main", parents: Collection[str] | None = None
) -> set[tuple[str, str, int, int]]:
    """Foreign keys that point to nothing: table, parent, rowid, number of the key; only to these parents, if given."""
    try:
        rows = connection.execute(f"PRAGMA {place}.foreign_key_check").fetchall()
    except sqlite3.OperationalError:
        return set()  # a key to a table or column that does not exist cannot be checked
    known = None if parents is None else {name.lower() for name in parents}
    return {
        (str(table), str(parent), int(rowid or 0), int(number))
        for table, rowid, parent, number in rows
        if known is None or str(parent).lower() in known
    }
