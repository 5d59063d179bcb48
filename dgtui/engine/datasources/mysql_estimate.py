"""How large the dump of a database will be, from a sample of its rows."""

import time
from collections.abc import Sequence

from dgtui.engine.datasources.dumping import DumpOptions
from dgtui.engine.datasources.mysql_connection import Session
from dgtui.engine.datasources.mysql_errors import quote
from dgtui.engine.datasources.mysql_look import WITHOUT_DATA, Table, count_rows

_BINARY = frozenset({"blob", "tinyblob", "mediumblob", "longblob", "binary", "varbinary", "bit"})
_GEOMETRY = frozenset(
    {"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon"}
    | {"geometrycollection", "geomcollection"}
)
_PLAIN = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double", "year"})
_TIMES = frozenset({"date", "datetime", "timestamp", "time", "inet4", "inet6", "uuid"})

_SAMPLED_TABLES = 60
_SAMPLE_BYTES = 2_000_000
_SAMPLE_ROWS = 300
_COUNTED_ROWS = 200_000
_BUDGET_SECONDS = 0.15
_LARGEST_TABLES = 10
_LARGEST_BUDGET_SECONDS = 1.0
_SCHEMA_BYTES = 900
_COLUMN_BYTES = 45


def estimated_dump_bytes(session: Session, database: str, tables: Sequence[Table], options: DumpOptions) -> int:
    """Size of the dump: rows of each table times the length of its quoted rows in a sample.

    The largest tables are sampled until the time for it is used up, which is longer for the first of them, as a busy
    server needs; for the others the size on disk counts.
    """
    schema = sum(_SCHEMA_BYTES + _COLUMN_BYTES * len(table.columns) + len(table.name) * 8 for table in tables)
    if options.backup_type == "schema_only":
        return schema
    total, sampled_disk, sampled_dump = schema, 1, 1
    started = time.monotonic()
    by_size = sorted(tables, key=lambda table: table.data_bytes, reverse=True)
    for position, table in enumerate(by_size):
        if table.rows == 0 and table.data_bytes <= 16384 and position >= _SAMPLED_TABLES:
            continue
        budget = _LARGEST_BUDGET_SECONDS if position < _LARGEST_TABLES else _BUDGET_SECONDS
        if position >= _SAMPLED_TABLES or time.monotonic() - started > budget:
            total += table.data_bytes * sampled_dump // sampled_disk
            continue
        size = _table_dump_bytes(session, database, table)
        total, sampled_disk, sampled_dump = total + size, sampled_disk + table.data_bytes, sampled_dump + size
    return total


def _table_dump_bytes(session: Session, database: str, table: Table) -> int:
    if table.engine.upper() in WITHOUT_DATA or not table.columns:
        return 0
    name = f"{quote(database)}.{quote(table.name)}"
    rows = table.rows
    if rows < _COUNTED_ROWS:
        rows = count_rows(session, database, table.name, versioned=table.versioned)
    if rows == 0:
        return 0
    average = max(table.data_bytes // rows, 1)
    count = max(3, min(_SAMPLE_ROWS, _SAMPLE_BYTES // average))
    length = " + ".join(_quoted_length(column, kind) for column, kind in table.columns)
    part = _sample(session, name, table, rows, count)
    sampled = session.value(f"SELECT AVG({length}) FROM ({part}) AS part")  # noqa: S608  # quoted names
    return int(rows * (float(sampled or 0) + len(table.columns) + 3))


def _sample(session: Session, name: str, table: Table, rows: int, count: int) -> str:
    """Rows from several places of a table: the oldest are often shorter than the newest."""
    columns = ", ".join(quote(column) for column, _ in table.columns)  # `*` would leave out the invisible ones
    if rows <= count or table.key is None:
        return f"SELECT {columns} FROM {name} LIMIT {count}"  # noqa: S608  # quoted names
    column = quote(table.key)
    low, high = session.rows(f"SELECT MIN({column}), MAX({column}) FROM {name}")[0]  # noqa: S608  # quoted names
    places = 5
    each = max(1, count // places)
    starts = [low + (high - low) * place // places for place in range(places)]
    return " UNION ALL ".join(
        f"(SELECT {columns} FROM {name} WHERE {column} >= {start} ORDER BY {column} LIMIT {each})"  # noqa: S608  # quoted names
        for start in starts
    )


def _quoted_length(column: str, kind: str) -> str:
    name = quote(column)
    if kind in _PLAIN:
        length = f"LENGTH({name})"
    elif kind in _TIMES:
        length = f"LENGTH({name}) + 2"
    elif kind in _BINARY:
        length = f"LENGTH({name}) * 2 + 2" if kind != "bit" else f"LENGTH(HEX({name})) + 2"
    elif kind in _GEOMETRY:
        length = f"LENGTH({name}) * 2 + 2"
    else:
        text = f"CONVERT({name} USING utf8mb4)"
        escaped = " + ".join(
            f"LENGTH({text}) - LENGTH(REPLACE({text}, {sign}, ''))" for sign in ("'\"'", "'\\n'", "'\\r'")
        )
        length = f"LENGTH(QUOTE({text})) + {escaped}"
    return f"COALESCE({length}, 4)"
