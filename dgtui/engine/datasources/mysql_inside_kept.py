"""The former tables of a database that was exchanged within itself: they stay in it, under names of our own.

Their rows are kept, with all that others wrote until the exchange. Their triggers and foreign keys are not: each name
of these is there once in a database, and they have to act upon the new tables alone.
"""

from collections.abc import Sequence

from dgtui.engine.datasources.mysql_connection import Session
from dgtui.engine.datasources.mysql_errors import quote
from dgtui.engine.datasources.mysql_keys import key_definitions
from dgtui.engine.datasources.mysql_look import CARRIED, carried_tables, has_table
from dgtui.engine.datasources.mysql_rename import Move, rename_tables
from dgtui.engine.datasources.own_names import OLD_SUFFIX
from dgtui.engine.model import ObjectInfo

_KEPT = f"{CARRIED}old_"
_LONGEST_NAME = 64


def kept_name(database: str, suffix: str) -> str:
    """What the former tables within a database are called together."""
    # The number that tells two of one moment apart must not pass for that of a table.
    moment = suffix.removeprefix(OLD_SUFFIX).replace("_", "n")
    return f"{database}.{_KEPT}{moment}*"


def kept_within(place: str) -> tuple[str, str] | None:
    """The database within which a place keeps former tables, and how their names begin; None for any other place."""
    database, found, moment = place.removesuffix("*").rpartition(f".{_KEPT}")
    return (database, f"{_KEPT}{moment}") if found and place.endswith("*") else None


def keep_tables(
    session: Session, database: str, tables: Sequence[tuple[str, str]], record: str, beginning: str, patience: int
) -> None:
    """Keep former tables, each given with its present name, by one RENAME TABLE.

    `record`, the table in which they are written down, goes last: where it is gone, that was done.
    """
    moves = _moves(database, tables, beginning)
    rename_tables(session, [*moves, Move(database, record, database, beginning)], patience)


def release_tables(
    session: Session, database: str, tables: Sequence[tuple[str, str]], beginning: str, patience: int
) -> None:
    """Give those of them that are kept already the names again that they had before."""
    moves = _moves(database, tables, beginning)
    kept = [move for move in moves if has_table(session, database, move.new_name)]
    rename_tables(session, [move.back for move in kept], patience)


def _moves(database: str, tables: Sequence[tuple[str, str]], beginning: str) -> list[Move]:
    return [
        Move(database, present, database, f"{beginning}_{number}_{name}"[:_LONGEST_NAME].rstrip())
        for number, (name, present) in enumerate(tables)
    ]


def cut_kept_keys(session: Session, database: str, beginning: str) -> None:
    """Drop the foreign keys of what is kept: it would hold rows of others fast, and their names are needed."""
    for table in _tables(session, database, beginning):
        for key in key_definitions(session, database, table):
            session.execute(f"ALTER TABLE {quote(database)}.{quote(table)} DROP FOREIGN KEY {key}")


def kept_objects(session: Session, database: str, beginning: str) -> tuple[ObjectInfo, ...]:
    """The tables that are kept."""
    return tuple(ObjectInfo(name=table) for table in _tables(session, database, beginning))


def drop_kept(session: Session, database: str, beginning: str) -> None:
    """Drop what is kept; the table in which it is written down goes last."""
    names = [*_tables(session, database, beginning), beginning]
    session.execute("SET SESSION foreign_key_checks = 0")
    session.execute(f"DROP TABLE IF EXISTS {', '.join(f'{quote(database)}.{quote(name)}' for name in names)}")
    session.execute("SET SESSION foreign_key_checks = 1")


def is_kept(session: Session, database: str, beginning: str) -> bool:
    """Whether something of the kind is there."""
    return any(name.startswith(beginning) for name in carried_tables(session, database))


def kept_tables(session: Session, database: str) -> tuple[str, ...]:
    """All that are kept in a database, of whatever restore."""
    return tuple(name for name in carried_tables(session, database) if name.startswith(_KEPT))


def _tables(session: Session, database: str, beginning: str) -> list[str]:
    return [name for name in carried_tables(session, database) if name.startswith(f"{beginning}_")]
