"""Putting one database in the place of another with a single RENAME TABLE, where that loses nothing."""

import contextlib
import time
from typing import Literal

from dgtui.engine.datasources.mysql_connection import Access, Session
from dgtui.engine.datasources.mysql_errors import LOCK_TIMEOUT, quote
from dgtui.engine.datasources.mysql_look import database_exists, existing_tables, other_objects
from dgtui.engine.datasources.mysql_properties import creation, read_properties
from dgtui.engine.errors import DataGuardianError, RestoreError, SwapImpossible
from dgtui.engine.reporting import Reporter

_PATIENCE = 3600.0
_END_SECONDS = 30.0
_RENAMES = """
SELECT ID FROM information_schema.PROCESSLIST
WHERE ID <> CONNECTION_ID() AND INFO LIKE 'RENAME TABLE %%' AND LOCATE(%s, INFO) > 0
"""
_FOREIGN_KEYS = """
SELECT COUNT(*) FROM information_schema.KEY_COLUMN_USAGE
WHERE REFERENCED_TABLE_SCHEMA IS NOT NULL AND TABLE_SCHEMA <> REFERENCED_TABLE_SCHEMA
AND (TABLE_SCHEMA = %s OR REFERENCED_TABLE_SCHEMA = %s)
"""
_SEQUENCE_DEFAULTS = """
SELECT COUNT(*) FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = %s AND COLUMN_DEFAULT LIKE '%%nextval(%%'
"""


def obstacles(session: Session, database: str) -> tuple[str, ...]:
    """Why the database cannot be moved by RENAME TABLE without losing or bending something; empty when it can.

    RENAME TABLE moves tables only: views, routines, events and sequences would stay behind, triggers forbid it, and
    foreign keys to or from other databases would follow the table to its new name.
    """
    others = other_objects(session, database)
    reasons = [", ".join(others[:5]) + (f" and {len(others) - 5} more" if len(others) > 5 else "")] if others else []
    if session.value(_FOREIGN_KEYS, [database, database]):
        reasons.append("foreign keys to or from another database")
    if session.value(_SEQUENCE_DEFAULTS, [database]):
        reasons.append("columns that take their default from a sequence")
    return tuple(reasons)


def swap_databases(access: Access, new: str, current: str, keep_as: str, reporter: Reporter) -> None:
    """Move `current`'s tables into `keep_as` and `new`'s tables into `current`, by one RENAME TABLE.

    A `current` that does not exist is made; a `keep_as` only where there is something to keep.

    The statement waits (at most `lock_timeout`) for the transactions that use the tables, then takes all of them at
    once: others see the old tables or the new ones, never a mixture, and their statements wait meanwhile. Prepared
    statements and grants go by name and hold on to the new tables. The server undoes the whole statement when a part
    of it fails. Where a database holds more than tables, nothing is touched.

    Raises RestoreError; then the old content is under `current`.
    """
    with access.session(patience=_PATIENCE, fallback=RestoreError) as session:
        _refuse_obstacles(session, new, current, keep_as)
        old_tables = [table.name for table in existing_tables(session, current)]
        new_tables = [table.name for table in existing_tables(session, new)]
        if not database_exists(session, current):
            create_like(session, current, new)
        created = not database_exists(session, keep_as) and bool(old_tables)
        if created:
            create_like(session, keep_as, current)
        moves = [(current, name, keep_as) for name in old_tables] + [(new, name, current) for name in new_tables]
        try:
            rename_tables(session, moves, int(access.settings.lock_timeout))
        except DataGuardianError:
            if created:
                session.execute(f"DROP DATABASE {quote(keep_as)}")
            raise
        _refuse_strangers(session, current, set(new_tables), moves, int(access.settings.lock_timeout))
        reporter.log(f"{len(old_tables)} tables of {current} are now in {keep_as}")
        session.execute(f"DROP DATABASE {quote(new)}")


def settle_databases(access: Access, new: str, current: str, keep_as: str) -> Literal["old", "new"]:
    """Which tables are in `current`, once no RENAME TABLE of ours is waiting any more; what is empty is dropped.

    A server goes on with a statement whose client has died: it is ended first. Raises RestoreError.
    """
    with access.session(patience=_PATIENCE, fallback=RestoreError) as session:
        end_rename(session, keep_as, current)
        moved = database_exists(session, keep_as) and bool(existing_tables(session, keep_as))
        empty = new if moved else keep_as
        there = database_exists(session, empty)
        if there and not existing_tables(session, empty) and not other_objects(session, empty):
            session.execute(f"DROP DATABASE {quote(empty)}")
    return "new" if moved else "old"


def end_rename(session: Session, keep_as: str, current: str) -> None:
    """End every RENAME TABLE that names `keep_as`: its client is gone. Raises RestoreError."""
    import pymysql

    deadline = time.monotonic() + _END_SECONDS
    while found := session.rows(_RENAMES, [quote(keep_as)]):
        for (connection,) in found:
            with contextlib.suppress(pymysql.MySQLError):
                session.execute(f"KILL {int(connection)}")
        if time.monotonic() > deadline:
            raise RestoreError(
                f"The tables of {current} are still being renamed",
                subject=current,
                hint="Look at SHOW PROCESSLIST for who does so, then try again",
            )
        time.sleep(0.05)


def create_like(session: Session, database: str, like: str | None) -> None:
    """Make an empty database with the properties of another, where one is given."""
    properties = read_properties(session, like) if like is not None else None
    session.execute(creation(database, properties, session.server))


def _refuse_obstacles(session: Session, new: str, current: str, keep_as: str) -> None:
    if not database_exists(session, new):
        raise RestoreError(f"There is no database {new}", subject=new)
    for database in (current, new):
        if reasons := obstacles(session, database):
            raise SwapImpossible(
                f"{database} cannot be swapped in: RENAME TABLE would not carry over {'; '.join(reasons)}",
                subject=database,
                hint="Restore under another name with --into NAME and point the application there, or empty the target "
                "and restore into it",
            )
    if database_exists(session, keep_as) and (existing_tables(session, keep_as) or other_objects(session, keep_as)):
        raise RestoreError(f"{keep_as} already exists and is not empty", subject=keep_as, hint="Drop or rename it")


def rename_tables(session: Session, moves: list[tuple[str, str, str]], lock_timeout: int) -> None:
    """Move tables (from, name, to) by one statement, which waits at most `lock_timeout` seconds for each."""
    import pymysql

    if not moves:
        return
    parts = (
        f"{quote(source)}.{quote(name)} TO {quote(destination)}.{quote(name)}" for source, name, destination in moves
    )
    session.execute(f"SET SESSION lock_wait_timeout = {max(1, lock_timeout)}")
    try:
        session.execute(f"RENAME TABLE {', '.join(parts)}")
    except pymysql.MySQLError as error:
        code = error.args[0] if error.args else 0
        busy = code == LOCK_TIMEOUT
        raise RestoreError(
            f"The tables could not be swapped: {error.args[-1] if error.args else error}",
            subject=moves[0][0],
            hint=f"They were in use for more than {lock_timeout} s; end what uses them"
            if busy
            else "Nothing was moved",
        ) from None


def _refuse_strangers(
    session: Session, current: str, expected: set[str], moves: list[tuple[str, str, str]], lock_timeout: int
) -> None:
    """A table or more that somebody made between our look and the rename: then everything goes back."""
    found = {table.name for table in existing_tables(session, current)}
    strangers = sorted(found - expected) + list(other_objects(session, current))
    if not strangers:
        return
    back = [(destination, name, source) for source, name, destination in reversed(moves)]
    rename_tables(session, back, lock_timeout)
    raise RestoreError(
        f"Somebody made {', '.join(strangers[:5])} in {current} meanwhile; the swap was undone",
        subject=current,
        hint="Stop the application, then try again",
    )
