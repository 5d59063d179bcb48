"""Rows alone into the tables of a PostgreSQL database that is there: in one transaction, all of it or nothing."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dgtui.engine.datasources.dumping import Archive
from dgtui.engine.datasources.loading import Announce, LoadError, LoadOutcome, Selection
from dgtui.engine.datasources.postgres_connection import Access
from dgtui.engine.datasources.postgres_databases import with_names
from dgtui.engine.datasources.postgres_load_hints import load_hint
from dgtui.engine.datasources.postgres_names import parse_table_name, table_matches, table_name
from dgtui.engine.datasources.postgres_queries import by_either_path, with_partitions
from dgtui.engine.datasources.postgres_script import Replay, RowsOf
from dgtui.engine.datasources.postgres_settling import transaction_mark
from dgtui.engine.datasources.postgres_toc import Toc, TocEntry, read_toc
from dgtui.engine.datasources.postgres_tools import fitting_tool, major
from dgtui.engine.errors import ConfigError, RestoreError
from dgtui.engine.model import ToolVersion
from dgtui.engine.reporting import Reporter
from dgtui.engine.restore_model import Part

if TYPE_CHECKING:
    import psycopg

_LARGE_OBJECTS = frozenset({"BLOB", "BLOBS", "BLOB METADATA"})
_NAMED = 5
_TRIGGER_STATES = {"O": "ENABLE", "A": "ENABLE ALWAYS", "R": "ENABLE REPLICA"}
_FOREIGN_KEYS = """
WITH RECURSIVE up(id) AS (
    SELECT unnest(%(oids)s::oid[]) UNION SELECT inhparent FROM pg_inherits JOIN up ON inhrelid = up.id)
SELECT n.nspname, c.relname, k.conname, k.condeferrable FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND NOT k.condeferred AND k.conrelid IN (SELECT id FROM up)
ORDER BY 1, 2, 3
"""
_TRIGGERS = """
SELECT n.nspname, c.relname, t.tgname, t.tgenabled::text FROM pg_trigger t
JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgrelid = ANY(%(oids)s::oid[]) ORDER BY 1, 2, 3
"""
_REFERRING = """
SELECT DISTINCT n.nspname, c.relname FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND c.relkind = 'r' AND k.confrelid = ANY(%(oids)s::oid[])
  AND k.conrelid <> ALL(%(oids)s::oid[]) ORDER BY 1, 2
"""
_OWN_SEQUENCES = """
SELECT n.nspname, c.relname FROM pg_depend d
JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S' JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
  AND d.refobjid = ANY(%(oids)s::oid[])
"""
_SEQUENCES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'S'
"""
_VIEWS = """
WITH RECURSIVE needs(view, needed) AS (
    SELECT DISTINCT r.ev_class, d.refobjid FROM pg_rewrite r
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
        AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class),
all_needs(view, needed, depth) AS (
    SELECT view, needed, 1 FROM needs
    UNION SELECT a.view, n.needed, a.depth + 1 FROM all_needs a JOIN needs n ON n.view = a.needed)
SELECT n.nspname, c.relname FROM all_needs a
JOIN pg_class c ON c.oid = a.view AND c.relkind = 'm' AND c.relispopulated
JOIN pg_namespace n ON n.oid = c.relnamespace
GROUP BY 1, 2 HAVING bool_or(a.needed = ANY(%(oids)s::oid[])) ORDER BY max(a.depth), 1, 2
"""
"""The populated materialised views over some tables; one that reads another one comes after it."""


class _Target(NamedTuple):
    """A table that rows are loaded into."""

    oid: int
    schema: str
    name: str

    @property
    def shown(self) -> str:
        return table_name(self.schema, self.name)


class DataLoad:
    """One loading of rows alone."""

    def __init__(self, access: Access, archive: Archive, database: str, selection: Selection) -> None:
        self._access = access
        self._archive = archive
        self._database = database
        self._selection = selection

    def run(self, reporter: Reporter, *, overwrite: bool, scratch_folder: Path, announce: Announce) -> LoadOutcome:
        """Load the rows. Raises RestoreError and ConfigError before anything is touched; errors are in the outcome."""
        import psycopg

        toc = read_toc(self._archive.blocks())
        tool = self._tool(toc)
        with self._access.connect(self._database, seconds=None) as connection:
            entries = self._data_entries(connection, toc)
            targets = self._targets(connection, entries)
            companions = self._companions(connection, toc, targets)
            entries = self._in_order(toc, entries, companions)
            empties = self._tables_to_empty(connection, targets, entries, overwrite=overwrite)
            reporter.log(f"Loading rows of {len(targets)} tables with pg_restore {tool.version}, in one transaction")
            replay = Replay(connection, reporter, [target.shown for target in targets])
            try:
                with connection.transaction(), self._prepared(connection, targets, empties):
                    _take_hold_of(connection, companions)
                    if empties and any(entry.kind in _LARGE_OBJECTS for entry in entries):
                        connection.execute("SELECT pg_catalog.lo_unlink(oid) FROM pg_catalog.pg_largeobject_metadata")
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
                return self._failed(error, replay.current)
        return LoadOutcome()

    def check(self) -> None:
        """Raise RestoreError, ConfigError, ToolMissing where the rows could not be loaded; changes nothing."""
        toc = read_toc(self._archive.blocks())
        self._tool(toc)
        with self._access.connect(self._database) as connection:
            self._companions(connection, toc, self._targets(connection, self._data_entries(connection, toc)))

    def _tool(self, toc: Toc) -> ToolVersion:
        return fitting_tool(
            "pg_restore",
            major(toc.dump_version),
            self._access.settings.tools,
            purpose=f"the pg_dump {toc.dump_version} that made the backup",
        )

    def _failed(self, error: "psycopg.Error", statement: str) -> LoadOutcome:
        lines = str(error).splitlines()
        message = lines[0] + (f" ({lines[1]})" if len(lines) > 1 and lines[1].startswith("DETAIL") else "")
        errors = (LoadError(message=message, statement=statement),)
        return LoadOutcome(errors=errors, error_count=1, hint=load_hint(errors, self._access.acting(self._database)))

    # What is loaded, and into what

    def _data_entries(self, connection: "psycopg.Connection[Any]", toc: Toc) -> list[TocEntry]:
        wanted = with_partitions(connection, self._selection.tables)
        entries = [
            entry
            for entry in toc.entries
            if entry.kind == "TABLE DATA"
            and (not wanted or any(table_matches(name, entry.schema, entry.tag) for name in wanted))
        ]
        known = [entry for entry in toc.entries if entry.kind in ("TABLE DATA", "TABLE", "MATERIALIZED VIEW")]
        for name in self._selection.tables:
            if not any(table_matches(name, entry.schema, entry.tag) for entry in known) and not entries:
                raise ConfigError(
                    f"There is no table {name} in the backup",
                    subject=name,
                    hint="`dgtui show` lists the tables of a backup; names are taken literally, with their case",
                )
        if not entries:
            raise RestoreError("The backup holds no rows", subject=self._database, hint="Restore it in full")
        return entries

    def _targets(self, connection: "psycopg.Connection[Any]", entries: Sequence[TocEntry]) -> list[_Target]:
        """The tables of the database that these rows belong to. Raises RestoreError where one is not there."""
        found = {
            (schema, name): _Target(oid, schema, name)
            for oid, schema, name in connection.execute(
                """SELECT c.oid::int8, n.nspname, c.relname
                   FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')"""
            ).fetchall()
        }
        absent = [table_name(entry.schema, entry.tag) for entry in entries if (entry.schema, entry.tag) not in found]
        if absent:
            raise self._lacks("table", "load rows into", absent)
        return [found[entry.schema, entry.tag] for entry in entries]

    def _lacks(self, kind: str, purpose: str, absent: Sequence[str]) -> RestoreError:
        return RestoreError(
            f"{self._database} has no {kind} {_listed(absent)} to {purpose}; nothing was changed",
            subject=absent[0],
            hint="First restore the schema with --schema-only, or restore the backup in full",
        )

    def _companions(
        self, connection: "psycopg.Connection[Any]", toc: Toc, targets: Sequence[_Target]
    ) -> list[TocEntry]:
        """The entries that go with the rows: all sequences and large objects, or the sequences of chosen tables.

        Raises RestoreError where a sequence is not there.
        """
        if not self._selection.tables:
            there = set(connection.execute(_SEQUENCES).fetchall())
            sequences = [entry for entry in toc.entries if entry.kind == "SEQUENCE SET"]
            if absent := [table_name(one.schema, one.tag) for one in sequences if (one.schema, one.tag) not in there]:
                raise self._lacks("sequence", "set", absent)
            return [
                entry
                for entry in toc.entries
                if entry.kind in {"SEQUENCE SET", *_LARGE_OBJECTS} or entry.tag.startswith("LARGE OBJECT ")
            ]
        own = set(connection.execute(_OWN_SEQUENCES, {"oids": [target.oid for target in targets]}).fetchall())
        return [entry for entry in toc.entries if entry.kind == "SEQUENCE SET" and (entry.schema, entry.tag) in own]

    def _in_order(self, toc: Toc, *chosen: list[TocEntry]) -> list[TocEntry]:
        """In the archive's own order: it is read from a pipe, and nobody can go back in it."""
        wanted = {entry.dump_id for entries in chosen for entry in entries}
        return [entry for entry in toc.entries if entry.dump_id in wanted]

    def _tables_to_empty(
        self,
        connection: "psycopg.Connection[Any]",
        targets: Sequence[_Target],
        entries: Sequence[TocEntry],
        *,
        overwrite: bool,
    ) -> list[_Target]:
        """The tables whose rows are replaced. Raises RestoreError where that is not wanted, or would touch others."""
        full = [target for target in targets if _has_rows(connection, target.schema, target.name)]
        occupied = [target.shown for target in full]
        if any(entry.kind in _LARGE_OBJECTS for entry in entries):
            occupied += ["large objects"] * bool(connection.execute("SELECT 1 FROM pg_largeobject_metadata").fetchone())
        if not occupied:
            return []
        if not overwrite:
            raise RestoreError(
                f"{_listed(occupied)} in {self._database} already hold rows; nothing was changed",
                subject=occupied[0],
                hint="Replace them with --overwrite, choose other tables with --table, or empty them first",
            )
        referring = connection.execute(_REFERRING, {"oids": [target.oid for target in targets]}).fetchall()
        bound = [table_name(*name) for name in referring if _has_rows(connection, *name)]
        if bound:
            raise RestoreError(
                f"The rows cannot be replaced, because {_listed(bound)} refers to them; nothing was changed",
                subject=bound[0],
                hint=f"Restore these tables as well: {' '.join(f'--table {name}' for name in bound[:_NAMED])}",
            )
        empty = [_Target(0, schema, name) for schema, name in referring]
        return [*targets, *empty]

    # The transaction

    @contextmanager
    def _prepared(
        self, connection: "psycopg.Connection[Any]", targets: Sequence[_Target], empties: Sequence[_Target]
    ) -> Iterator[None]:
        """Lock the tables, empty them, put triggers off and foreign keys to the end; afterwards all is as it was."""
        connection.execute(
            f"SET LOCAL lock_timeout = {max(1, int(self._access.settings.lock_timeout)) * 1000}".encode()
        )
        connection.execute("SET LOCAL array_nulls = on")
        oids = {"oids": [target.oid for target in targets]}
        for target in targets:
            connection.execute(with_names("LOCK TABLE ONLY {}.{} IN SHARE ROW EXCLUSIVE MODE", *target[1:]))
        if not empties and (full := [t.shown for t in targets if _has_rows(connection, t.schema, t.name)]):
            raise RestoreError(f"Somebody wrote to {_listed(full)} meanwhile; nothing was changed", subject=full[0])
        keys = connection.execute(_FOREIGN_KEYS, oids).fetchall()
        triggers = connection.execute(_TRIGGERS, oids).fetchall()
        for schema, table, name, _ in triggers:
            connection.execute(with_names("ALTER TABLE ONLY {}.{} DISABLE TRIGGER {}", schema, table, name))
        for schema, table, name, _ in keys:
            deferred = "ALTER TABLE {}.{} ALTER CONSTRAINT {} DEFERRABLE INITIALLY DEFERRED"
            connection.execute(with_names(deferred, schema, table, name))
        connection.execute("SET CONSTRAINTS ALL DEFERRED")
        if empties:
            from psycopg import sql

            listed = sql.SQL(", ").join(sql.SQL("ONLY ") + sql.Identifier(*target[1:]) for target in empties)
            connection.execute(sql.SQL("TRUNCATE TABLE ") + listed)
        yield
        for schema, table, name, deferrable in keys:
            before = "DEFERRABLE INITIALLY IMMEDIATE" if deferrable else "NOT DEFERRABLE"
            connection.execute(with_names("ALTER TABLE {}.{} ALTER CONSTRAINT {} " + before, schema, table, name))
        for schema, table, name, state in triggers:
            again = f"ALTER TABLE ONLY {{}}.{{}} {_TRIGGER_STATES[state]} TRIGGER {{}}"
            connection.execute(with_names(again, schema, table, name))

    def _refresh_views(self, connection: "psycopg.Connection[Any]", targets: Sequence[_Target]) -> None:
        oids = {"oids": [target.oid for target in targets]}
        for schema, name in connection.execute(_VIEWS, oids).fetchall():
            connection.execute(with_names("REFRESH MATERIALIZED VIEW {}.{}", schema, name))


def _take_hold_of(connection: "psycopg.Connection[Any]", entries: Sequence[TocEntry]) -> None:
    """Have the end of the transaction decide what the sequences go on with: it does not take back a setval itself.

    But it takes back what a restart does, which is another file, and so all that is set in that one.
    """
    for entry in entries:
        if entry.kind == "SEQUENCE SET":
            connection.execute(with_names("ALTER SEQUENCE {}.{} RESTART", entry.schema, entry.tag))


_TABLES_THERE = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
ORDER BY 1, 2
"""


def holding_rows(connection: "psycopg.Connection[Any]", names: Sequence[str]) -> tuple[str, ...]:
    """Which of these tables hold rows."""
    found = connection.execute(_TABLES_THERE).fetchall()
    wanted = {parse_table_name(name) for name in names}
    there = [(schema, name) for schema, name in found if wanted & {(schema, name), (None, name)}]
    return tuple(table_name(schema, name) for schema, name in there if _has_rows(connection, schema, name))


def _has_rows(connection: "psycopg.Connection[Any]", schema: str, table: str) -> bool:
    query = with_names("SELECT 1 FROM ONLY {}.{} LIMIT 1", schema, table)
    return by_either_path(connection, query).fetchone() is not None


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
