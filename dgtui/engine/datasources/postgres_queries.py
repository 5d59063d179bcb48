"""What is asked of a PostgreSQL database: its tables, how many rows they hold, who is connected."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from dgtui.engine.datasources.dumping import Client, DumpOptions
from dgtui.engine.datasources.postgres_names import parse_table_name, qualified, table_matches, table_name
from dgtui.engine.model import ObjectInfo, Share

if TYPE_CHECKING:
    import psycopg

_BATCH = 100
_LOCK_MILLISECONDS = 300


class Table(NamedTuple):
    """A table (or materialised view) with rows of its own."""

    oid: int
    schema: str
    name: str
    kind: str
    """`r` for a table, `m` for a materialised view."""
    rows: int | None
    """By the statistics, scaled to the present size; None where it was never analysed."""
    main_bytes: int
    bytes: int
    """With TOAST, without indexes."""
    populated: bool
    columns: tuple[str, ...]
    """Those that a dump holds: generated ones are computed again."""
    ancestors: tuple[tuple[str | None, str], ...]
    """Schema and name of the partitioned tables it is a part of, the uppermost last."""
    hashed: bool
    """Whether one of these divides its rows up by a hash.

    That of an enum's value is of a number that is new in each database, so that its rows change places.
    """

    @property
    def shown(self) -> str:
        """Its name as it is shown."""
        return table_name(self.schema, self.name)

    @property
    def quoted(self) -> str:
        """Its name for SQL."""
        return qualified(self.schema, self.name)

    @property
    def source(self) -> str:
        """What to select its own rows from."""
        return f"ONLY {self.quoted}" if self.kind == "r" else self.quoted


USERS_OWN = """n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
    AND c.relpersistence <> 't'"""
"""The condition of a relation `c` of a schema `n` that the users made."""

_TABLES = f"""
SELECT c.oid::int8, n.nspname, c.relname, c.relkind::text, c.reltuples::float8, c.relpages, c.relispopulated,
       {{sizes}},
       array(SELECT a.attname::text FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped {{generated}} ORDER BY a.attnum),
       above.names, above.hashed
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
    WITH RECURSIVE up(id, level) AS (
        SELECT inhparent, 1 FROM pg_inherits WHERE inhrelid = c.oid AND c.relispartition
        UNION ALL SELECT i.inhparent, level + 1 FROM pg_inherits i JOIN up ON i.inhrelid = up.id)
    SELECT coalesce(array_agg(quote_ident(pn.nspname) || '.' || quote_ident(p.relname) ORDER BY level), '{{{{}}}}'),
           coalesce(bool_or(d.partstrat = 'h'), false)
    FROM up JOIN pg_class p ON p.oid = up.id JOIN pg_namespace pn ON pn.oid = p.relnamespace
         JOIN pg_partitioned_table d ON d.partrelid = up.id) AS above(names, hashed)
WHERE c.relkind IN ('r', 'm') AND {USERS_OWN} {{of_extensions}}
ORDER BY n.nspname, c.relname
"""  # noqa: S608  # nothing in it comes from outside


_WITH_GENERATED = 120000
_NOT_GENERATED = "AND a.attgenerated = ''"
_COLUMNS = """
SELECT a.attname::text FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped {generated} ORDER BY a.attnum
"""
_OF_NO_EXTENSION = """
AND NOT EXISTS (SELECT 1 FROM pg_depend d
                WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
"""
_SIZES = "pg_relation_size(c.oid), pg_table_size(c.oid)"
_SIZES_BY_STATISTICS = "c.relpages * 8192::int8, c.relpages * 8192::int8"


def tables_of(connection: "psycopg.Connection[Any]", *, of_extensions: bool = False) -> list[Table]:
    """All tables and materialised views that are the user's own, by name; with those of extensions if wanted."""
    import psycopg

    parts = {
        "generated": _NOT_GENERATED if connection.info.server_version >= _WITH_GENERATED else "",
        "of_extensions": "" if of_extensions else _OF_NO_EXTENSION,
    }
    try:
        with connection.transaction():
            connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_MILLISECONDS}ms'")
            rows = connection.execute(_TABLES.format(**parts, sizes=_SIZES).encode()).fetchall()
    except psycopg.errors.LockNotAvailable:
        # To ask for the size of a table takes a lock; somebody is altering one.
        rows = connection.execute(_TABLES.format(**parts, sizes=_SIZES_BY_STATISTICS).encode()).fetchall()
    return [_table(*row) for row in rows]


def columns_of(connection: "psycopg.Connection[Any]", schema: str, name: str) -> tuple[str, ...]:
    """The columns of one table that a dump holds."""
    generated = _NOT_GENERATED if connection.info.server_version >= _WITH_GENERATED else ""
    rows = connection.execute(_COLUMNS.format(generated=generated).encode(), (schema, name)).fetchall()
    return tuple(column for (column,) in rows)


_USERS_PATH = "SELECT set_config('search_path', reset_val, true) FROM pg_settings WHERE name = 'search_path'"
_PARTITIONS = """
WITH RECURSIVE up(id, ancestor) AS (
    SELECT inhrelid, inhparent FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE relispartition
    UNION ALL SELECT up.id, i.inhparent FROM pg_inherits i JOIN up ON i.inhrelid = up.ancestor)
SELECT n.nspname, c.relname, an.nspname, a.relname
FROM up JOIN pg_class c ON c.oid = up.id JOIN pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_class a ON a.oid = up.ancestor JOIN pg_namespace an ON an.oid = a.relnamespace
WHERE c.relkind IN ('r', 'p', 'f') ORDER BY 1, 2
"""


def with_partitions(connection: "psycopg.Connection[Any]", names: Sequence[str]) -> tuple[str, ...]:
    """These names of tables, and those of all their partitions."""
    if not names:
        return ()
    partitions = [
        table_name(schema, name)
        for schema, name, above_schema, above_name in connection.execute(_PARTITIONS).fetchall()
        if any(table_matches(wanted, above_schema, above_name) for wanted in names)
    ]
    return tuple(dict.fromkeys((*names, *partitions)))


def _table(
    oid: int,
    schema: str,
    name: str,
    kind: str,
    reltuples: float,
    relpages: int,
    populated: bool,
    main_bytes: int,
    table_bytes: int,
    columns: list[str],
    ancestors: list[str],
    hashed: bool,
) -> Table:
    rows: int | None = None
    if not main_bytes:
        rows = 0
    elif reltuples >= 0 and relpages > 0:
        rows = round(reltuples / relpages * (main_bytes / 8192))
    return Table(
        oid,
        schema,
        name,
        kind,
        rows,
        main_bytes or 0,
        table_bytes or 0,
        populated,
        tuple(columns),
        tuple(map(parse_table_name, ancestors)),
        hashed,
    )


def selected(tables: Iterable[Table], options: DumpOptions) -> list[Table]:
    """The tables that a dump with these options holds."""

    def named(table: Table, names: Sequence[str]) -> bool:
        own = [(table.schema, table.name), *((schema or "", name) for schema, name in table.ancestors)]
        return any(table_matches(wanted, schema, name) for wanted in names for schema, name in own)

    return [
        table
        for table in tables
        if (not options.tables or named(table, options.tables)) and not named(table, options.exclude_tables)
    ]


def count_rows(connection: "psycopg.Connection[Any]", tables: Sequence[Table]) -> dict[int, int]:
    """Exact number of rows by oid; materialised views without content have none."""
    counts: dict[int, int] = {}
    wanted = [table for table in tables if table.populated]
    for start in range(0, len(wanted), _BATCH):
        counts.update(_counted(connection, wanted[start : start + _BATCH]))
    return counts


def _counted(connection: "psycopg.Connection[Any]", tables: Sequence[Table]) -> list[tuple[int, int]]:
    query = " UNION ALL ".join(
        f"SELECT {table.oid}::pg_catalog.int8, pg_catalog.count(*) FROM {table.source}"  # noqa: S608  # quoted names
        for table in tables
    ).encode()
    return by_either_path(connection, query).fetchall()


def by_either_path(
    connection: "psycopg.Connection[Any]", query: "bytes | psycopg.sql.Composed"
) -> "psycopg.Cursor[Any]":
    """The answer to a question in which every name has its schema, about a table whose indexes may use functions.

    The server looks at these for any question, and what they call in turn may be found by the users' path alone.
    """
    import psycopg

    try:
        with connection.transaction():
            return connection.execute(query)
    except psycopg.ProgrammingError:
        with connection.transaction(force_rollback=True):
            connection.execute(_USERS_PATH)
            return connection.execute(query)


def object_infos(tables: Iterable[Table], exact: dict[int, int], *, at_dump: bool) -> tuple[ObjectInfo, ...]:
    """The tables as the engine speaks of them; `at_dump` where `exact` was counted in the dump's own snapshot."""
    return tuple(
        ObjectInfo(
            name=table.shown,
            rows=exact.get(table.oid, table.rows),
            bytes=table.bytes,
            rows_exact=at_dump and table.oid in exact,
        )
        for table in tables
    )


def inventory_of(tables: Iterable[Table], exact: dict[int, int]) -> tuple[ObjectInfo, ...]:
    """The tables of a database that was loaded, with their counted rows."""
    tables = list(tables)
    return tuple(
        Share(**msgspec.structs.asdict(info), of=table_name(table.ancestors[-1][0] or "", table.ancestors[-1][1]))
        if table.hashed
        else info
        for table, info in zip(tables, object_infos(tables, exact, at_dump=True), strict=True)
    )


def clients_of(connection: "psycopg.Connection[Any]", database: str) -> tuple[Client, ...]:
    """Who else is connected to a database."""
    rows = connection.execute(
        """SELECT coalesce(usename, ''), coalesce(application_name, ''), coalesce(host(client_addr), 'local'),
                  coalesce(to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), '')
           FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid() AND backend_type = 'client backend'
           ORDER BY backend_start""",
        (database,),
    ).fetchall()
    return tuple(
        Client(user=user, program=program, address=address, since=since) for user, program, address, since in rows
    )
