"""A RENAME TABLE of a swap that was made by half, and is taken back.

MariaDB undoes such a statement where a part of it fails, but not where its session is killed, as a shutdown of the
server does with all of them: the tables it had moved until then stay where they are.
"""

from collections.abc import Iterator
from typing import NamedTuple

from dgtui.engine.datasources.mysql_carrying import Exchange
from dgtui.engine.datasources.mysql_connection import Session
from dgtui.engine.datasources.mysql_look import MOVED_TABLE, OBJECTS_TABLE, database_exists, has_table
from dgtui.engine.datasources.mysql_rename import Move, movable, rename_tables
from dgtui.engine.errors import RestoreError


class _Places(NamedTuple):
    """Which tables lie where."""

    kept: list[str]
    there: list[str]
    fresh: list[str]


def take_half_back(session: Session, change: Exchange, patience: int) -> None:
    """Move the former tables back, and those that came in to where they came from; nothing where none is in between.

    Raises RestoreError, also where a table is in both places: then nobody can tell which of them is whole.
    """
    places = _Places(*(_tables(session, one) for one in (change.keep_as, change.current, change.new)))
    moved = has_table(session, change.keep_as, MOVED_TABLE)
    # The table that tells that all were moved goes last.
    unmoved = has_table(session, change.new, OBJECTS_TABLE)
    staying = any(has_table(session, change.current, out) for out in change.tables_out().values())
    if not (places.kept and (places.fresh or unmoved)) and not (staying and unmoved):
        return
    if doubled := sorted(set(places.kept) & set(places.there) & set(places.fresh)):
        raise RestoreError(
            f"{change.current} was swapped by half: {', '.join(doubled[:5])} lies in {change.keep_as} as well",
            subject=change.current,
            hint=f"Compare both, drop the one that is not whole, then move what {change.keep_as} holds back by RENAME "
            "TABLE; or restore the safety backup under another name",
        )
    moves = [*_moves(session, change, places)]
    if moved:
        moves.append(Move(change.keep_as, MOVED_TABLE, change.new, OBJECTS_TABLE))
    rename_tables(session, moves, patience)


def _tables(session: Session, database: str) -> list[str]:
    return movable(session, database) if database_exists(session, database) else []


def _moves(session: Session, change: Exchange, places: _Places) -> Iterator[Move]:
    """What came in goes first. The former tables leave before the first of those comes."""
    ready = change.tables_in()
    staying = {name for name, out in change.tables_out().items() if has_table(session, change.current, out)}
    gone = {*places.kept, *staying}
    for name in places.there if not gone.isdisjoint(places.there) else ():
        yield (
            Move(change.current, name, change.current, ready[name])
            if name in ready
            else Move(change.current, name, change.new)
        )
    for name in sorted(staying):
        yield Move(change.current, change.tables_out()[name], change.current, name)
    for name in places.kept:
        yield Move(change.keep_as, name, change.current)
