"""Putting one table of a database beside into the live one under a name of its own, to look at it there."""

import msgspec

from dgtui.engine.datasources.loading import Announce
from dgtui.engine.datasources.mysql_connection import Access, Session
from dgtui.engine.datasources.mysql_errors import quote
from dgtui.engine.datasources.mysql_look import existing_tables, has_table, tables_elsewhere
from dgtui.engine.datasources.mysql_part import has_sequence_default, impossible
from dgtui.engine.datasources.mysql_rename import Move, claim_renaming, rename_tables
from dgtui.engine.datasources.mysql_triggers import drop_triggers
from dgtui.engine.datasources.mysql_waiting import waiting_session
from dgtui.engine.errors import RestoreError
from dgtui.engine.reporting import Reporter
from dgtui.engine.restore_model import Part, PartChange

LEFT_OUT = "foreign keys and triggers"
_KEYS = """
SELECT DISTINCT CONSTRAINT_NAME FROM information_schema.KEY_COLUMN_USAGE
WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s AND REFERENCED_TABLE_NAME IS NOT NULL
"""
_CHECKS = """
SELECT CONSTRAINT_NAME FROM information_schema.TABLE_CONSTRAINTS t
WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s AND CONSTRAINT_TYPE = 'CHECK' AND EXISTS (
SELECT 1 FROM information_schema.TABLE_CONSTRAINTS o WHERE o.CONSTRAINT_SCHEMA = %s AND o.CONSTRAINT_TYPE = 'CHECK'
AND o.CONSTRAINT_NAME = t.CONSTRAINT_NAME)
"""
"""Of MySQL, where their names are those of the whole database."""


def refuse_taken(session: Session, database: str, name: str) -> None:
    """Raise RestoreError where a table, view or sequence has the name."""
    if has_table(session, database, name):
        raise RestoreError(
            f"{database} has {name} already; nothing was changed", subject=name, hint="Give another name with --as"
        )


def place_table(access: Access, change: PartChange, name: str, announce: Announce, reporter: Reporter) -> None:
    """Move the one table of a database beside into the live one. Raises RestoreError, with nothing changed."""
    beside, database, (table,) = change.beside, change.database, change.tables
    with waiting_session(access, fallback=RestoreError) as session:
        refuse_taken(session, database, name)
        if table not in {one.name for one in existing_tables(session, beside)}:
            raise impossible(table, "it is no table")
        if has_sequence_default(session, beside, [table]):
            raise impossible(table, "a column takes its default from a sequence")
        if table in tables_elsewhere(session, beside):
            raise impossible(table, "it has files in a DATA DIRECTORY")
        _strip(session, change, table, reporter)
        claim_renaming(session, change.keep_as)
        announce(msgspec.json.encode((beside, table, database)).decode(), Part(kind="objects", added=(name,)))
        rename_tables(session, [Move(beside, table, database, name)], int(access.settings.lock_timeout))
        reporter.log(f"{table} of the backup is in {database} now, as {name}")
        session.execute(f"DROP DATABASE IF EXISTS {quote(beside)}")


def _strip(session: Session, change: PartChange, table: str, reporter: Reporter) -> None:
    """Take away what has a name of the whole database, and what would act on other tables or be acted on by them."""
    drop_triggers(session, change.beside)
    place = f"{quote(change.beside)}.{quote(table)}"
    for (key,) in session.rows(_KEYS, [change.beside, table]):
        session.execute(f"ALTER TABLE {place} DROP FOREIGN KEY {quote(str(key))}")
    if session.server.flavour == "mysql":
        for (check,) in session.rows(_CHECKS, [change.beside, table, change.database]):
            session.execute(f"ALTER TABLE {place} DROP CHECK {quote(str(check))}")
            reporter.log(f"The check {check} is left out: {change.database} has one of that name", level="warning")
