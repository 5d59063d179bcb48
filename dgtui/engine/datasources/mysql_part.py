"""Replacing chosen tables of a live database by those of one beside it, with a single RENAME TABLE."""

import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from dgtui.engine.datasources.loading import Announce
from dgtui.engine.datasources.mysql_connection import Access, Session
from dgtui.engine.datasources.mysql_errors import quote
from dgtui.engine.datasources.mysql_look import database_exists, existing_tables, tables_elsewhere
from dgtui.engine.datasources.mysql_properties import create_like
from dgtui.engine.datasources.mysql_rename import Move, claim_renaming, end_rename, rename_tables, take_over_renaming
from dgtui.engine.datasources.mysql_restore_watch import RestoreWatch
from dgtui.engine.datasources.mysql_waiting import waiting_session
from dgtui.engine.errors import RestoreError
from dgtui.engine.reporting import Reporter
from dgtui.engine.restore_model import Part, PartChange

_NO_PARENT = frozenset({1005, 1215, 1824, 3734})
"""A foreign key could not be made."""
_NAME = r"`(?:[^`]|``)+`"
_FOREIGN_KEY = re.compile(
    rf"(?m)^\s*(CONSTRAINT ({_NAME}) FOREIGN KEY \([^\n]*?\) REFERENCES )({_NAME}) (\([^\n]*?),?$"
)
"""A key to a table of the same database; one to another database names it before the table."""
_TRIGGERS = (
    "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = %s AND EVENT_OBJECT_TABLE IN %s"
)
_KEYS_OF_OTHERS = """
SELECT DISTINCT TABLE_SCHEMA, TABLE_NAME, REFERENCED_TABLE_NAME FROM information_schema.KEY_COLUMN_USAGE
WHERE REFERENCED_TABLE_SCHEMA = %s AND REFERENCED_TABLE_NAME IN %s AND NOT (TABLE_SCHEMA = %s AND TABLE_NAME IN %s)
"""
_KEYS = "__dgtui_keys"
"""The table beside kept ones that holds their foreign keys to tables that were not moved."""
_KEYS_TO_OTHERS = """
SELECT DISTINCT TABLE_NAME, CONSTRAINT_NAME FROM information_schema.KEY_COLUMN_USAGE
WHERE TABLE_SCHEMA = %s AND REFERENCED_TABLE_SCHEMA <> %s
"""
_SEQUENCES = (
    "SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND TABLE_NAME IN %s "
    "AND COLUMN_DEFAULT REGEXP '(next|last|set)val[(]'"
)


def replace_tables(access: Access, change: PartChange, announce: Announce, reporter: Reporter) -> bool:
    """Put the tables of a database beside into the live one, the old ones into `keep_as`; whether there were any.

    Others see the old tables or the new ones, never a mixture. Foreign keys of the new tables to tables that were not
    chosen are made and checked before. Raises RestoreError, with nothing changed.
    """
    beside, database, keep_as = change.beside, change.database, change.keep_as
    with (
        waiting_session(access, fallback=RestoreError) as session,
        RestoreWatch(access, database, reporter, session),
    ):
        tables, there = _chosen(session, change), {table.name for table in existing_tables(session, database)}
        replaced = [name for name in tables if name in there]
        removed = [name for name in change.remove if name in there]
        refuse_obstacles(session, database, [*tables, *removed], beside)
        if change.back:
            _make_keys_again(session, beside, database)
        for name in tables:
            _point_keys_to_the_live_tables(session, beside, database, name, tables)
        away = [*replaced, *removed]
        moves = [Move(database, name, keep_as) for name in away] + [Move(beside, name, database) for name in tables]
        added = tuple(name for name in tables if name not in there)
        claim_renaming(session, keep_as)
        # Before anything of ours lies where it would be left.
        announce(_mark(moves), Part(kind="objects", replaced=tuple(replaced), added=added, removed=tuple(removed)))
        if away:
            create_like(session, keep_as, database)
            _remember_keys(session, database, keep_as, away)
        rename_tables(session, moves, int(access.settings.lock_timeout))
        session.interruptible = False
        reporter.log(f"{len(tables) + len(removed)} tables of {database} were exchanged by one RENAME TABLE")
        _finish(session, change)
        return bool(away)


def settle_tables(access: Access, mark: str, change: PartChange) -> Literal["old", "new"]:
    """Whether one RENAME TABLE was made, once none of ours is waiting any more. Raises RestoreError.

    `mark` is the first table that it moves: it was where it came from before, and is not any more.
    """
    source, name, destination = msgspec.json.decode(mark, type=tuple[str, str, str])
    with waiting_session(access, fallback=RestoreError) as session:
        take_over_renaming(session, change.keep_as)
        # What another statement of ours renames names the live database too.
        end_rename(session, destination if destination == change.keep_as else source, change.database)
        if destination == change.keep_as:
            moved = name in {table.name for table in existing_tables(session, destination)}
        else:
            moved = name not in {table.name for table in existing_tables(session, source)}
        if moved and not _taken_back(session, change, int(access.settings.lock_timeout)):
            _finish(session, change)
            return "new"
        if database_exists(session, change.keep_as):
            _cut_keys(session, change.keep_as)
            session.execute(f"DROP TABLE IF EXISTS {quote(change.keep_as)}.{quote(_KEYS)}")
            if not existing_tables(session, change.keep_as):
                session.execute(f"DROP DATABASE {quote(change.keep_as)}")
        return "old"


def _taken_back(session: Session, change: PartChange, patience: int) -> bool:
    """Whether only a part was moved, as where the session was killed (see `mysql_half_made`); then all are back."""
    kept, there, fresh = (
        {table.name for table in existing_tables(session, place)} - {_KEYS}
        for place in (change.keep_as, change.database, change.beside)
    )
    wanted = fresh if change.back else fresh.intersection(change.tables)
    if not wanted:
        return False
    came = there.intersection((*change.tables, *kept)) - fresh
    moves = [Move(change.database, name, change.beside) for name in sorted(came)]
    moves += [Move(change.keep_as, name, change.database) for name in sorted(kept)]
    rename_tables(session, moves, patience)
    return True


def _mark(moves: Sequence[Move]) -> str:
    return msgspec.json.encode(moves[0][:3]).decode()


def _chosen(session: Session, change: PartChange) -> list[str]:
    loaded = {table.name for table in existing_tables(session, change.beside)}
    wanted = sorted(loaded - {_KEYS}) if change.back else list(change.tables)
    if others := [name for name in wanted if name not in loaded]:
        raise impossible(others[0], f"{', '.join(others)} is no table")
    if not wanted and not change.remove:
        raise impossible(change.database, "none is there")
    return wanted


def _finish(session: Session, change: PartChange) -> None:
    """After the rename; it may be done again."""
    _cut_keys(session, change.keep_as)
    session.execute(f"DROP DATABASE IF EXISTS {quote(change.beside)}")


def _remember_keys(session: Session, database: str, keep_as: str, tables: Sequence[str]) -> None:
    """Write down the foreign keys to tables that stay: they are cut after the rename, and made again at an undo."""
    session.execute(
        f"CREATE TABLE {quote(keep_as)}.{quote(_KEYS)} (name VARCHAR(64) NOT NULL, definition TEXT NOT NULL) "
        "CHARACTER SET utf8mb4"
    )
    staying = {quote(table) for table in tables}
    for name in tables:
        definition = str(session.rows(f"SHOW CREATE TABLE {quote(database)}.{quote(name)}")[0][1])
        for head, _, parent, rest in _FOREIGN_KEY.findall(definition):
            if parent not in staying:
                session.execute(
                    f"INSERT INTO {quote(keep_as)}.{quote(_KEYS)} VALUES (%s, %s)",  # noqa: S608  # quoted
                    [name, f"ADD {head}{quote(database)}.{parent} {rest}"],
                )


def _cut_keys(session: Session, keep_as: str) -> None:
    """Let what is kept refer to no live table: it would keep rows there from going, or lose its own with them."""
    for table, key in session.rows(_KEYS_TO_OTHERS, [keep_as, keep_as]):
        session.execute(f"ALTER TABLE {quote(keep_as)}.{quote(str(table))} DROP FOREIGN KEY {quote(str(key))}")


def _make_keys_again(session: Session, kept: str, database: str) -> None:
    """Give what was kept its foreign keys to the live tables back; they are checked. Raises RestoreError."""
    import pymysql

    if _KEYS not in {table.name for table in existing_tables(session, kept)}:
        return
    _cut_keys(session, kept)
    session.execute("SET SESSION foreign_key_checks = 1")
    for name, definition in session.rows(f"SELECT name, definition FROM {quote(kept)}.{quote(_KEYS)}"):  # noqa: S608
        try:
            session.execute(f"ALTER TABLE {quote(kept)}.{quote(str(name))} {definition}")
        except pymysql.MySQLError as error:
            raise RestoreError(
                f"Rows of {name} refer to rows of {database} that are not there any more: {error.args[-1]}; "
                "nothing was changed",
                subject=str(name),
                hint=f"Put these rows back first, or look at what is kept in {kept}",
            ) from None


def refuse_obstacles(session: Session, database: str, tables: Sequence[str], beside: str | None = None) -> None:
    """Raise RestoreError where a RENAME TABLE of live tables, and of those beside, would lose or bend something."""
    for place in (database,) if beside is None else (database, beside):
        if triggers := session.rows(_TRIGGERS, [place, tuple(tables)]):
            raise impossible(tables[0], f"they have triggers ({', '.join(str(name) for (name,) in triggers[:5])})")
        if elsewhere := [name for name in tables_elsewhere(session, place) if name in tables]:
            raise impossible(elsewhere[0], f"{', '.join(elsewhere[:5])} in {place} has files in a DATA DIRECTORY")
    if keys := session.rows(_KEYS_OF_OTHERS, [database, tuple(tables), database, tuple(tables)]):
        schema, table, parent = keys[0]
        raise impossible(str(parent), f"a foreign key of {schema}.{table} points to {parent} and would follow it away")
    if beside is not None and has_sequence_default(session, beside, tables):
        raise impossible(tables[0], "a column takes its default from a sequence")


def has_sequence_default(session: Session, database: str, tables: Sequence[str]) -> bool:
    """Whether a column of these tables takes its default from a sequence."""
    return bool(session.value(_SEQUENCES, [database, tuple(tables)]))


def impossible(subject: str, reason: str) -> RestoreError:
    """The error where chosen tables cannot be exchanged."""
    return RestoreError(
        f"The chosen tables cannot be exchanged by a rename: {reason}; nothing was changed",
        subject=subject,
        hint="Restore them under another name with --into NAME, and copy from there",
    )


def _point_keys_to_the_live_tables(
    session: Session, beside: str, database: str, name: str, tables: Sequence[str]
) -> None:
    """Make the keys to tables that were not chosen anew: to the live ones, and so that they are checked.

    Raises RestoreError where there is no such table.
    """
    import pymysql

    chosen = {quote(table) for table in tables}
    table = f"{quote(beside)}.{quote(name)}"
    definition = str(session.rows(f"SHOW CREATE TABLE {table}")[0][1])
    for head, key, parent, rest in _FOREIGN_KEY.findall(definition):
        if parent not in chosen:
            session.execute(f"ALTER TABLE {table} DROP FOREIGN KEY {key}")
            session.execute("SET SESSION foreign_key_checks = 1")
            try:
                session.execute(f"ALTER TABLE {table} ADD {head}{quote(database)}.{parent} {rest}")
            except pymysql.MySQLError as error:
                if error.args[0] not in _NO_PARENT:
                    raise
                raise RestoreError(
                    f"{name} has a foreign key ({key}) to {parent}, and {database} has no such table with these "
                    "columns; nothing was changed",
                    subject=name,
                    hint=f"Choose {parent} too with --table, or restore under another name with --into NAME",
                ) from None
