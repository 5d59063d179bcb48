"""Tables that are swapped together with their triggers, by going through the target's own database.

No table with triggers can be renamed into another database, and between dropping them and making them anew somebody may
write. Within one database they go with their table. So before the swap the tables that come in and have triggers lie
in the target's database already, under names of our own and with triggers that stand in for theirs, whose names the
former ones still have; and those with triggers that go stay there until the swap is made.

A name of a foreign key is there once in a database: those of the tables that come in and would meet one of the same
name have another name meanwhile.
"""

import re
from collections.abc import Iterator, Sequence

from dgtui.engine.datasources.mysql_connection import Session
from dgtui.engine.datasources.mysql_errors import quote
from dgtui.engine.datasources.mysql_keys import crossing_keys, key_definitions
from dgtui.engine.datasources.mysql_look import CARRIED, CARRIED_IN, CARRIED_OUT, has_table
from dgtui.engine.datasources.mysql_rename import Move, rename_tables
from dgtui.engine.datasources.mysql_triggers import Trigger, drop_triggers, make_stand_ins
from dgtui.engine.model import Record
from dgtui.engine.reporting import Reporter

_KEY = f"{CARRIED}key_"
_AT_HOME = f"{_KEY}at_home"
_KEYS = """
SELECT DISTINCT TABLE_NAME, CONSTRAINT_NAME FROM information_schema.KEY_COLUMN_USAGE
WHERE TABLE_SCHEMA = %s AND REFERENCED_TABLE_NAME IS NOT NULL ORDER BY 1, 2
"""

_INDEX = """
SELECT name FROM (
SELECT INDEX_NAME AS name, GROUP_CONCAT(COLUMN_NAME ORDER BY SEQ_IN_INDEX SEPARATOR '`') AS columns
FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s AND INDEX_NAME <> 'PRIMARY'
GROUP BY INDEX_NAME) AS indexes WHERE columns = (
SELECT GROUP_CONCAT(COLUMN_NAME ORDER BY ORDINAL_POSITION SEPARATOR '`') FROM information_schema.KEY_COLUMN_USAGE
WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s AND CONSTRAINT_NAME = %s AND REFERENCED_TABLE_NAME IS NOT NULL)
"""


class Exchange(Record, frozen=True):
    """The databases of a swap, and what is carried through the target's own one."""

    new: str
    current: str
    keep_as: str
    incoming: tuple[Trigger, ...] = ()
    """The triggers of the tables that come in and are carried."""
    former: tuple[Trigger, ...] = ()
    """Those of the tables that go."""
    keys: tuple[tuple[str, str], ...] = ()
    """Table and name of the incoming foreign keys that have another name meanwhile."""

    def tables_in(self) -> dict[str, str]:
        """The tables that come in with triggers, each with its name on the way."""
        return _numbered(CARRIED_IN, self.incoming)

    def tables_out(self) -> dict[str, str]:
        """Those with triggers that go."""
        return _numbered(CARRIED_OUT, self.former)


def _numbered(prefix: str, triggers: Sequence[Trigger]) -> dict[str, str]:
    names = sorted({trigger.table for trigger in triggers})
    return {name: f"{prefix}{number}" for number, name in enumerate(names)}


def meeting_keys(session: Session, change: Exchange) -> tuple[tuple[str, str], ...]:
    """The foreign keys that come in and would meet one of their name, each with its table.

    One that the server named after its table gets another name together with that.
    """
    ready, staying = change.tables_in(), change.tables_out()
    there = {str(name).lower(): str(table) for table, name in session.rows(_KEYS, [change.current])}
    met = []
    for table, name in session.rows(_KEYS, [change.new]):
        other = there.get(str(name).lower())
        follows = other == table and re.fullmatch(rf"(?i){re.escape(str(table))}_ibfk_\d+", str(name))
        if other is not None and not follows and (table in ready or other in staying):
            met.append((str(table), str(name)))
    return tuple(met)


def bring_in(session: Session, change: Exchange, patience: int) -> None:
    """Let what comes in with triggers lie ready in the target's database, all its triggers acting there."""
    tables = change.tables_in()
    for number, (table, name) in enumerate(change.keys):
        rename_key(session, change.new, table, name, f"{_KEY}{number}")
    rename_tables(session, [Move(change.new, name, change.current, tables[name]) for name in tables], patience)
    make_stand_ins(session, change.current, change.incoming, tables.__getitem__)


def moves_in(change: Exchange, names: Sequence[str]) -> Iterator[Move]:
    """How the tables of the new content get to their place."""
    ready = change.tables_in()
    for name in names:
        yield (
            Move(change.current, ready[name], change.current, name)
            if name in ready
            else Move(change.new, name, change.current)
        )


def moves_out(change: Exchange, names: Sequence[str]) -> Iterator[Move]:
    """How the former tables leave theirs; those with triggers are to be taken away by `take_out`."""
    staying = change.tables_out()
    for name in names:
        yield (
            Move(change.current, name, change.current, staying[name])
            if name in staying
            else Move(change.current, name, change.keep_as)
        )


def take_out(session: Session, change: Exchange, patience: int) -> None:
    """After the swap: move what stayed to the rest of what is kept, and give keys their names. It may be done again."""
    for name, staying in change.tables_out().items():
        if has_table(session, change.current, staying):
            drop_triggers(session, change.current, table=staying)
            rename_tables(session, [Move(change.current, staying, change.keep_as, name)], patience)
    names_again(session, change, change.current)


def bring_back(session: Session, change: Exchange, patience: int) -> None:
    """Take back what was brought in, where the swap was not made. It may be done again."""
    for name, ready in change.tables_in().items():
        if has_table(session, change.current, ready):
            drop_triggers(session, change.current, table=ready)
            rename_tables(session, [Move(change.current, ready, change.new, name)], patience)
    names_again(session, change, change.new)


def names_again(session: Session, change: Exchange, database: str) -> None:
    """Give the keys of what came in, and is in this database, their own names. It may be done again."""
    for number, (table, name) in enumerate(change.keys):
        if (table, f"{_KEY}{number}") in {(str(one), str(key)) for one, key in session.rows(_KEYS, [database])}:
            rename_key(session, database, table, f"{_KEY}{number}", name)


def rename_key(session: Session, database: str, table: str, name: str, new_name: str) -> None:
    """Give a foreign key another name by one statement, in which it is never absent; its rows are not read.

    The index that MariaDB makes with a key would get that name too, and be built anew: it is told the one that is
    there, which it takes from behind CONSTRAINT where another name is given for the key itself.
    """
    _make_anew(session, database, table, name, new_name, key_definitions(session, database, table)[quote(name)])


def keys_home(session: Session, database: str, former: str, reporter: Reporter) -> None:
    """Let the keys to tables that are nowhere, as a backup may leave one out, mean this database; again if need be.

    A key follows the table that it refers to. One to a table that is not there stays with the name of the database it
    was made in: it would refuse all rows for ever, even once that table is made where it belongs.
    """
    import pymysql

    for key in crossing_keys(session, database):
        if (key.database, key.parent_database) != (database, former):
            continue
        definition = key_definitions(session, database, key.table).get(quote(key.name))
        if definition is None:
            reporter.log(f"The foreign key {key.name} of {database}.{key.table} cannot be read", level="warning")
            continue
        definition = definition.replace(f"REFERENCES {quote(former)}.", f"REFERENCES {quote(database)}.", 1)
        try:
            # A statement that drops a key makes none of the same name; with two of them the key is never absent.
            _make_anew(session, database, key.table, key.name, _AT_HOME, definition)
            rename_key(session, database, key.table, _AT_HOME, key.name)
        except pymysql.MySQLError as error:
            reporter.log(
                f"The foreign key {key.name} of {database}.{key.table} still refers to {former}: {error.args[-1]}",
                level="warning",
            )


def _make_anew(session: Session, database: str, table: str, name: str, new_name: str, definition: str) -> None:
    columns = definition.removeprefix("FOREIGN KEY ")
    index = session.value(_INDEX, [database, table, database, table, name]) or new_name
    session.execute("SET SESSION foreign_key_checks = 0")
    try:
        session.execute(
            f"ALTER TABLE {quote(database)}.{quote(table)} DROP FOREIGN KEY {quote(name)}, "
            f"ADD CONSTRAINT {quote(str(index))} FOREIGN KEY {quote(new_name)} {columns}"
        )
    finally:
        session.execute("SET SESSION foreign_key_checks = 1")
