"""Bringing tables from one SQLite database into another, which is attached to it as `beside`."""

import sqlite3
from collections.abc import Collection

from dgtui.engine.datasources.sqlite_check import quoted

_GENERATED = (2, 3)
_ROWID_NAMES = ("rowid", "_rowid_", "oid")


def bring_table(connection: sqlite3.Connection, name: str) -> None:
    """Make a table that is not there, with its rows, indexes and triggers, as it is in the file beside."""
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


def bring_statistics(connection: sqlite3.Connection, names: Collection[str]) -> None:
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
