"""Checksums of the rows in a custom-format archive, and of the same rows in a database.

Both are the lines of `COPY ... TO STDOUT`, which pg_dump itself wrote into the archive with the same settings.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from dgtui.engine.datasources.contents import LinesChecksum
from dgtui.engine.datasources.postgres_connection import Access
from dgtui.engine.datasources.postgres_names import quoted, table_name
from dgtui.engine.datasources.postgres_queries import tables_of
from dgtui.engine.datasources.postgres_selection import chosen_ids
from dgtui.engine.datasources.postgres_toc import Toc, data_blocks
from dgtui.engine.errors import RestoreError

if TYPE_CHECKING:
    import psycopg

_SETTINGS = """
SELECT set_config('datestyle', 'ISO', false), set_config('intervalstyle', 'postgres', false),
       set_config('extra_float_digits', '3', false), set_config('row_security', 'off', false),
       set_config('bytea_output', 'hex', false), set_config('search_path', '', false)
"""
_COPY_END = b"\\."


def archive_checksums(blocks: Iterable[bytes], tables: Sequence[str]) -> dict[str, str]:
    """The checksum of each table's rows by its name; empty where the archive does not hold rows as COPY does."""
    toc, data = data_blocks(blocks)
    if toc.compressed:
        return {}
    named = {entry.dump_id: entry for entry in toc.entries if entry.kind == "TABLE DATA"}
    if any(not entry.copied for entry in named.values()):
        return {}
    if tables:
        chosen = chosen_ids(toc, tables)
        names = {(entry.schema, entry.tag) for entry in toc.entries if entry.dump_id in chosen}
        named = {number: entry for number, entry in named.items() if (entry.schema, entry.tag) in names}
    sums = {number: LinesChecksum(_COPY_END) for number in named}
    for dump_id, block in data:
        if dump_id in sums:
            sums[dump_id].feed(block)
    return {table_name(named[number].schema, named[number].tag): one.text for number, one in sums.items()}


def content_checksums(access: Access, database: str, names: Sequence[str], toc: Toc) -> dict[str, str]:
    """The same of the tables in a database. Raises RestoreError."""
    import psycopg

    wanted = set(names)
    with access.connect(database, seconds=None) as connection:
        connection.execute(_SETTINGS)
        for entry in toc.entries:
            if entry.kind == "ENCODING":
                connection.execute(entry.definition.encode("utf-8", "surrogateescape"))
        try:
            return {
                table.shown: _checksum(connection, table.schema, table.name, table.columns)
                for table in tables_of(connection)
                if table.shown in wanted
            }
        except psycopg.Error as error:
            if connection.broken:
                raise
            raise RestoreError(
                f"The content of {database} cannot be read: {str(error).splitlines()[0]}", subject=database
            ) from error


def _checksum(connection: "psycopg.Connection[Any]", schema: str, name: str, columns: Sequence[str]) -> str:
    rows = LinesChecksum()
    listed = f" ({', '.join(map(quoted, columns))})" if columns else ""
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {quoted(schema)}.{quoted(name)}{listed} TO STDOUT".encode()) as lines,
    ):
        for line in lines:
            rows.feed(bytes(line))
    return rows.text
