"""A swap within one database, for a user who may make no others: the new tables lie in it under names of our own.

One RENAME TABLE gives them their names and the former ones names of our own. What else the database holds, and what
shall be in its place, is written down before in tables of its own: `_FORMER` and `_COMING`; the latter gets the name
`_CAME` in that same statement, so that where the process dies it can be told whether it was made. Once everything is
in its place the former tables are kept (see `mysql_inside_kept`); what went with them is in the safety backup alone.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from dgtui.engine.datasources.dumping import Archive
from dgtui.engine.datasources.loading import LoadOutcome
from dgtui.engine.datasources.mysql_carrying import rename_key
from dgtui.engine.datasources.mysql_connection import Access, Session
from dgtui.engine.datasources.mysql_errors import quote
from dgtui.engine.datasources.mysql_inside_kept import cut_kept_keys, keep_tables, kept_within, release_tables
from dgtui.engine.datasources.mysql_inside_script import KEY, InsideScript
from dgtui.engine.datasources.mysql_keys import drop_keys, key_definitions, make_keys
from dgtui.engine.datasources.mysql_load import load_archive
from dgtui.engine.datasources.mysql_look import (
    CARRIED,
    CARRIED_IN,
    CARRIED_OUT,
    carried_tables,
    count_rows,
    has_table,
    other_objects,
)
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
from dgtui.engine.datasources.mysql_obstacles import missing_grants, obstacles
from dgtui.engine.datasources.mysql_properties import read_properties
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
from dgtui.engine.datasources.mysql_triggers import drop_triggers, is_stand_in
from dgtui.engine.datasources.mysql_waiting import waiting_session
from dgtui.engine.errors import RestoreError, SwapImpossible
from dgtui.engine.model import ObjectInfo
from dgtui.engine.reporting import Reporter, SilentReporter

_COMING = f"{CARRIED}coming"
_CAME = f"{CARRIED}came"
_FORMER = f"{CARRIED}former"
_ENDING = f".{CARRIED_IN}*"


def inside_name(database: str) -> str:
    """What the new tables within a database are called together."""
    return f"{database}{_ENDING}"


def inside_of(place: str) -> str | None:
    """The database within which a place is; None where it is a database itself."""
    return place.removesuffix(_ENDING) if place.endswith(_ENDING) else None


def load_inside(access: Access, archive: Archive, database: str, reporter: Reporter) -> LoadOutcome:
    """Load an archive's tables into a database, under names of our own, and write down the rest."""
    script = InsideScript(database)
    outcome = load_archive(access, archive, script, reporter)
    if not outcome.errors:
        with access.session(fallback=RestoreError) as session:
            _write_down_loaded(session, database, script)
    return outcome


def _write_down_loaded(session: Session, database: str, script: InsideScript) -> None:
    """Write down what was loaded into a database under names of our own."""
    loaded = Objects(
        dump=script.dump,
        triggers=tuple(script.triggers),
        tables=tuple(script.tables.items()),
        renamed_keys=tuple(script.keys),
    )
    save_objects(session, database, loaded, _COMING)


def loaded_tables(session: Session, database: str) -> dict[str, str]:
    """The tables that were loaded into a database, each with its name there."""
    return dict((saved_objects(session, database, _COMING) or Objects()).tables)


def loaded_objects(session: Session, database: str) -> tuple[ObjectInfo, ...]:
    """These tables with their rows counted."""
    return tuple(
        ObjectInfo(name=name, rows=_rows_of(session, database, ready), rows_exact=True)
        for name, ready in loaded_tables(session, database).items()
    )


def _rows_of(session: Session, database: str, table: str) -> int:
    statement = "SELECT TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"
    kind = session.value(statement, [database, table])
    return count_rows(session, database, table, versioned=kind == "SYSTEM VERSIONED")


def remove_loaded(session: Session, database: str) -> None:
    """Drop what was loaded into a database, and is not in its place."""
    ours = carried_tables(session, database)
    _drop(session, database, [name for name in ours if name.startswith(CARRIED_IN)])
    _drop(session, database, [_COMING])


def is_loaded(session: Session, database: str) -> bool:
    """Whether something of the kind is there."""
    return any(name.startswith((CARRIED_IN, _COMING)) for name in carried_tables(session, database))


def exchange_inside(access: Access, database: str, keep_as: str, reporter: Reporter) -> None:
    """Put what was loaded into a database in the place of what it holds. Raises RestoreError, SwapImpossible.

    After an error `settle_within` has to be asked what is in place.
    """
    with (
        waiting_session(access, fallback=RestoreError) as session,
        RestoreWatch(access, database, reporter, session),
    ):
        if reasons := obstacles(session, database):
            raise SwapImpossible(
                f"{database} cannot be swapped: RENAME TABLE would not carry over {'; '.join(reasons)}",
                subject=database,
                detail=missing_grants(session, database),
            )
        claim_renaming(session, database)
        _exchange(access, session, database, keep_as, reporter)


def settle_within(access: Access, database: str, keep_as: str) -> Literal["old", "new"]:
    """Bring a swap to its end or back, by what is where; whether the new content is in place. Raises RestoreError."""
    with waiting_session(access, fallback=RestoreError) as session:
        return _settle(access, session, database, keep_as, SilentReporter())


def _exchange(access: Access, session: Session, database: str, keep_as: str, reporter: Reporter) -> None:
    """Swap. After an error `_settle` has to be asked what is in place. Raises RestoreError."""
    patience = max(1, int(access.settings.lock_timeout))
    session.execute(f"SET SESSION lock_wait_timeout = {patience}")
    coming = saved_objects(session, database, _COMING)
    if coming is None:
        raise RestoreError(f"What was loaded into {database} is not there any more", subject=database)
    found, properties = read_objects(access, session, database), read_properties(session, database)
    going = tuple((name, f"{CARRIED_OUT}{number}") for number, name in enumerate(movable(session, database)))
    known = other_objects(session, database, sequences=False)
    former = msgspec.structs.replace(
        found, tables=going, properties=(properties.encoding, properties.collation) if properties else None
    )
    save_objects(session, database, former, _FORMER)
    drop_keys(session, former.keys_of_others)
    drop_events(session, database)
    drop_views(session, database, [name for name, _ in coming.tables])
    moves = [Move(database, name, database, out) for name, out in going]
    moves += [Move(database, ready, database, name) for name, ready in coming.tables]
    rename_tables(session, [*moves, Move(database, _COMING, database, _CAME)], patience)
    session.interruptible = False
    if strangers := strangers_in(session, database, [name for name, _ in coming.tables], known):
        _take_back(access, session, database, reporter, strangers)
        raise disturbed(database, strangers)
    reporter.log(f"The tables of {database} were exchanged by one RENAME TABLE")
    _finish(access, session, database, keep_as, reporter)


def _settle(access: Access, session: Session, database: str, keep_as: str, reporter: Reporter) -> Literal["old", "new"]:
    """Bring a swap to its end or back, by what is where."""
    take_over_renaming(session, database)
    end_rename(session, CARRIED, database)
    session.execute(f"SET SESSION lock_wait_timeout = {max(1, int(access.settings.lock_timeout))}")
    _take_half_back(session, database, int(access.settings.lock_timeout))
    if has_table(session, database, _CAME):
        _release_half_kept(session, database, keep_as, int(access.settings.lock_timeout))
        try:
            _finish(access, session, database, keep_as, reporter)
        except RestoreError:
            _take_back(access, session, database, reporter)
            return "old"
        return "new"
    if has_table(session, database, _FORMER):
        _as_before(access, session, database, saved_objects(session, database, _FORMER), reporter)
        return "old"
    return "old" if is_loaded(session, database) else "new"


def _take_half_back(session: Session, database: str, patience: int) -> None:
    """Give all tables their former names where only some were renamed, as where the session was killed.

    See `mysql_half_made`.
    """
    came = has_table(session, database, _CAME)
    former = saved_objects(session, database, _FORMER)
    coming = saved_objects(session, database, _CAME if came else _COMING)
    if former is None or coming is None:
        return
    waiting = [ready for _, ready in coming.tables if has_table(session, database, ready)]
    if came and not waiting:
        return
    moves = [Move(database, name, database, ready) for name, ready in coming.tables if ready not in waiting]
    moves += [Move(database, out, database, name) for name, out in former.tables if has_table(session, database, out)]
    if came:
        moves.append(Move(database, _CAME, database, _COMING))
    rename_tables(session, moves, patience)


def _release_half_kept(session: Session, database: str, keep_as: str, patience: int) -> None:
    """Take back a RENAME TABLE by which only some of the former tables are kept, for the same reason."""
    former, kept = saved_objects(session, database, _FORMER), kept_within(keep_as)
    if former is not None and kept is not None:
        release_tables(session, database, former.tables, kept[1], patience)


def _finish(access: Access, session: Session, database: str, keep_as: str, reporter: Reporter) -> None:
    """After the rename: make what goes with the new tables, and keep the former ones. It may be done again."""
    came = saved_objects(session, database, _CAME) or Objects()
    former = saved_objects(session, database, _FORMER)
    kept = kept_within(keep_as)
    # Where it is gone all of this was done, and nothing can be taken back any more.
    if former is not None:
        _make_the_rest(access, session, database, came, former, reporter)
        if kept is not None:
            keep_tables(session, database, former.tables, _FORMER, kept[1], int(access.settings.lock_timeout))
        else:  # a restore of a former version
            _drop(session, database, [out for _, out in former.tables if has_table(session, database, out)])
            _drop(session, database, [_FORMER])
    if kept is not None:
        cut_kept_keys(session, *kept)
    for number, (table, name) in enumerate(came.renamed_keys):
        if quote(f"{KEY}{number}") in key_definitions(session, database, table):
            rename_key(session, database, table, f"{KEY}{number}", name)
    _drop(session, database, [_CAME])


def _make_the_rest(
    access: Access, session: Session, database: str, came: Objects, former: Objects, reporter: Reporter
) -> None:
    """Make what goes with the new tables; it may be done again. Raises RestoreError."""
    drop_triggers(session, database, lambda trigger: trigger.table.startswith(CARRIED_OUT))
    drop_objects(session, database)
    made = Objects(dump=came.dump, triggers=came.triggers, grants=former.grants)
    make_objects(access, database, made, reporter)
    drop_triggers(session, database, is_stand_in)
    make_keys(session, former.keys_of_others, reporter)
    _properties_again(session, database, former)


def _take_back(
    access: Access, session: Session, database: str, reporter: Reporter, strangers: Sequence[str] = ()
) -> None:
    """Give the former tables their names again, and make what went with them. Raises RestoreError."""
    came = saved_objects(session, database, _CAME) or Objects()
    former = saved_objects(session, database, _FORMER) or Objects()
    if lost := [name for name, out in former.tables if not has_table(session, database, out)]:
        raise RestoreError(
            f"{database} has the new tables, and {lost[0]} of the former ones was dropped already: what is still to be "
            "made cannot be made",
            subject=database,
            hint="Mend what keeps it from that, then run dgtui once more",
        )
    drop_keys(session, former.keys_of_others)
    if strangers:
        drop_triggers(session, database, is_stand_in)
    else:
        drop_objects(session, database)
        drop_triggers(session, database, lambda trigger: not trigger.table.startswith(CARRIED_OUT))
    moves = [Move(database, name, database, ready) for name, ready in came.tables]
    moves += [Move(database, out, database, name) for name, out in former.tables]
    rename_tables(session, [*moves, Move(database, _CAME, database, _COMING)], int(access.settings.lock_timeout))
    _as_before(access, session, database, former, reporter)


def _as_before(access: Access, session: Session, database: str, former: Objects | None, reporter: Reporter) -> None:
    """Make again what of the former content is not there, once its tables are."""
    if former is not None:
        make_missing(access, session, database, former, reporter)
        make_keys(session, former.keys_of_others, reporter)
        _properties_again(session, database, former)
    _drop(session, database, [_FORMER])


def _properties_again(session: Session, database: str, former: Objects) -> None:
    found = read_properties(session, database)
    if former.properties and found and (found.encoding, found.collation) != former.properties:
        encoding, collation = former.properties
        session.execute(f"ALTER DATABASE {quote(database)} CHARACTER SET {encoding} COLLATE {collation}")


def _drop(session: Session, database: str, tables: Sequence[str]) -> None:
    if tables:
        session.execute("SET SESSION foreign_key_checks = 0")
        names = ", ".join(f"{quote(database)}.{quote(name)}" for name in tables)
        session.execute(f"DROP TABLE IF EXISTS {names}")
        session.execute("SET SESSION foreign_key_checks = 1")
