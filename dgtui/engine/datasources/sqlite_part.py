"""Replacing chosen tables of an SQLite database that others may have open, in one transaction."""

import contextlib
import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

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


class _Change(NamedTuple):
    """What an exchange does to a database, as this is at one moment."""

    chosen: list[str]
    unwanted: list[str]
    former: list[str]
    """The tables that are there and are not any more then, or not as they were."""
    part: Part


class Settled(NamedTuple):
    """Which tables are in place."""

    verdict: Literal["old", "new"]
    is_certain: bool
    """Where others changed the schema since, as often as the exchange would have, the former ones may be there."""


class _Keeping(NamedTuple):
    """How the former tables are kept."""

    live: Path
    keep_as: str
    announce: Announce
    reporter: Reporter
    busy_seconds: float

    def of(self, connection: sqlite3.Connection, planned: _Change) -> bool:
        """Keep those of a change; whether they are."""
        if not planned.former:
            return False
        self.announce(_BEGUN, planned.part)
        names, busy = planned.former, self.busy_seconds
        return keep_tables(connection, self.live, names, self.keep_as, self.reporter, busy_seconds=busy)


@contextlib.contextmanager
def exchanging(change: PartChange, live: Path, *, busy_seconds: float) -> Iterator[sqlite3.Connection]:
    """One transaction on the live file, with the file beside as `beside`; taken back where the block raises.

    Raises sqlite3.Error.
    """
    with _attached(change, live, busy_seconds) as connection, _transaction(connection):
        yield connection


@contextlib.contextmanager
def _attached(change: PartChange, live: Path, busy_seconds: float) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(connect(live, "mode=rw", busy_seconds=busy_seconds)) as connection:
        connection.isolation_level = None
        for setting in ("foreign_keys = OFF", "trusted_schema = ON", "legacy_alter_table = ON"):
            connection.execute(f"PRAGMA {setting}").fetchone()
        connection.execute("ATTACH ? AS beside", (change.beside,))
        yield connection


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def replace_tables(
    change: PartChange, live: Path, announce: Announce, reporter: Reporter, *, busy_seconds: float
) -> bool:
    """Take the chosen tables, with indexes and triggers, from the file beside; whether the former ones are kept.

    These are copied before others have to wait, and once more where somebody wrote until then. Foreign keys are checked
    before the end: what the exchange alone would break is refused. Raises RestoreError, sqlite3.Error.
    """
    with _attached(change, live, busy_seconds) as connection:
        version, planned = _data_version(connection), _planned(connection, change)
        keep = _Keeping(live, change.keep_as, announce, reporter, busy_seconds)
        kept = keep.of(connection, planned)
        with _transaction(connection):
            if _data_version(connection) != version:
                if kept:
                    drop_tables(Path(change.keep_as))
                planned = _planned(connection, change)
                kept = keep.of(connection, planned)
            try:
                _exchange(connection, planned)
                announce(schema_mark(connection), planned.part)
            except BaseException:
                if kept:
                    drop_tables(Path(change.keep_as))
                raise
    return kept


def _data_version(connection: sqlite3.Connection) -> int:
    """Another number after each transaction of somebody else."""
    return int(connection.execute("PRAGMA main.data_version").fetchone()[0])


def _planned(connection: sqlite3.Connection, change: PartChange) -> _Change:
    present = table_names(connection)
    chosen = _all_tables(connection) if change.back else chosen_tables(connection, change.tables)
    unwanted = [name for name in present if shown_name(name) in change.remove]
    part = Part(
        kind="objects",
        replaced=tuple(shown_name(name) for name in chosen if name in present),
        added=tuple(shown_name(name) for name in chosen if name not in present),
        removed=tuple(shown_name(name) for name in unwanted),
    )
    return _Change(chosen, unwanted, [name for name in present if name in chosen or name in unwanted], part)


def _exchange(connection: sqlite3.Connection, planned: _Change) -> None:
    before = _violations(connection)
    for name in planned.unwanted:
        connection.execute(f"DROP TABLE main.{quoted(name)}")
    for name in planned.chosen:
        _replace(connection, name)
    bring_statistics(connection, planned.chosen)
    _refuse_broken(_violations(connection) - before - _violations(connection, "beside", planned.chosen))


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


def settle_tables(mark: str, live: Path, *, busy_seconds: float) -> Settled:
    """Whether the transaction of this mark was committed: each change of the schema counts the schema's number up."""
    if mark == _BEGUN:
        return Settled("old", is_certain=True)
    with contextlib.closing(connect(live, "mode=rw", busy_seconds=busy_seconds)) as connection:
        # Whoever reads first takes back what was cut.
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        number = int(connection.execute("PRAGMA schema_version").fetchone()[0])
    made = int(mark.removeprefix(_SCHEMA))
    return Settled("old" if number < made else "new", is_certain=number <= made)


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
