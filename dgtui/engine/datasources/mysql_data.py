"""Rows alone into the tables of a MySQL or MariaDB database that is there: all of them or none."""

from collections.abc import Sequence

from dgtui.engine.datasources.base import Archive, LoadOutcome, Selection
from dgtui.engine.datasources.mysql_archive import table_names
from dgtui.engine.datasources.mysql_connection import Access, Session
from dgtui.engine.datasources.mysql_errors import quote
from dgtui.engine.datasources.mysql_load import load_archive, refuse_triggers
from dgtui.engine.datasources.mysql_look import Table, existing_tables, is_transactional
from dgtui.engine.datasources.mysql_script import Script
from dgtui.engine.errors import ConfigError, DataGuardianError, RestoreError
from dgtui.engine.reporting import Reporter

_PATIENCE = 3600.0
_NAMED = 5


def load_rows(
    access: Access, archive: Archive, database: str, selection: Selection, reporter: Reporter, *, overwrite: bool
) -> LoadOutcome:
    """Load the rows in one transaction.

    Tables whose engine has no transactions have to be empty: they are emptied again where something fails.
    Raises RestoreError and ConfigError before anything is touched.
    """
    names = table_names(archive.blocks())
    with access.session(patience=_PATIENCE, fallback=RestoreError) as session:
        targets = _targets(session, database, names, selection)
        refuse_triggers(session, database, [table.name for table in targets])
        full = [table for table in targets if _has_rows(session, database, table)]
        _refuse_full(database, full, overwrite=overwrite)
    plain = [table for table in targets if not is_transactional(table)]
    reporter.log(f"Loading rows of {len(targets)} tables in one transaction; foreign keys are not checked meanwhile")
    script = Script(database, selection, replaced=[table.name for table in full], atomic=True)
    try:
        outcome = load_archive(access, archive, script, reporter)
    except BaseException:
        _empty(access, database, plain, reporter)
        raise
    if outcome.error_count:
        _empty(access, database, plain, reporter)
    return outcome


def _targets(session: Session, database: str, names: Sequence[str], selection: Selection) -> list[Table]:
    unknown = [name for name in selection.tables if name not in names]
    if unknown:
        raise ConfigError(
            f"There is no table {unknown[0]} in the backup",
            subject=unknown[0],
            hint="`dgtui show` lists the tables of a backup; names are taken literally, with their case",
        )
    present = {table.name: table for table in existing_tables(session, database)}
    wanted = [name for name in names if not selection.tables or name in selection.tables]
    if absent := [name for name in wanted if name not in present]:
        raise RestoreError(
            f"{database} has no table {_listed(absent)} to load rows into; nothing was changed",
            subject=absent[0],
            hint="First restore the schema with --schema-only, or restore the backup in full",
        )
    return [present[name] for name in wanted]


def _refuse_full(database: str, full: Sequence[Table], *, overwrite: bool) -> None:
    """Refuse to add to rows, and to replace what could not be taken back."""
    if full and not overwrite:
        raise RestoreError(
            f"{_listed([table.name for table in full])} in {database} already hold rows; nothing was changed",
            subject=full[0].name,
            hint="Replace them with --overwrite, choose other tables with --table, or empty them first",
        )
    for table in full:
        if table.versioned or not is_transactional(table):
            reason = "keeps its history" if table.versioned else f"is {table.engine}, which has no transactions"
            raise RestoreError(
                f"The rows of {table.name} cannot be replaced: the table {reason}, so that a failure could not be "
                "taken back; nothing was changed",
                subject=table.name,
                hint=f"Empty it first (TRUNCATE TABLE {quote(table.name)}), or restore the backup in full",
            )


def _empty(access: Access, database: str, tables: Sequence[Table], reporter: Reporter) -> None:
    """Empty the tables that no rollback empties; they held nothing before."""
    for table in tables:
        try:
            with access.session(patience=_PATIENCE, fallback=RestoreError) as session:
                session.execute(f"TRUNCATE TABLE {quote(database)}.{quote(table.name)}")
        except DataGuardianError as error:
            reporter.log(f"{table.name} could not be emptied again: {error.message}", level="error")


def _has_rows(session: Session, database: str, table: Table) -> bool:
    return bool(session.rows(f"SELECT 1 FROM {quote(database)}.{quote(table.name)} LIMIT 1"))  # noqa: S608  # quoted


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
