"""Rows alone into the tables of a PostgreSQL database that is there: in one transaction, all of it or nothing."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgtui.engine.datasources.dumping import ArchiveBlocks
from dgtui.engine.datasources.loading import Announce, LoadError, LoadOutcome, Selection
from dgtui.engine.datasources.postgres_connection import Access, break_connection
from dgtui.engine.datasources.postgres_databases import with_names
from dgtui.engine.datasources.postgres_late_rows import keep_late_rows
from dgtui.engine.datasources.postgres_load_hints import load_hint
from dgtui.engine.datasources.postgres_locks import PostgresLockWatch, lock_hint
from dgtui.engine.datasources.postgres_rows import LARGE_OBJECTS, RowsChoice, Target, with_rows
from dgtui.engine.datasources.postgres_script import Replay, RowsOf
from dgtui.engine.datasources.postgres_settling import transaction_mark
from dgtui.engine.datasources.postgres_silence_watch import SilenceWatch
from dgtui.engine.datasources.postgres_toc import Toc, TocEntry, read_toc
from dgtui.engine.datasources.postgres_tools import fitting_tool, major
from dgtui.engine.errors import RestoreError
from dgtui.engine.model import ToolVersion
from dgtui.engine.reporting import Reporter
from dgtui.engine.restore_model import LateRows, Part
from dgtui.engine.sizes import first_of

if TYPE_CHECKING:
    import psycopg

_TRIGGER_STATES = {"O": "ENABLE", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA"}
_FOREIGN_KEYS = """
WITH RECURSIVE up(id) AS (
    SELECT unnest(%(oids)s::oid[]) UNION SELECT inhparent FROM pg_inherits JOIN up ON inhrelid = up.id)
SELECT n.nspname, c.relname, k.conname, k.condeferrable FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND NOT k.condeferred AND k.conrelid IN (SELECT id FROM up)
ORDER BY 1, 2, 3
"""
_NOT_VALID = """
SELECT n.nspname, c.relname, k.conname, pg_get_constraintdef(k.oid), obj_description(k.oid, 'pg_constraint')
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.conparentid = 0 AND NOT k.convalidated AND k.conrelid = ANY(%(oids)s::oid[])
  AND CASE WHEN k.contype = 'f'
           THEN NOT EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgconstraint = k.oid AND t.tgenabled <> 'O')
           ELSE k.coninhcount = 0 AND NOT EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhparent = k.conrelid) END
ORDER BY 1, 2, 3
"""
"""Constraints that hold for what is written from now on, to which rows of a backup need not keep.

Without keys that are switched off, and without what tables inherit, which is not made again by a single statement.
"""
_TRIGGERS = """
SELECT n.nspname, c.relname, t.tgname, t.tgenabled::text FROM pg_trigger t
JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgrelid = ANY(%(oids)s::oid[]) ORDER BY 1, 2, 3
"""
_UNLINK_LARGE_OBJECTS = "SELECT pg_catalog.lo_unlink(oid) FROM pg_catalog.pg_largeobject_metadata"
_VIEWS = """
WITH RECURSIVE needs(view, needed) AS (
    SELECT DISTINCT r.ev_class, d.refobjid FROM pg_rewrite r
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
        AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class),
all_needs(view, needed) AS (
    SELECT view, needed FROM needs JOIN pg_class ON oid = view AND relkind = 'm' AND relispopulated
    UNION SELECT a.view, n.needed FROM all_needs a JOIN needs n ON n.view = a.needed)
SELECT n.nspname, c.relname FROM all_needs a
JOIN pg_class c ON c.oid = a.view JOIN pg_namespace n ON n.oid = c.relnamespace
GROUP BY 1, 2 HAVING bool_or(a.needed = ANY(%(oids)s::oid[])) ORDER BY count(*), 1, 2
"""
"""The populated materialised views over some tables; one that reads another one needs more, and comes after it.

Views may be made to read one another in a circle.
"""


class DataLoad:
    """One loading of rows alone."""

    def __init__(self, access: Access, archive: ArchiveBlocks, database: str, selection: Selection) -> None:
        self._access = access
        self._archive = archive
        self._database = database
        self._choice = RowsChoice(database, selection)

    def run(
        self,
        reporter: Reporter,
        *,
        overwrite: bool,
        scratch_folder: Path,
        announce: Announce,
        late: LateRows | None,
        patience: float,
    ) -> LoadOutcome:
        """Load the rows; errors are in the outcome.

        Raises RestoreError and ConfigError before anything is touched, and ServerTimeout where the server answers
        nothing for `patience` seconds.
        """
        import psycopg

        toc = read_toc(self._archive.blocks())
        tool = self._tool(toc)
        with self._access.connect(self._database, seconds=None) as connection:
            entries = self._choice.data_entries(connection, toc)
            targets = self._choice.targets(connection, entries)
            companions = self._choice.companions(connection, toc, targets)
            entries = _in_order(toc, entries, companions)
            empties = self._choice.tables_to_empty(connection, targets, entries, overwrite=overwrite)
            reporter.log(f"Loading rows of {len(targets)} tables with pg_restore {tool.version}, in one transaction")
            replay = Replay(connection, reporter, [target.shown for target in targets])
            # A snapshot from before the tables were locked would not show what was written until then.
            connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
            silence = SilenceWatch(self._access, self._database, patience, lambda: break_connection(connection))
            try:
                with (
                    PostgresLockWatch(self._access, self._database, connection, reporter),
                    silence,
                    connection.transaction(),
                ):
                    self._lock(connection, targets, replaced=bool(empties))
                    if late is not None and empties:
                        keep_late_rows(connection, [target.oid for target in targets], late, reporter)
                    with self._prepared(connection, targets, empties):
                        _take_hold_of(connection, companions)
                        if empties and any(entry.kind in LARGE_OBJECTS for entry in entries):
                            connection.execute(_UNLINK_LARGE_OBJECTS)
                        with RowsOf(self._access, self._archive, tool, entries, scratch_folder) as script:
                            replay.run(script)
                        connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
                        self._refresh_views(connection, targets)
                        replay.set_sequences()
                    names = tuple(target.shown for target in targets)
                    announce(transaction_mark(connection), Part(kind="rows", replaced=names))
            except psycopg.Error as error:
                if connection.broken:
                    raise
                return self._failed(error, replay.current, [*targets, *empties])
        return LoadOutcome()

    def check(self) -> None:
        """Raise RestoreError, ConfigError, ToolMissing where the rows could not be loaded; changes nothing."""
        toc = read_toc(self._archive.blocks())
        self._tool(toc)
        with self._access.connect(self._database) as connection:
            entries = self._choice.data_entries(connection, toc)
            targets = self._choice.targets(connection, entries)
            companions = self._choice.companions(connection, toc, targets)
            # Whether rows may be replaced at all is asked elsewhere.
            self._choice.tables_to_empty(connection, targets, _in_order(toc, entries, companions), overwrite=True)

    def _tool(self, toc: Toc) -> ToolVersion:
        return fitting_tool(
            "pg_restore",
            major(toc.dump_version),
            self._access.settings.tools,
            purpose=f"the pg_dump {toc.dump_version} that made the backup",
        )

    def _failed(self, error: "psycopg.Error", statement: str, tables: Sequence[Target]) -> LoadOutcome:
        lines = str(error).splitlines()
        message = lines[0] + (f" ({lines[1]})" if len(lines) > 1 and lines[1].startswith("DETAIL") else "")
        errors = (LoadError(message=message, statement=statement),)
        hint = lock_hint(self._access, self._database, [table.oid for table in tables], error)
        hint = hint or load_hint(errors, self._access.acting(self._database))
        return LoadOutcome(errors=errors, error_count=1, hint=hint)

    def _lock(self, connection: "psycopg.Connection[Any]", targets: Sequence[Target], *, replaced: bool) -> None:
        """Keep others from writing to the tables. Raises RestoreError where they hold rows that are not `replaced`."""
        milliseconds = max(1, int(self._access.settings.lock_timeout)) * 1000
        connection.execute(f"SET LOCAL lock_timeout = {milliseconds}".encode())
        for target in targets:
            connection.execute(with_names("LOCK TABLE ONLY {}.{} IN SHARE ROW EXCLUSIVE MODE", *target[1:3]))
        if not replaced and (full := [target.shown for target in with_rows(connection, targets)]):
            raise RestoreError(f"Somebody wrote to {first_of(full)} meanwhile; nothing was changed", subject=full[0])

    @contextmanager
    def _prepared(
        self, connection: "psycopg.Connection[Any]", targets: Sequence[Target], empties: Sequence[Target]
    ) -> Iterator[None]:
        """Empty the tables, put triggers off and foreign keys to the end; afterwards all is as it was."""
        connection.execute("SET LOCAL array_nulls = on")
        oids = {"oids": [target.oid for target in targets]}
        not_valid = _without(connection, connection.execute(_NOT_VALID, oids).fetchall())
        keys = connection.execute(_FOREIGN_KEYS, oids).fetchall()
        triggers = connection.execute(_TRIGGERS, oids).fetchall()
        for schema, table, name, _ in triggers:
            connection.execute(with_names("ALTER TABLE ONLY {}.{} DISABLE TRIGGER {}", schema, table, name))
        for schema, table, name, _ in keys:
            deferred = "ALTER TABLE {}.{} ALTER CONSTRAINT {} DEFERRABLE INITIALLY DEFERRED"
            connection.execute(with_names(deferred, schema, table, name))
        connection.execute("SET CONSTRAINTS ALL DEFERRED")
        _empty(connection, empties)
        yield
        for schema, table, name, deferrable in keys:
            before = "DEFERRABLE INITIALLY IMMEDIATE" if deferrable else "NOT DEFERRABLE"
            connection.execute(with_names("ALTER TABLE {}.{} ALTER CONSTRAINT {} " + before, schema, table, name))
        for schema, table, name, state in triggers:
            again = f"ALTER TABLE ONLY {{}}.{{}} {_TRIGGER_STATES[state]} TRIGGER {{}}"
            connection.execute(with_names(again, schema, table, name))
        for statement in not_valid:
            connection.execute(statement)

    def _refresh_views(self, connection: "psycopg.Connection[Any]", targets: Sequence[Target]) -> None:
        oids = {"oids": [target.oid for target in targets]}
        for schema, name in connection.execute(_VIEWS, oids).fetchall():
            connection.execute(with_names("REFRESH MATERIALIZED VIEW {}.{}", schema, name))


def _without(
    connection: "psycopg.Connection[Any]", constraints: Sequence[tuple[str, str, str, str, str | None]]
) -> "list[psycopg.sql.Composed]":
    """Drop constraints; the statements that make them again."""
    from psycopg import sql

    again = []
    for schema, table, name, definition, comment in constraints:
        connection.execute(with_names("ALTER TABLE {}.{} DROP CONSTRAINT {}", schema, table, name))
        again.append(with_names("ALTER TABLE {}.{} ADD CONSTRAINT {} ", schema, table, name) + sql.SQL(definition))
        if comment is not None:
            again.append(
                with_names("COMMENT ON CONSTRAINT {} ON {}.{} IS ", name, schema, table) + sql.Literal(comment)
            )
    return again


def _empty(connection: "psycopg.Connection[Any]", targets: Sequence[Target]) -> None:
    """Take away the rows that are replaced; what an extension itself brought stays, since no backup holds it."""
    from psycopg import sql

    whole = [sql.SQL("ONLY ") + sql.Identifier(*target[1:3]) for target in targets if not target.condition]
    if whole:
        connection.execute(sql.SQL("TRUNCATE TABLE ") + sql.SQL(", ").join(whole))
    for target in targets:
        if target.condition:
            connection.execute(with_names("DELETE FROM ONLY {}.{} ", *target[1:3]) + sql.SQL(target.condition))


def _in_order(toc: Toc, *chosen: list[TocEntry]) -> list[TocEntry]:
    """In the archive's own order: it is read from a pipe, and nobody can go back in it."""
    wanted = {entry.dump_id for entries in chosen for entry in entries}
    return [entry for entry in toc.entries if entry.dump_id in wanted]


def _take_hold_of(connection: "psycopg.Connection[Any]", entries: Sequence[TocEntry]) -> None:
    """Have the end of the transaction decide what the sequences go on with: it does not take back a setval itself.

    But it takes back what a restart does, which is another file, and so all that is set in that one.
    """
    for entry in entries:
        if entry.kind == "SEQUENCE SET":
            connection.execute(with_names("ALTER SEQUENCE {}.{} RESTART", entry.schema, entry.tag))
