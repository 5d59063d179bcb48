"""Rows that others write while a safety backup is made and after it, kept as a script before their table is replaced.

PostgreSQL says of each row which transaction wrote it (its system column `xmin`), and numbers these in the order in
which they begin to write. What is not in the safety backup was written by one that was not over when that was begun: by
the oldest one that was under way then, or by a later one.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from dgtui.engine.datasources.postgres_names import qualified, quoted, table_name
from dgtui.engine.datasources.postgres_queries import columns_of
from dgtui.engine.datasources.postgres_transfer import texts_as_they_are
from dgtui.engine.file_errors import explained
from dgtui.engine.files import file_in_place, make_private_folder
from dgtui.engine.reporting import Reporter
from dgtui.engine.restore_model import LateRows

if TYPE_CHECKING:
    import psycopg

_OLDEST = "SELECT txid_snapshot_xmin(txid_current_snapshot())::text"
_AGE = "SELECT txid_current() - %s::int8"
_TABLES = """
WITH RECURSIVE down(id) AS (
    SELECT unnest(%(oids)s::oid[])
    UNION SELECT inhrelid FROM pg_inherits JOIN down ON inhparent = id JOIN pg_class c ON c.oid = inhrelid
    WHERE c.relispartition)
SELECT n.nspname, c.relname, coalesce(a.amname, 'heap') = 'heap' FROM down
JOIN pg_class c ON c.oid = id JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_am a ON a.oid = c.relam
WHERE c.relkind = 'r' ORDER BY 1, 2
"""
_HEAD = """\
-- Rows that were written after the safety backup of a restore had been begun, as they were when their tables were
-- replaced; some may be in that backup too. Look at them before you take them over: where a table has a row of the same
-- key, COPY refuses all of them.
SET client_encoding = '{encoding}';
"""


class _Table(NamedTuple):
    schema: str
    name: str
    tells: bool
    """Whether its rows say which transaction wrote them; of what extensions store in ways of their own is not known."""
    columns: tuple[str, ...]

    @property
    def shown(self) -> str:
        return table_name(self.schema, self.name)


def write_mark(connection: "psycopg.Connection[Any]") -> str:
    """The oldest transaction that is not over yet."""
    row = connection.execute(_OLDEST).fetchone()
    assert row is not None
    return str(row[0])


def keep_late_rows(
    connection: "psycopg.Connection[Any]", oids: Sequence[int], late: LateRows, reporter: Reporter
) -> None:
    """Write the late rows of these tables and their partitions to the script, where there are any. Raises StorageError.

    In the transaction of the caller, who keeps others from writing to the tables until its end.
    """
    found = connection.execute(_TABLES, {"oids": list(oids)}).fetchall()
    # Names are asked for before the texts are read as they are: then they would be bytes.
    tables = [_Table(schema, name, tells, columns_of(connection, schema, name)) for schema, name, tells in found]
    for table in tables:
        if not table.tells:
            reporter.log(
                f"What others wrote to {table.shown} after the safety backup had been begun cannot be told: it is "
                "kept nowhere",
                level="warning",
            )
    row = connection.execute(_AGE, (late.since,)).fetchone()
    assert row is not None
    age, path = int(row[0]), Path(late.path)
    make_private_folder(path.parent)
    with (
        explained(path, "write"),
        texts_as_they_are(connection),
        file_in_place(path) as descriptor,
        os.fdopen(descriptor, "wb", closefd=False) as script,
    ):
        counts = [(table, _write_rows(connection, table, age, script)) for table in tables if table.tells]
    if told := [f"{count} of {table.shown}" for table, count in counts if count]:
        reporter.log(
            f"Rows that were written after the safety backup had been begun are kept in {path}: {', '.join(told)}",
            level="warning",
        )


def _write_rows(connection: "psycopg.Connection[Any]", table: _Table, age: int, script: BinaryIO) -> int:
    """Write the rows whose transaction is not older than this many others; how many there are."""
    name, listed = qualified(table.schema, table.name), ", ".join(map(quoted, table.columns))
    chosen = f"{listed} FROM ONLY {name} WHERE age(xmin) <= {age}"
    head = f"\nCOPY {name}{f' ({listed})' if listed else ''} FROM stdin;\n".encode()
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY (SELECT {chosen}) TO STDOUT".encode()) as rows:
            for block in rows:
                if head and not script.tell():
                    encoding = connection.info.parameter_status("client_encoding")
                    script.write(_HEAD.format(encoding=encoding).encode())
                script.write(head)
                script.write(block)
                head = b""
        if not head:
            script.write(b"\\.\n")
        return cursor.rowcount
