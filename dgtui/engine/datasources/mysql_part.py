"""Replacing chosen tables of a live database by those of one beside it, with a single RENAME TABLE."""

import re
from collections.abc import Sequence

from dgtui.engine.datasources.mysql_connection import Access, Session
from dgtui.engine.datasources.mysql_errors import quote
from dgtui.engine.datasources.mysql_look import existing_tables
from dgtui.engine.datasources.mysql_swap import create_like, rename_tables
from dgtui.engine.errors import DataGuardianError, RestoreError
from dgtui.engine.reporting import Reporter

_PATIENCE = 3600.0
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
_SEQUENCES = (
    "SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND TABLE_NAME IN %s "
    "AND COLUMN_DEFAULT LIKE '%%nextval(%%'"
)


def replace_tables(
    access: Access, beside: str, database: str, keep_as: str, tables: Sequence[str], reporter: Reporter
) -> bool:
    """Put the chosen tables of `beside` into `database`, the old ones into `keep_as`; whether there were any.

    Others see the old tables or the new ones, never a mixture. Foreign keys of the new tables to tables that were not
    chosen are made and checked before. Raises RestoreError, with nothing changed.
    """
    with access.session(patience=_PATIENCE, fallback=RestoreError) as session:
        loaded = {table.name for table in existing_tables(session, beside)}
        if others := [name for name in tables if name not in loaded]:
            raise _impossible(others[0], f"{', '.join(others)} is no table")
        present = [table.name for table in existing_tables(session, database) if table.name in tables]
        _refuse_obstacles(session, beside, database, tables)
        for name in tables:
            _point_keys_to_the_live_tables(session, beside, database, name, tables)
        if present:
            create_like(session, keep_as, database)
        moves = [(database, name, keep_as) for name in present] + [(beside, name, database) for name in tables]
        try:
            rename_tables(session, moves, int(access.settings.lock_timeout))
        except DataGuardianError:
            if present:
                session.execute(f"DROP DATABASE {quote(keep_as)}")
            raise
        reporter.log(f"{len(tables)} tables of {database} were replaced by one RENAME TABLE")
        session.execute(f"DROP DATABASE {quote(beside)}")
        return bool(present)


def _refuse_obstacles(session: Session, beside: str, database: str, tables: Sequence[str]) -> None:
    """What a RENAME TABLE would lose or bend."""
    for place in (database, beside):
        if triggers := session.rows(_TRIGGERS, [place, tuple(tables)]):
            raise _impossible(tables[0], f"they have triggers ({', '.join(str(name) for (name,) in triggers[:5])})")
    if keys := session.rows(_KEYS_OF_OTHERS, [database, tuple(tables), database, tuple(tables)]):
        schema, table, parent = keys[0]
        raise _impossible(str(parent), f"a foreign key of {schema}.{table} points to {parent} and would follow it away")
    if session.value(_SEQUENCES, [beside, tuple(tables)]):
        raise _impossible(tables[0], "a column takes its default from a sequence")


def _impossible(subject: str, reason: str) -> RestoreError:
    return RestoreError(
        f"The chosen tables cannot be exchanged by a rename: {reason}; nothing was changed",
        subject=subject,
        hint="Restore them under another name with --into NAME, and copy from there",
    )


def _point_keys_to_the_live_tables(
    session: Session, beside: str, database: str, name: str, tables: Sequence[str]
) -> None:
    """Make the keys to tables that were not chosen anew: to the live ones, and so that they are checked."""
    chosen = {quote(table) for table in tables}
    table = f"{quote(beside)}.{quote(name)}"
    definition = str(session.rows(f"SHOW CREATE TABLE {table}")[0][1])
    for head, key, parent, rest in _FOREIGN_KEY.findall(definition):
        if parent not in chosen:
            session.execute(f"ALTER TABLE {table} DROP FOREIGN KEY {key}")
            session.execute("SET SESSION foreign_key_checks = 1")
            session.execute(f"ALTER TABLE {table} ADD {head}{quote(database)}.{parent} {rest}")
