"""Checksums of the rows in a custom-format archive, and of the same rows in a database.

Both are the lines of `COPY ... TO STDOUT`, which pg_dump itself wrote into the archive.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from dgtui.engine.datasources.contents import LinesChecksum, RowsChecksum
from dgtui.engine.datasources.postgres_connection import DUMP_ZONE, Access
from dgtui.engine.datasources.postgres_extensions import own_rows
from dgtui.engine.datasources.postgres_names import plain_name, qualified, quoted, table_name
from dgtui.engine.datasources.postgres_queries import tables_of
from dgtui.engine.datasources.postgres_selection import chosen_ids
from dgtui.engine.datasources.postgres_toc import Toc, TocEntry, data_blocks, definition_bytes, python_codec
from dgtui.engine.errors import RestoreError

if TYPE_CHECKING:
    import psycopg

_SETTINGS = """
SELECT set_config('datestyle', 'ISO', false), set_config('intervalstyle', 'postgres', false),
       set_config('extra_float_digits', '3', false), set_config('row_security', 'off', false),
       set_config('search_path', '', false)
"""
_SHAPES = """
SELECT a.attrelid::int8, bool_or(NOT plain AND a.atttypid <> 'bytea'::regtype),
       bool_or(NOT plain AND a.atttypid <> 'timestamptz'::regtype)
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid, LATERAL (SELECT t.typtype = 'e' OR t.oid = ANY (
    '{bool,char,name,int2,int4,int8,oid,float4,float8,numeric,money,text,varchar,bpchar,uuid,json,jsonb,xml,date,time,
      timestamp,interval,inet,cidr,macaddr,bit,varbit,tsvector,tsquery,point,box,polygon,circle,
      bool[],int2[],int4[],int8[],float8[],numeric[],text[],varchar[],uuid[],date[]}'::regtype[]) AS plain) p
WHERE a.attnum > 0 AND NOT a.attisdropped GROUP BY 1
"""
"""Whether the text of a table's rows may depend on the time zone, and whether on the form of bytes."""
_COPY_END = b"\\."
_COLUMNS = re.compile(r"\(((?:\"(?:[^\"]|\"\")+\"|[^\")])*)\) FROM stdin;\s*\Z")
_INTO = re.compile(r"COPY (\"(?:[^\"]|\"\")+\"|\w+)\.(\"(?:[^\"]|\"\")+\"|\w+) ")
_PARTITIONED = """
SELECT c.oid::int8, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'p'
"""
_NAME = re.compile(r"\"(?:[^\"]|\"\")+\"|[^\", ]+")


def archive_checksums(blocks: Iterable[bytes], tables: Sequence[str]) -> dict[str, str]:
    """The checksum of each table's rows by its name; empty where the archive does not hold rows as COPY does."""
    toc, data = data_blocks(blocks)
    if toc.compressed:
        return {}
    named = {entry.dump_id: entry for entry in toc.entries if entry.kind == "TABLE DATA"}
    if any(not entry.copy for entry in named.values()):
        return {}
    if tables:
        chosen = chosen_ids(toc, tables)
        names = {(entry.schema, entry.tag) for entry in toc.entries if entry.dump_id in chosen}
        named = {number: entry for number, entry in named.items() if (entry.schema, entry.tag) in names}
    rows = {_filled(entry): RowsChecksum() for entry in named.values()}
    sums = {number: LinesChecksum(_COPY_END, rows[_filled(entry)]) for number, entry in named.items()}
    for dump_id, block in data:
        if dump_id in sums:
            sums[dump_id].feed(block)
    return {table_name(*place): one.text for place, one in rows.items()}


def _filled(entry: TocEntry) -> tuple[str, str]:
    """The table that rows go into: where they may belong to another partition of it than before, it is all of it."""
    match = _INTO.match(entry.copy)
    return (plain_name(match[1]), plain_name(match[2])) if match is not None else (entry.schema, entry.tag)


def content_checksums(
    access: Access, database: str, names: Sequence[str], toc: Toc, expected: Mapping[str, str]
) -> dict[str, str]:
    """The same of the tables in a database, whose rows are written as those of the archive are. Raises RestoreError.

    How pg_dump wrote bytes, and times before it was told the zone, depends on settings that may not hold here:
    `expected`, the checksums of the archive, shows by which of them it was.
    """
    import psycopg

    wanted = set(names)
    with access.connect(database, seconds=None) as connection:
        ways = _ways(connection)
        tables = [table for table in _tables(connection, toc) if table.shown in wanted]
        shapes = {oid: (by_zone, by_form) for oid, by_zone, by_form in connection.execute(_SHAPES).fetchall()}
        connection.execute(_SETTINGS)
        for entry in toc.entries:
            if entry.kind == "ENCODING":
                connection.execute(definition_bytes(entry))
        try:
            return {
                table.shown: _checksum_by_a_way(
                    connection, table, ways, shapes.get(table.oid, (False, False)), expected.get(table.shown, "")
                )
                for table in tables
            }
        except psycopg.Error as error:
            if connection.broken:
                raise
            raise RestoreError(
                f"The content of {database} cannot be read: {str(error).splitlines()[0]}", subject=database
            ) from error


class _Compared(NamedTuple):
    """A table whose rows are compared, with their columns in the order in which the archive holds them."""

    oid: int
    schema: str
    name: str
    columns: tuple[str, ...]
    condition: str | None
    """Of a table of an extension: which rows a dump holds; empty where all are asked for by a query."""

    @property
    def shown(self) -> str:
        return table_name(self.schema, self.name)

    @property
    def copying(self) -> str:
        """The statement that gives the rows."""
        place = qualified(self.schema, self.name)
        columns = ", ".join(map(quoted, self.columns))
        if self.condition is not None:
            return f"COPY (SELECT {columns} FROM {place} {self.condition}) TO STDOUT"  # noqa: S608  # quoted names
        return f"COPY {place}{f' ({columns})' if columns else ''} TO STDOUT"


def _tables(connection: "psycopg.Connection[Any]", toc: Toc) -> list[_Compared]:
    """The tables of a database; a child of another table may have got its columns in another order at the restore."""
    dumped = {_filled(entry): _columns(entry) for entry in toc.entries if entry.kind == "TABLE DATA"}
    own = own_rows(connection)
    partitioned = [
        _Compared(oid, schema, name, dumped[schema, name], "")
        for oid, schema, name in connection.execute(_PARTITIONED).fetchall()
        if (schema, name) in dumped
    ]
    return partitioned + [
        _Compared(
            table.oid,
            table.schema,
            table.name,
            _in_order_of(dumped.get((table.schema, table.name), ()), table.columns),
            own.get((table.schema, table.name)),
        )
        for table in tables_of(connection, of_extensions=True)
    ]


def _columns(entry: TocEntry) -> tuple[str, ...]:
    match = _COLUMNS.search(entry.copy)
    names = _NAME.findall(match[1]) if match is not None else []
    return tuple(name[1:-1].replace('""', '"') if name.startswith('"') else name for name in names)


def _in_order_of(dumped: tuple[str, ...], there: tuple[str, ...]) -> tuple[str, ...]:
    return dumped if sorted(dumped) == sorted(there) else there


def _ways(connection: "psycopg.Connection[Any]") -> list[tuple[str, str]]:
    """The time zones and forms of bytes in which the rows may have been written, the likeliest first."""
    # Before the encoding is set: in some of them texts come as bytes.
    rows = connection.execute("SELECT current_setting('timezone'), current_setting('bytea_output')").fetchall()
    zones = dict.fromkeys((DUMP_ZONE, str(rows[0][0])))
    forms = dict.fromkeys((str(rows[0][1]), "hex", "escape"))
    return [(zone, form) for form in forms for zone in zones]


def _checksum_by_a_way(
    connection: "psycopg.Connection[Any]",
    table: "_Compared",
    ways: list[tuple[str, str]],
    shape: tuple[bool, bool],
    expected: str,
) -> str:
    """The expected checksum where the table has it in one of the ways, which then comes first for the next table."""
    first = ""
    # A table that differs is read once for each way that could make a difference to it, and a large one takes long.
    unlike = {(zone if shape[0] else "", form if shape[1] else ""): (zone, form) for zone, form in reversed(ways)}
    for zone, form in (way for way in list(ways) if way in unlike.values()):
        connection.execute(
            "SELECT set_config('timezone', %s, false), set_config('bytea_output', %s, false)", (zone, form)
        )
        found = _checksum(connection, table)
        if found == expected:
            ways.remove((zone, form))
            ways.insert(0, (zone, form))
            return found
        first = first or found
    return first


def _checksum(connection: "psycopg.Connection[Any]", table: _Compared) -> str:
    rows = LinesChecksum()
    codec = python_codec(connection.info.parameter_status("client_encoding") or "") or "utf-8"
    with connection.cursor() as cursor, cursor.copy(table.copying.encode(codec, "surrogateescape")) as lines:
        for line in lines:
            rows.feed(bytes(line))
    return rows.text
