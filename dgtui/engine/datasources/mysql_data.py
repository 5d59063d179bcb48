"""Rows alone into the tables of a MySQL or MariaDB database that is there: all of them or none."""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Literal

import msgspec

from dgtui.engine.datasources.dumping import Archive
from dgtui.engine.datasources.loading import Announce, LoadOutcome, Selection
from dgtui.engine.datasources.mysql_archive import table_names
from dgtui.engine.datasources.mysql_connection import Access, Session
from dgtui.engine.datasources.mysql_errors import quote
from dgtui.engine.datasources.mysql_load import load_archive, refuse_triggers
from dgtui.engine.datasources.mysql_look import Table, database_exists, existing_tables, is_transactional
from dgtui.engine.datasources.mysql_rename import claim_statement, claimant_statement, take_over_renaming
from dgtui.engine.datasources.mysql_restore_watch import RestoreWatch
from dgtui.engine.datasources.mysql_rows_kept import forget_copies, prepare_copies
from dgtui.engine.datasources.mysql_script import Script
from dgtui.engine.datasources.mysql_waiting import waiting_session
from dgtui.engine.errors import ConfigError, DataGuardianError, EndNotKnown, RestoreError
from dgtui.engine.model import Record
from dgtui.engine.reporting import Reporter
from dgtui.engine.restore_model import Part

_NAMED = 5
_DONE = "done"
"""The table whose one row says that the transaction was committed."""
_COUNTS = "counts"
"""The table that says how many rows each table held at its end."""


class _Mark(Record, frozen=True):
    """What tells later whether the rows are there to stay."""

    marker: str
    """The database whose table gets a row within the transaction; empty where none could be made."""
    plain: tuple[str, ...]
    """The tables without transactions, which held nothing before."""
    ended: Literal["old", "new"] | None = None
    """What is there to stay, where that was seen and there is no marker."""


class RowsLoad:
    """One loading of rows alone."""

    def __init__(self, access: Access, database: str, marker: str, keep_as: str, announce: Announce) -> None:
        """`marker` is the name of a database of our own; the caller drops it once it has written down the end.

        `keep_as` is that of one for the former rows; empty where they shall not be kept.
        """
        self._access = access
        self._database = database
        self._marker = marker
        self._keep_as = keep_as
        self._announce = announce

    def run(self, archive: Archive, selection: Selection, reporter: Reporter, *, overwrite: bool) -> LoadOutcome:
        """Load the rows in one transaction.

        Tables whose engine has no transactions have to be empty: they are emptied again where something fails.
        Raises RestoreError and ConfigError before anything is touched.
        """
        names = table_names(archive.blocks())
        with waiting_session(self._access, fallback=RestoreError) as session:
            targets = fitting_targets(session, self._database, names, selection)
            full = [table for table in targets if has_rows(session, self._database, table)]
            _refuse_full(self._database, full, overwrite=overwrite)
            marked = self._make_marker(session, reporter)
            claimed = claim_statement(session, self._marker)
        plain = [table.name for table in targets if not is_transactional(table)]
        reporter.log(f"Loading rows of {len(targets)} tables in one transaction; foreign keys are checked at the end")
        mark = _Mark(marker=self._marker if marked else "", plain=tuple(plain))
        part = Part(kind="rows", replaced=tuple(table.name for table in targets))
        self._announce(msgspec.json.encode(mark).decode(), part)
        # Only where it can be told afterwards whether they have to be kept.
        copies = self._prepare_copies(targets, full, reporter) if marked and full else ""
        script = Script(
            self._database,
            selection,
            replaced=[table.name for table in full],
            atomic=True,
            beginning=f"{self._patience()}{claimed}{copies}",
            ending=self._ending(targets) if marked else "",
        )
        try:
            counted = partial(self._counted, targets if marked else ())
            with RestoreWatch(self._access, self._database, reporter, self._marker):
                outcome = load_archive(self._access, archive, script, reporter, counted)
        except BaseException:
            if not marked:
                self._take_back(mark, part, reporter)
            raise
        if outcome.error_count and not marked:
            if not script.replayed:
                _empty(self._access, self._database, plain, reporter)
            ended = msgspec.structs.replace(mark, ended="new" if script.replayed else "old")
            self._announce(msgspec.json.encode(ended).decode(), part)
        if copies and script.replayed:
            outcome = msgspec.structs.replace(outcome, kept_as=self._keep_as)
        if outcome.error_count:
            return outcome
        with waiting_session(self._access, fallback=RestoreError) as session:
            dangling = _dangling(session, self._database, [table.name for table in targets])
        return msgspec.structs.replace(outcome, notes=(*outcome.notes, *dangling))

    def _patience(self) -> str:
        """Have the client wait for locks as the datasource says: the server's own limit may be a day."""
        seconds = max(1, int(self._access.settings.lock_timeout))
        return f"SET SESSION lock_wait_timeout = {seconds}, SESSION innodb_lock_wait_timeout = {seconds};\n"

    def _take_back(self, mark: _Mark, part: Part, reporter: Reporter) -> None:
        """After an error that ended the client, where no marker tells later whether the rows are there to stay."""
        cut = False
        with suppress(DataGuardianError):
            cut = _end_client(self._access, self._marker)
        _empty(self._access, self._database, mark.plain, reporter)
        if cut:
            self._announce(msgspec.json.encode(msgspec.structs.replace(mark, ended="old")).decode(), part)

    def _ending(self, targets: Sequence[Table]) -> str:
        """Count the rows while nobody else can write, and say that it was done."""
        counts, done = (f"INSERT INTO {quote(self._marker)}.{table}" for table in (_COUNTS, _DONE))
        counting = "".join(
            f"{counts} SELECT {number}, COUNT(*) FROM {_all_of(self._database, table)};\n"  # noqa: S608  # quoted
            for number, table in enumerate(targets)
        )
        return f"{counting}{done} VALUES (1);\n"

    def _counted(self, targets: Sequence[Table], session: Session) -> dict[str, int]:
        if not targets:
            return {}
        rows = session.rows(f"SELECT number, found FROM {quote(self._marker)}.{_COUNTS}")  # noqa: S608  # quoted
        return {targets[int(number)].name: int(found) for number, found in rows}

    def _prepare_copies(self, targets: Sequence[Table], full: Sequence[Table], reporter: Reporter) -> str:
        """The statements that copy the former rows; empty where these are not kept."""
        import pymysql

        if not self._keep_as:
            return ""
        names, replaced = [table.name for table in targets], [table.name for table in full]
        with waiting_session(self._access, fallback=RestoreError) as session:
            try:
                return prepare_copies(session, self._database, self._keep_as, names, replaced)
            except pymysql.MySQLError as error:
                forget_copies(session, self._keep_as)
                reporter.log(
                    f"The former rows cannot be kept in {self._keep_as}: {error.args[-1]}. What others wrote to them "
                    "after a safety backup had been begun is kept nowhere",
                    level="warning",
                )
        return ""

    def _make_marker(self, session: Session, reporter: Reporter) -> bool:
        import pymysql

        try:
            session.execute(f"DROP DATABASE IF EXISTS {quote(self._marker)}")
            session.execute(f"CREATE DATABASE {quote(self._marker)}")
            session.execute(f"CREATE TABLE {quote(self._marker)}.{_DONE} (done INT) ENGINE=InnoDB")
            session.execute(f"CREATE TABLE {quote(self._marker)}.{_COUNTS} (number INT, found BIGINT) ENGINE=InnoDB")
        except pymysql.MySQLError as error:
            reporter.log(
                f"{self._marker} could not be made ({error.args[-1]}): were this restore interrupted, "
                "nobody could tell whether its rows are there",
                level="warning",
            )
            return False
        return True


def settle_rows(access: Access, mark: str, database: str, keep_as: str) -> Literal["old", "new"]:
    """Whether the rows are there to stay, once nobody loads them any more. Raises RestoreError."""
    known = msgspec.json.decode(mark, type=_Mark)
    if known.ended is not None:
        return known.ended
    if not known.marker:
        raise EndNotKnown(
            f"It cannot be told whether the rows of {database} were replaced: all of them were, or none",
            subject=database,
            hint="Look at them, and restore them again where they are not as wanted",
        )
    _end_client(access, known.marker)
    with waiting_session(access, fallback=RestoreError) as session:
        there = database_exists(session, known.marker)
        # It waits for the transaction, whose client is gone: its row is locked until the server has ended it.
        rows = f"SELECT COUNT(*) FROM {quote(known.marker)}.{_DONE} LOCK IN SHARE MODE"  # noqa: S608  # quoted
        done = there and session.value(rows)
        if not done:
            _make_empty(session, database, known.plain)
            forget_copies(session, keep_as)
    return "new" if done else "old"


def _end_client(access: Access, marker: str) -> bool:
    """End what the server still does for a client that is gone: it would wait for locks, and keep what it has.

    Whether that was part of the transaction, which then was not committed for sure.
    """
    with waiting_session(access, fallback=RestoreError) as session:
        under_way = claimant_statement(session, marker)
        take_over_renaming(session, marker)
        return under_way not in ("", "COMMIT")


def fitting_targets(session: Session, database: str, names: Sequence[str], selection: Selection) -> list[Table]:
    """The tables of the database that chosen rows go into, `names` being those of the backup.

    Raises RestoreError and ConfigError where one is not there, or would change the rows.
    """
    targets = _targets(session, database, names, selection)
    refuse_triggers(session, database, [table.name for table in targets])
    return targets


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
            statements = "; ".join(_emptying(quote(table.name), table))
            reason = "keeps its history" if table.versioned else f"is {table.engine}, which has no transactions"
            raise RestoreError(
                f"The rows of {table.name} cannot be replaced: the table {reason}, so that a failure could not be "
                "taken back; nothing was changed",
                subject=table.name,
                hint=f"Empty it first ({statements}), or restore the backup in full",
            )


def _emptying(name: str, table: Table) -> tuple[str, ...]:
    """The statements that empty a table without a transaction; one that keeps its history takes no TRUNCATE."""
    if table.versioned:
        return f"DELETE FROM {name}", f"DELETE HISTORY FROM {name}"  # noqa: S608  # quoted
    return (f"TRUNCATE TABLE {name}",)


def _make_empty(session: Session, database: str, names: Sequence[str]) -> None:
    for table in existing_tables(session, database):
        for statement in _emptying(f"{quote(database)}.{quote(table.name)}", table) if table.name in names else ():
            session.execute(statement)


def _empty(access: Access, database: str, tables: Sequence[str], reporter: Reporter) -> None:
    """Empty the tables that no rollback empties; they held nothing before."""
    for name in tables:
        try:
            with waiting_session(access, fallback=RestoreError) as session:
                _make_empty(session, database, [name])
        except DataGuardianError as error:
            reporter.log(f"{name} could not be emptied again: {error.message}", level="error")


def has_rows(session: Session, database: str, table: Table) -> bool:
    """Whether a table holds anything, be it history alone, which the rows of a backup would meet."""
    return bool(session.rows(f"SELECT 1 FROM {_all_of(database, table)} LIMIT 1"))  # noqa: S608  # quoted


def _all_of(database: str, table: Table) -> str:
    return f"{quote(database)}.{quote(table.name)}{' FOR SYSTEM_TIME ALL' if table.versioned else ''}"


def _dangling(session: Session, database: str, loaded: Sequence[str]) -> list[str]:
    """The foreign keys to or from loaded tables that lead nowhere now, which the server did not look at."""
    keys: dict[tuple[str, str, str], list[tuple[str, str, str]]] = {}
    for key, child, parent_schema, parent, column, parent_column in session.rows(
        "SELECT CONSTRAINT_NAME, TABLE_NAME, REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME, COLUMN_NAME, "
        "REFERENCED_COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE WHERE TABLE_SCHEMA = %s "
        "AND REFERENCED_TABLE_NAME IS NOT NULL ORDER BY TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION",
        [database],
    ):
        if child in loaded or parent in loaded:
            keys.setdefault((child, key, parent), []).append((column, parent_schema, parent_column))
    sentences = []
    for (child, key, parent), columns in keys.items():
        same = " AND ".join(f"p.{quote(there)} = c.{quote(here)}" for here, _, there in columns)
        given = " AND ".join(f"c.{quote(here)} IS NOT NULL" for here, _, _ in columns)
        lost = session.value(
            f"SELECT COUNT(*) FROM {quote(database)}.{quote(child)} c WHERE {given} AND NOT EXISTS "  # noqa: S608  # quoted
            f"(SELECT 1 FROM {quote(columns[0][1])}.{quote(parent)} p WHERE {same})"
        )
        if lost:
            sentences.append(f"{lost} rows of {child} point to rows of {parent} that are not there (foreign key {key})")
    return sentences


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
