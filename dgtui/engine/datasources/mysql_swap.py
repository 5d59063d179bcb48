"""Putting one database in the place of another by a single RENAME TABLE, where that loses nothing."""

from typing import Literal

from dgtui.engine.datasources.mysql_carrying import Exchange, keys_home
from dgtui.engine.datasources.mysql_connection import Access, Session
from dgtui.engine.datasources.mysql_errors import quote
from dgtui.engine.datasources.mysql_exchange import exchange, holds_objects, settle_exchange
from dgtui.engine.datasources.mysql_look import database_exists, other_objects
from dgtui.engine.datasources.mysql_obstacles import missing_grants, obstacles
from dgtui.engine.datasources.mysql_properties import create_like
from dgtui.engine.datasources.mysql_rename import (
    Move,
    claim_renaming,
    disturbed,
    end_rename,
    movable,
    rename_tables,
    strangers_in,
    take_over_renaming,
)
from dgtui.engine.datasources.mysql_restore_watch import RestoreWatch
from dgtui.engine.datasources.mysql_waiting import waiting_session
from dgtui.engine.errors import DataGuardianError, RestoreError, SwapImpossible
from dgtui.engine.reporting import Reporter, SilentReporter
from dgtui.engine.sizes import counted


def swap_databases(access: Access, new: str, current: str, keep_as: str, reporter: Reporter) -> None:
    """Move `current`'s tables into `keep_as` and `new`'s tables into `current`, by one RENAME TABLE.

    A `current` that does not exist is made; a `keep_as` only where there is something to keep.

    The statement waits (at most `lock_timeout`) for the transactions that use the tables, then takes all of them at
    once: others see the old tables or the new ones, never a mixture, and their statements wait meanwhile. Prepared
    statements and grants go by name and hold on to the new tables. The server undoes the whole statement when a part
    of it fails. Where a database holds more than tables, that is made anew around the rename (see `mysql_exchange`).

    Raises RestoreError; then the old content is under `current`, or `settle_databases` brings it there.
    """
    with (
        waiting_session(access, fallback=RestoreError) as session,
        RestoreWatch(access, current, reporter, session),
    ):
        _refuse_obstacles(session, new, current, keep_as)
        claim_renaming(session, keep_as)
        if holds_objects(session, new, current):
            exchange(access, session, Exchange(new=new, current=current, keep_as=keep_as), reporter)
        else:
            _swap_tables(access, session, Exchange(new=new, current=current, keep_as=keep_as), reporter)


def _swap_tables(access: Access, session: Session, change: Exchange, reporter: Reporter) -> None:
    new, current, keep_as = change.new, change.current, change.keep_as
    old_tables, new_tables = movable(session, current), movable(session, new)
    if not database_exists(session, current):
        create_like(session, current, new)
    created = not database_exists(session, keep_as) and bool(old_tables)
    if created:
        create_like(session, keep_as, current)
    moves = [Move(current, name, keep_as) for name in old_tables] + [Move(new, name, current) for name in new_tables]
    try:
        rename_tables(session, moves, int(access.settings.lock_timeout))
    except DataGuardianError:
        if created and not movable(session, keep_as):
            session.execute(f"DROP DATABASE {quote(keep_as)}")
        raise
    session.interruptible = False
    if strangers := strangers_in(session, current, new_tables):
        rename_tables(session, [move.back for move in reversed(moves)], int(access.settings.lock_timeout))
        raise disturbed(current, strangers)
    keys_home(session, current, new, reporter)
    keys_home(session, keep_as, current, reporter)
    reporter.log(f"Now in {keep_as}: {counted(len(old_tables), 'tables')} of {current}")
    session.execute(f"DROP DATABASE {quote(new)}")


def settle_databases(access: Access, new: str, current: str, keep_as: str) -> Literal["old", "new"]:
    """Which tables are in `current`, once no RENAME TABLE of ours is waiting any more; what is empty is dropped.

    A server goes on with a statement whose client has died: it is ended first. Raises RestoreError.
    """
    with waiting_session(access, fallback=RestoreError) as session:
        take_over_renaming(session, keep_as)
        end_rename(session, keep_as, current)
        change = Exchange(new=new, current=current, keep_as=keep_as)
        if (found := settle_exchange(access, session, change, SilentReporter())) is not None:
            return found
        moved = database_exists(session, keep_as) and bool(movable(session, keep_as))
        if moved:
            keys_home(session, current, new, SilentReporter())
            keys_home(session, keep_as, current, SilentReporter())
        empty = new if moved else keep_as
        there = database_exists(session, empty)
        if there and not movable(session, empty) and not other_objects(session, empty):
            session.execute(f"DROP DATABASE {quote(empty)}")
    return "new" if moved else "old"


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
                detail=missing_grants(session, database, current),
            )
    if database_exists(session, keep_as) and (movable(session, keep_as) or other_objects(session, keep_as)):
        raise RestoreError(f"{keep_as} already exists and is not empty", subject=keep_as, hint="Drop or rename it")
