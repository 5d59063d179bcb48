"""A part of an SQLite database as a database of its own: some tables, or the schema alone."""

import contextlib
import re
import sqlite3
from collections.abc import Collection
from pathlib import Path

from dgtui.engine.datasources.sqlite_check import quoted, shown_name, table_names
from dgtui.engine.datasources.sqlite_snapshot import connect, side_file
from dgtui.engine.errors import ConfigError

NEEDS_EXTENSION = re.compile("no such (?:module|function|tokenizer|collation sequence)|unknown tokenizer")
"""What SQLite says where a database is made with an extension that is not here; that is no damage."""
_TEXT_INDEX = re.compile(r"""(?is)CREATE\s+VIRTUAL\s+TABLE\b.*?\bUSING\s+["'`\[]?fts([345])\b""")
_CONTENT = re.compile(r"(?i)[(,]\s*content\s*=")


def chosen_tables(path: Path, tables: Collection[str], exclude: Collection[str]) -> frozenset[str]:
    """The tables of a database at rest that are wanted; raises ConfigError where one is not there."""
    with contextlib.closing(connect(path, "immutable=1")) as connection:
        present = {shown_name(name): name for name in table_names(connection)}
    missing = [name for name in (*tables, *exclude) if name not in present]
    if missing:
        raise ConfigError(
            f"There is no table {missing[0]}",
            subject=missing[0],
            hint=f"Tables in it: {', '.join(sorted(present)[:20]) or 'none'}",
        )
    wanted = tables or present
    return frozenset(present[name] for name in wanted if name not in exclude)


def need_modules(path: Path) -> None:
    """Raise sqlite3.OperationalError where a virtual table of a database at rest needs a module that is not here."""
    with contextlib.closing(connect(path, "immutable=1")) as connection:
        made = connection.execute("SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL%'").fetchall()
        for (name,) in made:
            try:
                connection.execute(f"SELECT 1 FROM {quoted(name)} LIMIT 0")  # noqa: S608  # quoted
            except sqlite3.OperationalError as error:
                if NEEDS_EXTENSION.search(str(error)):
                    raise


def reduce_database(full: Path, target: Path, keep: frozenset[str] | None, *, schema_only: bool) -> None:
    """Write to `target` (missing or empty) what is left of `full`, which is used up. Raises sqlite3.Error.

    The tables that are not wanted are dropped from the copy, so that those that stay keep their rows, rowids, indexes,
    triggers and shadow tables exactly; `VACUUM INTO` then leaves the dropped rows behind and keeps the rowids.
    """
    with contextlib.closing(connect(full, "mode=rw")) as connection:
        was_wal = connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        for setting in ("journal_mode = MEMORY", "synchronous = OFF", "foreign_keys = OFF", "trusted_schema = ON"):
            connection.execute(f"PRAGMA {setting}").fetchone()
        if keep is not None:
            _drop_others(connection, keep)
        if schema_only:
            _delete_rows(connection)
        connection.execute("VACUUM INTO ?", (str(target),))
    if was_wal:
        with contextlib.closing(connect(target, "mode=rw")) as connection:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
    for ending in ("-wal", "-shm"):
        side_file(target, ending).unlink(missing_ok=True)


def _drop_others(connection: sqlite3.Connection, keep: frozenset[str]) -> None:
    for (view,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'view'").fetchall():
        connection.execute(f"DROP VIEW {quoted(view)}")
    for table in table_names(connection):
        if table not in keep:
            connection.execute(f"DROP TABLE {quoted(table)}")


def _delete_rows(connection: sqlite3.Connection) -> None:
    # A trigger would run at each deleted row: they are taken away for that time.
    triggers = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY rowid"
    ).fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {quoted(name)}")
    indexes = _text_indexes(connection)
    for table in table_names(connection):
        if table in indexes:
            _empty_index(connection, table, indexes[table])
        else:
            connection.execute(f"DELETE FROM {quoted(table)}")  # noqa: S608  # quoted
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'").fetchone():
        connection.execute("DELETE FROM sqlite_sequence")
    for _, statement in triggers:
        connection.execute(statement)


def _text_indexes(connection: sqlite3.Connection) -> dict[str, str]:
    """The tables of full-text search, each with its statement."""
    made = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
    return {name: statement for name, statement in made if _TEXT_INDEX.match(statement or "")}


def _empty_index(connection: sqlite3.Connection, table: str, statement: str) -> None:
    """Take all words out.

    A DELETE leaves words in the index, takes only those of rows that can still be read where the text lies elsewhere,
    and is refused where it lies nowhere.
    """
    name = quoted(table)
    kind = _TEXT_INDEX.match(statement)
    if kind is None or kind[1] != "5":
        connection.execute(f"DROP TABLE {name}")
        connection.execute(statement)
    elif _CONTENT.search(statement):
        connection.execute(f"INSERT INTO {name} ({name}) VALUES ('delete-all')")  # noqa: S608  # quoted
    else:
        connection.execute(f"DELETE FROM {name}")  # noqa: S608  # quoted
        connection.execute(f"INSERT INTO {name} ({name}) VALUES ('rebuild')")  # noqa: S608  # quoted
