"""Foreign keys between a database and others: written down, dropped and made again, as they follow a renamed table."""

import re
from collections.abc import Iterable, Sequence

import msgspec

from dgtui.engine.datasources.mysql_connection import Session
from dgtui.engine.datasources.mysql_errors import quote
from dgtui.engine.datasources.mysql_look import has_table
from dgtui.engine.datasources.mysql_rights import Grants
from dgtui.engine.errors import RestoreError
from dgtui.engine.model import Record
from dgtui.engine.reporting import Reporter
from dgtui.engine.sizes import counted

_CROSSING = """
SELECT TABLE_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME,
COLUMN_NAME, REFERENCED_COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE
WHERE REFERENCED_TABLE_SCHEMA IS NOT NULL AND TABLE_SCHEMA <> REFERENCED_TABLE_SCHEMA
AND (TABLE_SCHEMA = %s OR REFERENCED_TABLE_SCHEMA = %s) ORDER BY 1, 2, 3, ORDINAL_POSITION
"""
_THERE = """
SELECT COUNT(*) FROM information_schema.KEY_COLUMN_USAGE
WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s AND CONSTRAINT_NAME = %s AND REFERENCED_TABLE_SCHEMA IS NOT NULL
"""
_NAME = r"`(?:[^`]|``)+`"
_DEFINITION = re.compile(rf"(?m)^\s*CONSTRAINT ({_NAME}) (FOREIGN KEY [^\n]*?),?$")


class CrossingKey(Record, frozen=True):
    """A foreign key from a table of one database to a table of another."""

    database: str
    table: str
    name: str
    parent_database: str
    parent: str
    columns: tuple[tuple[str, str], ...]
    """Each with the column that it refers to."""
    definition: str = ""
    """What stands behind its name in the server's own words."""


def crossing_keys(session: Session, database: str) -> tuple[CrossingKey, ...]:
    """All foreign keys to and from a database, as far as we may see them; without their definitions."""
    found: dict[tuple[str, str, str], CrossingKey] = {}
    columns: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    for place, table, name, parent_place, parent, column, referenced in session.rows(_CROSSING, [database, database]):
        key = (str(place), str(table), str(name))
        columns.setdefault(key, []).append((str(column), str(referenced)))
        found[key] = CrossingKey(*key, str(parent_place), str(parent), tuple(columns[key]))
    return tuple(found.values())


def defined_keys(session: Session, database: str) -> tuple[CrossingKey, ...]:
    """The same, each with its definition."""
    statements: dict[tuple[str, str], dict[str, str]] = {}
    keys = []
    for key in crossing_keys(session, database):
        place = key.database, key.table
        if place not in statements:
            statements[place] = key_definitions(session, *place)
        keys.append(msgspec.structs.replace(key, definition=statements[place].get(quote(key.name), "")))
    return tuple(keys)


def key_definitions(session: Session, database: str, table: str) -> dict[str, str]:
    """What stands behind the name of each foreign key of a table; the names are quoted."""
    statement = session.rows(f"SHOW CREATE TABLE {_table(database, table)}")[0][1]
    return dict(_DEFINITION.findall(str(statement)))


def bound_databases(session: Session, database: str) -> tuple[tuple[str, str], ...]:
    """The databases that keys tie to this one and in which these may not be made anew, each with a right for that."""
    keys = crossing_keys(session, database)
    grants = Grants(session) if keys else None
    needed = {(key.database, "ALTER") for key in keys} | {(key.parent_database, "REFERENCES") for key in keys}
    return tuple(
        sorted(
            (name, right)
            for name, right in needed
            if name != database and grants is not None and not grants.allows(right, name)
        )
    )


def drop_keys(session: Session, keys: Iterable[CrossingKey]) -> None:
    """Drop those of the keys that are there."""
    for key in keys:
        if session.value(_THERE, [key.database, key.table, key.name]):
            session.execute(f"ALTER TABLE {_table(key.database, key.table)} DROP FOREIGN KEY {quote(key.name)}")


def make_keys(session: Session, keys: Sequence[CrossingKey], reporter: Reporter, database: str | None = None) -> None:
    """Make those of the keys that are not there, in `database` where one is given. Raises RestoreError.

    The rows are taken as they are, as with every key of a restored dump; those that point to nothing are told.
    """
    import pymysql

    for key in keys:
        place = database or key.database
        table = _table(place, key.table)
        if not has_table(session, place, key.table) or session.value(_THERE, [place, key.table, key.name]):
            continue
        session.execute("SET SESSION foreign_key_checks = 0")
        try:
            session.execute(f"ALTER TABLE {table} ADD CONSTRAINT {quote(key.name)} {key.definition}")
        except pymysql.MySQLError as error:
            raise RestoreError(
                f"The foreign key {key.name} of {place}.{key.table} cannot be made again: {error.args[-1]}",
                subject=f"{place}.{key.table}",
                hint="Drop that key, then try again",
            ) from None
        finally:
            session.execute("SET SESSION foreign_key_checks = 1")
        if orphans := _orphans(session, place, key):
            reporter.log(
                f"{counted(orphans, 'rows')} of {place}.{key.table} pointing to rows of "
                f"{key.parent_database}.{key.parent} that are not there: taken as they are",
                level="warning",
            )


def _orphans(session: Session, place: str, key: CrossingKey) -> int:
    if not has_table(session, key.parent_database, key.parent):
        return 0
    given = " AND ".join(f"c.{quote(column)} IS NOT NULL" for column, _ in key.columns)
    same = " AND ".join(f"c.{quote(column)} = p.{quote(parent)}" for column, parent in key.columns)
    child, parent = _table(place, key.table), _table(key.parent_database, key.parent)
    statement = (
        f"SELECT COUNT(*) FROM {child} c WHERE {given} "  # noqa: S608  # quoted
        f"AND NOT EXISTS (SELECT 1 FROM {parent} p WHERE {same})"
    )
    return int(session.value(statement))


def _table(database: str, table: str) -> str:
    return f"{quote(database)}.{quote(table)}"
