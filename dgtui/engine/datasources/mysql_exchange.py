"""A swap of databases that hold more than tables: one RENAME TABLE, and the rest made anew around it.

What both databases hold beside their tables is written down first: that of `new` in `new` itself, that of `current` in
`keep_as`. Only then the events of `current` go; the tables are renamed, those with triggers together with these (see
`mysql_carrying`), and with them, in the same statement, the table in which the objects of `new` are written down. So
where that table is tells whether the rename was made, and whoever comes after knows what is to be made: the objects of
`new` where it was, else those of `current`. Foreign keys between `current` and other databases are written down too:
those of others would follow a table to its new name, and are dropped before the rename and made again after it; those
that go out from what is kept are dropped, so that it holds nothing in other databases fast.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from dgtui.engine.datasources.mysql_carrying import (
    Exchange,
    bring_back,
    bring_in,
    keys_home,
    meeting_keys,
    moves_in,
    moves_out,
    names_again,
    take_out,
)
from dgtui.engine.datasources.mysql_connection import Access, Session
from dgtui.engine.datasources.mysql_errors import quote
from dgtui.engine.datasources.mysql_half_made import take_half_back
from dgtui.engine.datasources.mysql_keys import crossing_keys, drop_keys, make_keys
from dgtui.engine.datasources.mysql_look import MOVED_TABLE, OBJECTS_TABLE, database_exists, has_table, other_objects
from dgtui.engine.datasources.mysql_objects import (
    Objects,
    drop_events,
    drop_objects,
    drop_views,
    make_missing,
    make_objects,
    read_objects,
    save_objects,
    saved_objects,
)
from dgtui.engine.datasources.mysql_properties import create_like, properties_again
from dgtui.engine.datasources.mysql_rename import Move, disturbed, movable, not_swapped, rename_tables, strangers_in
from dgtui.engine.datasources.mysql_triggers import drop_triggers, is_stand_in, make_stand_ins, read_triggers
from dgtui.engine.errors import RestoreError
from dgtui.engine.reporting import Reporter

_SEQUENCE_DEFAULTS = """
SELECT TABLE_NAME, COLUMN_NAME, COLUMN_DEFAULT FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = %s AND LOCATE(%s, COLUMN_DEFAULT) > 0
"""


def holds_objects(session: Session, new: str, current: str) -> bool:
    """Whether a swap has more to do than to move tables."""
    return (
        has_table(session, new, OBJECTS_TABLE)
        or bool(session.rows(_SEQUENCE_DEFAULTS, [new, f"({quote(new)}."]))
        or any(other_objects(session, database, sequences=False) for database in (new, current))
        or any(crossing_keys(session, database) for database in (new, current))
    )


def exchange(access: Access, session: Session, change: Exchange, reporter: Reporter) -> None:
    """Swap. After an error `settle_exchange` has to be asked what is in place. Raises RestoreError."""
    new, current, keep_as = change.new, change.current, change.keep_as
    if not database_exists(session, current):
        create_like(session, current, new)
    _write_down(access, session, new)
    drop_triggers(session, new)
    if not database_exists(session, keep_as):
        create_like(session, keep_as, current)
    _write_down(access, session, keep_as, of=current)
    known = other_objects(session, current, sequences=False)
    _let_go(session, change, int(access.settings.lock_timeout))
    old_tables, new_tables = movable(session, current), movable(session, new)
    change = _carrying(session, change)
    change = msgspec.structs.replace(change, keys=meeting_keys(session, change))
    save_objects(session, new, msgspec.structs.replace(_saved(session, new), renamed_keys=change.keys))
    bring_in(session, change, int(access.settings.lock_timeout))
    _rename(access, session, change, old_tables, new_tables)
    session.interruptible = False
    if strangers := strangers_in(session, current, new_tables, known):
        _take_back(access, session, change, reporter, strangers)
        raise disturbed(current, strangers)
    reporter.log(f"{len(old_tables)} tables of {current} are now in {keep_as}")
    _finish(access, session, change, reporter)


def settle_exchange(
    access: Access, session: Session, change: Exchange, reporter: Reporter
) -> Literal["old", "new"] | None:
    """Bring a swap to its end or back, by what is where; None where no swap of this kind was begun."""
    _have_patience(session, int(access.settings.lock_timeout))
    change = _carrying(session, change)
    take_half_back(session, change, int(access.settings.lock_timeout))
    if has_table(session, change.keep_as, MOVED_TABLE):
        try:
            _finish(access, session, change, reporter)
        except RestoreError:
            _take_back(access, session, change, reporter)
            return "old"
        return "new"
    former = saved_objects(session, change.keep_as)
    if former is None:
        if has_table(session, change.keep_as, OBJECTS_TABLE):
            session.execute(f"DROP DATABASE {quote(change.keep_as)}")
            return "old"
        return None
    if not has_table(session, change.new, OBJECTS_TABLE):
        return "new"
    bring_back(session, change, int(access.settings.lock_timeout))
    make_missing(access, session, change.current, former, reporter)
    make_keys(session, former.keys_of_others, reporter)
    properties_again(session, change.current, change.keep_as)
    session.execute(f"DROP DATABASE {quote(change.keep_as)}")
    return "old"


def _carrying(session: Session, change: Exchange) -> Exchange:
    """The same with what is carried, as far as that was written down; MySQL renames tables while they are locked."""
    if session.server.flavour == "mysql":
        return change
    moved = has_table(session, change.keep_as, MOVED_TABLE)
    incoming = _saved(session, change.keep_as, MOVED_TABLE) if moved else _saved(session, change.new)
    former = _saved(session, change.keep_as)
    return msgspec.structs.replace(
        change, incoming=incoming.triggers, former=former.triggers, keys=incoming.renamed_keys
    )


def _saved(session: Session, place: str, table: str = OBJECTS_TABLE) -> Objects:
    return saved_objects(session, place, table) or Objects()


def _let_go(session: Session, change: Exchange, patience: int) -> None:
    """Drop the foreign keys of other databases, which would follow the tables."""
    import pymysql

    _have_patience(session, patience)
    try:
        drop_keys(session, _saved(session, change.keep_as).keys_of_others)
    except pymysql.MySQLError as error:
        raise not_swapped(session, error, change.current, patience) from None


def _have_patience(session: Session, seconds: int) -> None:
    session.execute(f"SET SESSION lock_wait_timeout = {max(1, seconds)}")


def _write_down(access: Access, session: Session, place: str, of: str | None = None) -> None:
    """Write down what is in a database beside its tables; what is kept from an earlier swap has that already."""
    saved = saved_objects(session, place)
    if saved is None or saved.events_alone:
        objects = read_objects(access, session, of or place, events=saved.dump if saved is not None else b"")
        save_objects(session, place, objects)


def _rename(access: Access, session: Session, change: Exchange, old_tables: list[str], new_tables: list[str]) -> None:
    """Take away what acts by itself and what has the name of a table to come, and move the tables."""
    current, patience = change.current, int(access.settings.lock_timeout)
    moves = [*moves_out(change, old_tables), *moves_in(change, new_tables)]
    moves.append(Move(change.new, OBJECTS_TABLE, change.keep_as, MOVED_TABLE))
    drop_events(session, current)
    drop_views(session, current, new_tables)
    if session.server.flavour == "mysql":
        _rename_locked(session, change, moves, patience)
    else:
        rename_tables(session, moves, patience)


def _rename_locked(session: Session, change: Exchange, moves: list[Move], patience: int) -> None:
    """Hold writers out while there are no triggers: MySQL renames tables as they are locked."""
    incoming = _saved(session, change.new).triggers
    if not incoming and not read_triggers(session, change.current):
        rename_tables(session, moves, patience)
        return
    _lock(session, [(move.source, move.name) for move in moves], patience)
    drop_triggers(session, change.current)
    rename_tables(session, moves, patience)
    make_stand_ins(session, change.current, incoming, lambda name: name)
    session.execute("UNLOCK TABLES")


def _lock(session: Session, tables: list[tuple[str, str]], patience: int) -> None:
    import pymysql

    names = ", ".join(f"{quote(database)}.{quote(name)} WRITE" for database, name in tables)
    _have_patience(session, patience)
    try:
        session.execute(f"LOCK TABLES {names}")
    except pymysql.MySQLError as error:
        raise not_swapped(session, error, tables[0][0], patience) from None


def _finish(access: Access, session: Session, change: Exchange, reporter: Reporter) -> None:
    """After the rename: make what `new` held in `current`. It may be done again. Raises RestoreError."""
    incoming = _saved(session, change.keep_as, MOVED_TABLE)
    former = _saved(session, change.keep_as)
    take_out(session, change, int(access.settings.lock_timeout))
    drop_objects(session, change.current)
    _point_to_the_moved_sequences(session, change)
    grants = (*former.grants, *incoming.grants)
    make_objects(
        access, change.current, Objects(dump=incoming.dump, grants=grants, triggers=incoming.triggers), reporter
    )
    drop_triggers(session, change.current, is_stand_in)
    keys_home(session, change.current, change.new, reporter)
    keys_home(session, change.keep_as, change.current, reporter)
    drop_keys(session, (key for key in crossing_keys(session, change.keep_as) if key.database == change.keep_as))
    make_keys(session, former.keys_of_others, reporter)
    make_keys(session, incoming.keys_to_others, reporter, change.current)
    properties_again(session, change.current, change.keep_as)
    session.execute(f"DROP DATABASE IF EXISTS {quote(change.new)}")
    session.execute(f"DROP TABLE {quote(change.keep_as)}.{quote(MOVED_TABLE)}")


def _point_to_the_moved_sequences(session: Session, change: Exchange) -> None:
    """A default names the database of its sequence, and does not follow it.

    All defaults of a table change at once: the server looks at each, and those left have their sequence no more.
    """
    before, after = f"({quote(change.new)}.", f"({quote(change.current)}."
    defaults: dict[str, list[str]] = {}
    for table, column, default in session.rows(_SEQUENCE_DEFAULTS, [change.current, before]):
        changed = f"ALTER COLUMN {quote(str(column))} SET DEFAULT ({str(default).replace(before, after)})"
        defaults.setdefault(str(table), []).append(changed)
    for table, changes in defaults.items():
        session.execute(f"ALTER TABLE {quote(change.current)}.{quote(table)} {', '.join(changes)}")


def _take_back(
    access: Access, session: Session, change: Exchange, reporter: Reporter, strangers: Sequence[str] = ()
) -> None:
    """Move the tables back, and make what `current` held. Raises RestoreError; then it may be done again."""
    new, current, keep_as = change.new, change.current, change.keep_as
    former = _saved(session, keep_as)
    if not database_exists(session, new):
        create_like(session, new, current)
    drop_keys(session, former.keys_of_others)
    staying = {out: name for name, out in change.tables_out().items() if has_table(session, current, out)}
    if strangers:
        drop_triggers(session, current, is_stand_in)
    else:
        drop_objects(session, current)
        drop_triggers(session, current, lambda trigger: trigger.table not in staying)
    moves = [Move(current, name, new) for name in movable(session, current) if name not in strangers]
    moves += [Move(current, out, current, name) for out, name in staying.items()]
    moves += [Move(keep_as, name, current) for name in movable(session, keep_as)]
    moves.append(Move(keep_as, MOVED_TABLE, new, OBJECTS_TABLE))
    rename_tables(session, moves, int(access.settings.lock_timeout))
    names_again(session, change, new)
    keys_home(session, current, keep_as, reporter)
    make_missing(access, session, current, former, reporter)
    make_keys(session, former.keys_of_others, reporter)
    make_keys(session, former.keys_to_others, reporter, current)
    properties_again(session, current, keep_as)
    session.execute(f"DROP DATABASE {quote(keep_as)}")
