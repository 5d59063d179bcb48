"""Which rows of an archive go into which tables of a database that is there, and what they would replace."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from dgtui.engine.datasources.loading import Selection
from dgtui.engine.datasources.postgres_databases import with_names
from dgtui.engine.datasources.postgres_extensions import own_rows
from dgtui.engine.datasources.postgres_names import parse_table_name, table_matches, table_name
from dgtui.engine.datasources.postgres_queries import by_either_path, with_partitions
from dgtui.engine.datasources.postgres_toc import Toc, TocEntry
from dgtui.engine.errors import ConfigError, RestoreError
from dgtui.engine.sizes import NAMED, first_of

if TYPE_CHECKING:
    import psycopg

LARGE_OBJECTS = frozenset({"BLOB", "BLOBS", "BLOB METADATA"})
OF_LARGE_OBJECTS = "LARGE OBJECT"
"""How the tag of a comment on one begins, or of the grants on one or on several."""
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
_TABLES_THERE = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
ORDER BY 1, 2
"""


class Target(NamedTuple):
    """A table that rows are loaded into."""

    oid: int
    schema: str
    name: str
    condition: str = ""
    """Of a table that an extension fills too: which of its rows are loaded, and replaced."""

    @property
    def shown(self) -> str:
        """Its name as it is shown."""
        return table_name(self.schema, self.name)


class RowsChoice:
    """What one loading of rows alone takes, and where it goes."""

    def __init__(self, database: str, selection: Selection) -> None:
        self._database = database
        self._selection = selection

    def data_entries(self, connection: "psycopg.Connection[Any]", toc: Toc) -> list[TocEntry]:
        """The entries with the rows of the chosen tables. Raises ConfigError, RestoreError where there are none."""
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

    def targets(self, connection: "psycopg.Connection[Any]", entries: Sequence[TocEntry]) -> list[Target]:
        """The tables of the database that these rows belong to. Raises RestoreError where one is not there."""
        own = own_rows(connection)
        found = {
            (schema, name): Target(oid, schema, name, own.get((schema, name), ""))
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
            f"{self._database} has no {kind} {first_of(absent)} to {purpose}; nothing was changed",
            subject=absent[0],
            hint="First restore the schema with --schema-only, or restore the backup in full",
        )

    def companions(self, connection: "psycopg.Connection[Any]", toc: Toc, targets: Sequence[Target]) -> list[TocEntry]:
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
                if entry.kind in {"SEQUENCE SET", *LARGE_OBJECTS} or entry.tag.startswith(OF_LARGE_OBJECTS)
            ]
        own = set(connection.execute(_OWN_SEQUENCES, {"oids": [target.oid for target in targets]}).fetchall())
        return [entry for entry in toc.entries if entry.kind == "SEQUENCE SET" and (entry.schema, entry.tag) in own]

    def tables_to_empty(
        self,
        connection: "psycopg.Connection[Any]",
        targets: Sequence[Target],
        entries: Sequence[TocEntry],
        *,
        overwrite: bool,
    ) -> list[Target]:
        """The tables whose rows are replaced. Raises RestoreError where that is not wanted, or would touch others."""
        full = with_rows(connection, targets)
        occupied = [target.shown for target in full]
        if any(entry.kind in LARGE_OBJECTS for entry in entries):
            occupied += ["large objects"] * bool(connection.execute("SELECT 1 FROM pg_largeobject_metadata").fetchone())
        if not occupied:
            return []
        if not overwrite:
            raise RestoreError(
                f"{first_of(occupied)} in {self._database} already hold rows; nothing was changed",
                subject=occupied[0],
                hint="Replace them with --overwrite, choose other tables with --table, or empty them first",
            )
        referring = connection.execute(_REFERRING, {"oids": [target.oid for target in targets]}).fetchall()
        bound = [table_name(*name) for name in referring if _has_rows(connection, *name)]
        if bound:
            raise RestoreError(
                f"The rows cannot be replaced, because {first_of(bound)} refers to them; nothing was changed",
                subject=bound[0],
                hint=f"Restore these tables as well: {' '.join(f'--table {name}' for name in bound[:NAMED])}",
            )
        empty = [Target(0, schema, name) for schema, name in referring]
        return [*targets, *empty]


def holding_rows(connection: "psycopg.Connection[Any]", names: Sequence[str]) -> tuple[str, ...]:
    """Which of these tables hold rows."""
    found = connection.execute(_TABLES_THERE).fetchall()
    wanted = {parse_table_name(name) for name in names}
    there = [(schema, name) for schema, name in found if wanted & {(schema, name), (None, name)}]
    return tuple(table_name(schema, name) for schema, name in there if _has_rows(connection, schema, name))


def with_rows(connection: "psycopg.Connection[Any]", targets: Sequence[Target]) -> list[Target]:
    """Those that hold rows which would be replaced."""
    return [one for one in targets if _has_rows(connection, one.schema, one.name, one.condition)]


def _has_rows(connection: "psycopg.Connection[Any]", schema: str, table: str, condition: str = "") -> bool:
    from psycopg import sql

    query = with_names("SELECT 1 FROM ONLY {}.{} ", schema, table) + sql.SQL(condition) + sql.SQL(" LIMIT 1")
    return by_either_path(connection, query).fetchone() is not None
