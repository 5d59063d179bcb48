"""Replacing chosen tables of an SQLite database that others may have open, in one transaction."""

import contextlib
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Literal

from dgtui.engine.datasources.loading import Announce
from dgtui.engine.datasources.sqlite_bring import bring_statistics, bring_table
from dgtui.engine.datasources.sqlite_check import quoted, shown_name, table_names
from dgtui.engine.datasources.sqlite_former import drop_tables, keep_tables
from dgtui.engine.datasources.sqlite_snapshot import connect
from dgtui.engine.errors import RestoreError
from dgtui.engine.reporting import Reporter
from dgtui.engine.restore_model import Part, PartChange

_SCHEMA = "schema "
_BEGUN = "begun"
"""The mark of an exchange that has laid something beside the database, and changed nothing in it yet."""


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


def replace_tables(
    change: PartChange, live: Path, announce: Announce, reporter: Reporter, *, busy_seconds: float
) -> bool:
    """Take the chosen tables, with indexes and triggers, from the file beside; whether the former ones are kept.

    Foreign keys are checked before the end: what the exchange alone would break is refused. Raises RestoreError,
    sqlite3.Error.
    """
    with exchanging(change, live, busy_seconds=busy_seconds) as connection:
        before = _violations(connection)
        present = table_names(connection)
        chosen = _all_tables(connection) if change.back else chosen_tables(connection, change.tables)
        unwanted = [name for name in present if shown_name(name) in change.remove]
        former = [name for name in present if name in chosen or name in unwanted]
        part = Part(
            kind="objects",
            replaced=tuple(shown_name(name) for name in chosen if name in present),
            added=tuple(shown_name(name) for name in chosen if name not in present),
            removed=tuple(shown_name(name) for name in unwanted),
        )
        kept = False
        if former:
            announce(_BEGUN, part)
            kept = keep_tables(connection, live, former, change.keep_as, reporter)
        try:
            _exchange(connection, chosen, unwanted)
            _refuse_broken(_violations(connection) - before - _violations(connection, "beside", chosen))
            announce(schema_mark(connection), part)
        except BaseException:
            if kept:
                drop_tables(Path(change.keep_as))
            raise
    return kept


def _exchange(connection: sqlite3.Connection, chosen: Sequence[str], unwanted: Sequence[str]) -> None:
    for name in unwanted:
        connection.execute(f"DROP TABLE main.{quoted(name)}")
    for name in chosen:
        _replace(connection, name)
    bring_statistics(connection, chosen)


def _refuse_broken(broken: set[tuple[str, str, int, int]]) -> None:
    if broken:
        child, parent = sorted(broken)[0][:2]
        raise RestoreError(
            f"Rows of {child} would point to rows of {parent} that are not there; nothing was changed",
            subject=child,
            hint=f"Choose {parent} and {child} together, or restore under another name with --into NAME",
        )


def _all_tables(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("SELECT name FROM beside.sqlite_master WHERE type = 'table' ORDER BY rowid").fetchall()
    return [name for (name,) in rows if not name.startswith("sqlite_")]


def schema_mark(connection: sqlite3.Connection) -> str:
    """What tells, once this transaction is committed, that it was."""
    return f"{_SCHEMA}{connection.execute('PRAGMA main.schema_version').fetchone()[0]}"


def settle_tables(mark: str, live: Path, *, busy_seconds: float) -> Literal["old", "new"]:
    """Whether the transaction of this mark was committed: each change of the schema counts the schema's number up."""
    if mark == _BEGUN:
        return "old"
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
    if name in table_names(connection):
        connection.execute(f"DROP TABLE main.{quoted(name)}")
    else:
        refuse_other_kinds(connection, [shown_name(name)])
    bring_table(connection, name)


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
