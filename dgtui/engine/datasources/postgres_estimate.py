"""How many bytes `pg_dump -Fc -Z0` will write, estimated from samples of the tables themselves.

The text that COPY gives for some rows of a table, times its number of rows, comes within a few per cent, which no
size in the catalogs does: those know nothing of TOAST compression, dead rows and the text form of values.
"""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from dgtui.engine.datasources.postgres_names import quoted
from dgtui.engine.datasources.postgres_queries import Table

if TYPE_CHECKING:
    import psycopg

_SECONDS = 0.4
"""For all tables together; what is not reached in this time goes by its size."""
_LARGEST_TABLES = 10
_LARGEST_SECONDS = 1.5
"""For the largest tables, which are nearly the whole of most databases: a busy server needs longer for them."""
_COUNTED_BYTES = 4 << 20
"""Up to this size the rows of a table that was never analysed are counted."""
_SAMPLE_ROWS = 3000
_SAMPLE_BYTES = 1 << 20
_FEWEST_ROWS = 60
_UNKNOWN_PAGES = 300
"""Pages to read where the number of rows is unknown: the sample has to tell it too."""
_BYTES_PER_ROW = 5
_BYTES_PER_LARGE_OBJECT = 300
_PAGE = 8192


class Estimate(NamedTuple):
    """What a dump will hold, by oid where it is about tables."""

    total: int
    rows: dict[int, int]


def estimate_dump(connection: "psycopg.Connection[Any]", tables: Sequence[Table], *, large_objects: bool) -> Estimate:
    """Estimate the size of a dump of these tables' data; takes about half a second, on a busy server up to two."""
    import psycopg

    started = time.monotonic()
    connection.execute("SET lock_timeout = '100ms'; SET statement_timeout = '2s'")
    known = 0.0
    known_size = unknown_size = 0
    rows: dict[int, int] = {}
    all_bytes = sum(table.bytes for table in tables) or 1
    filled = [table for table in tables if table.main_bytes and table.kind != "m"]
    for position, table in enumerate(sorted(filled, key=lambda table: -table.bytes)):
        if time.monotonic() - started < (_LARGEST_SECONDS if position < _LARGEST_TABLES else _SECONDS):
            try:
                count, size = _sample(connection, table, table.bytes / all_bytes)
            except psycopg.Error as error:
                # A COPY that broke off here, for want of memory, goes on at the server: nothing else can be asked.
                if connection.broken or connection.info.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
                    raise psycopg.OperationalError(connection.info.error_message or str(error)) from error
            else:
                rows[table.oid] = count
                known += size
                known_size += table.bytes
                continue
        unknown_size += table.bytes
    total = known + unknown_size * (known / known_size if known_size else 1)
    if large_objects:
        total += _large_objects(connection)
    total += _catalog_bytes(connection)
    connection.execute("SET lock_timeout = 0; SET statement_timeout = 0")
    return Estimate(round(total), rows)


def _sample(connection: "psycopg.Connection[Any]", table: Table, share: float) -> tuple[int, float]:
    """Rows of a table, and bytes they take in a dump; `share` is its part of all tables' bytes."""
    rows = table.rows
    if rows is None and table.main_bytes <= _COUNTED_BYTES:
        rows = connection.execute(f"SELECT count(*) FROM {table.source}".encode()).fetchall()[0][0]  # noqa: S608
    percent, limit = _sampling(table, rows, share)
    columns = ", ".join(quoted(column) for column in table.columns)
    query = f"SELECT {columns} FROM {table.source}"  # noqa: S608  # quoted names
    if percent < 100:
        query += f" TABLESAMPLE SYSTEM ({percent:.6f})"
    if limit:
        query += f" LIMIT {limit}"
    sampled, size = _copy(connection, query)
    if rows is None:
        rows = round(sampled * 100 / percent)
    if not sampled:
        return rows, float(table.bytes if rows else 0)
    return rows, rows * (size / sampled + _BYTES_PER_ROW)


def _sampling(table: Table, rows: int | None, share: float) -> tuple[float, int]:
    """Which share of the pages to read, and how many rows at most (0: all).

    A small table needs no good sample: its error is small beside the whole.
    """
    pages = max(1, table.main_bytes // _PAGE)
    if rows is None:
        # Rows beyond a limit would be lost to the count, so only the pages are limited.
        wanted_pages = min(_UNKNOWN_PAGES, max(8, 4 * _SAMPLE_BYTES * pages / table.bytes))
        return min(100.0, 100 * wanted_pages / pages), 0
    weight = min(1.0, 5 * share)
    by_bytes = weight * _SAMPLE_BYTES * max(1, rows) / table.bytes
    wanted = max(_FEWEST_ROWS, int(min(weight * _SAMPLE_ROWS, by_bytes)))
    wanted_pages = max(4, wanted * pages / max(1, rows))
    # The limit is a guard, not the aim: cutting off would prefer the first pages of the table.
    return min(100.0, 100 * wanted_pages / pages), 3 * wanted


def _copy(connection: "psycopg.Connection[Any]", query: str) -> tuple[int, int]:
    rows = size = 0
    with connection.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT".encode()) as copy:
        for row in copy:
            rows += 1
            size += len(row)
    return rows, size


def _large_objects(connection: "psycopg.Connection[Any]") -> float:
    """Bytes that the large objects take in a dump."""
    count, pages, readable = connection.execute(
        """SELECT (SELECT count(*) FROM (SELECT 1 FROM pg_largeobject_metadata LIMIT 1000000) m),
                  pg_relation_size('pg_largeobject') / 8192, has_table_privilege('pg_largeobject', 'SELECT')"""
    ).fetchall()[0]
    if not count:
        return 0.0
    if not readable:
        return float(pages * _PAGE * 0.9 + count * _BYTES_PER_LARGE_OBJECT)
    percent = min(100.0, 100 * _UNKNOWN_PAGES / max(1, pages))
    size, sampled = connection.execute(
        f"""SELECT coalesce(sum(octet_length(data)), 0)::int8, count(DISTINCT (ctid::text::point)[0])
            FROM pg_largeobject TABLESAMPLE SYSTEM ({percent:.6f})"""  # noqa: S608  # a number
    ).fetchall()[0]
    share = 1.0 if percent >= 100 else pages / max(1, sampled)
    return float(size * share + count * _BYTES_PER_LARGE_OBJECT)


def _catalog_bytes(connection: "psycopg.Connection[Any]") -> int:
    """About what the definitions take in the table of contents."""
    relations, columns, others = connection.execute(
        """SELECT (SELECT count(*) FROM pg_class WHERE oid >= 16384 AND relkind NOT IN ('t', 'c')),
                  (SELECT count(*) FROM pg_attribute WHERE attrelid >= 16384 AND attnum > 0),
                  (SELECT coalesce(sum(length(prosrc)), 0) + 500 * count(*) FROM pg_proc WHERE oid >= 16384)"""
    ).fetchall()[0]
    return int(3000 + 450 * relations + 25 * columns + others)
