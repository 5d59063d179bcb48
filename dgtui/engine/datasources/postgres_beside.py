"""Putting one table of a database beside into the live one under a name of its own, to look at it there.

In the database beside, which is ours alone, the table and all that has a name of the whole schema are renamed; what
the dump tool then says of it is made in the live database, in one transaction, with the rows.
"""

import os
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from dgtui.engine.datasources.base import Datasource
from dgtui.engine.datasources.dumping import DumpOptions
from dgtui.engine.datasources.loading import Announce, Selection
from dgtui.engine.datasources.postgres_connection import Access, PostgresSettings
from dgtui.engine.datasources.postgres_names import name_mistake, parse_table_name, qualified, quoted, shown, table_name
from dgtui.engine.datasources.postgres_plan import plan_restore
from dgtui.engine.datasources.postgres_settling import transaction_mark
from dgtui.engine.datasources.postgres_toc import Toc, read_toc
from dgtui.engine.datasources.postgres_transfer import copy_rows, make_entry, prepare, refused
from dgtui.engine.errors import RestoreError
from dgtui.engine.reporting import SilentReporter
from dgtui.engine.restore_model import Part, PartChange

if TYPE_CHECKING:
    import psycopg

LEFT_OUT = "foreign keys and triggers"
_BLOCK_BYTES = 1 << 16
_LONGEST_NAME = 63
_TABLE = """
SELECT n.nspname, c.relname, c.relkind::text, c.relispartition OR EXISTS (
    SELECT 1 FROM pg_inherits WHERE c.oid IN (inhrelid, inhparent)), c.oid::int8
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = %(name)s AND (%(schema)s::text IS NULL OR n.nspname = %(schema)s)
AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND c.relkind IN ('r', 'p', 'm', 'f', 'v', 'S')
"""
_TAKEN = """
SELECT 1 FROM pg_namespace n WHERE (%(schema)s::text IS NULL OR n.nspname = %(schema)s)
AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND (
    EXISTS (SELECT 1 FROM pg_class c WHERE c.relnamespace = n.oid AND c.relname = %(name)s)
    OR EXISTS (SELECT 1 FROM pg_type t WHERE t.typnamespace = n.oid AND t.typname = %(name)s))
"""
_KEYS = "SELECT conname FROM pg_constraint WHERE conrelid = %s::int8::oid AND contype = 'f'"
_KEYS_TO = """
SELECT conrelid::regclass::text, conname FROM pg_constraint
WHERE confrelid = %s::int8::oid AND contype = 'f' AND conparentid = 0
"""
_TRIGGERS = "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::int8::oid AND NOT tgisinternal"
_NAMED = """
SELECT 'INDEX', i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = %(oid)s::int8::oid
UNION ALL
SELECT 'SEQUENCE', s.relname FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = %(oid)s::int8::oid AND d.classid = 'pg_class'::regclass
AND d.deptype IN ('a', 'i')
UNION ALL
SELECT 'STATISTICS', stxname FROM pg_statistic_ext WHERE stxrelid = %(oid)s::int8::oid
"""


def check_name(access: Access, database: str, table: str, name: str) -> None:
    """Raise RestoreError where a relation or type has the name, or where it is too long."""
    schema, _ = parse_table_name(table)
    with access.connect(database) as connection:
        _refuse_taken(connection, database, schema, name)


def _rename_beside(access: Access, change: PartChange, name: str) -> str:
    """Rename the table in the database beside, with all that has a name of its schema; its schema. Raises RestoreError.

    Its foreign keys and triggers are dropped there.
    """
    schema, table = parse_table_name(change.tables[0])
    with (
        access.connect(change.beside, seconds=None) as connection,
        access.connect(change.database) as live,
        connection.transaction(),
    ):
        rows = connection.execute(_TABLE, {"schema": schema, "name": table}).fetchall()
        if len(rows) != 1 or rows[0][2] != "r" or rows[0][3]:
            raise RestoreError(
                f"{change.tables[0]} is no table of its own, or there are several of that name; nothing was changed",
                subject=change.tables[0],
                hint="Give a table without partitions and heirs, with its schema; or restore it with --into NAME",
            )
        schema, _, _, _, oid = rows[0]
        place = qualified(schema, table)
        for (key,) in connection.execute(_KEYS, (oid,)).fetchall():
            _run(connection, f"ALTER TABLE {place} DROP CONSTRAINT {quoted(key)}")
        for other, key in connection.execute(_KEYS_TO, (oid,)).fetchall():
            _run(connection, f"ALTER TABLE {other} DROP CONSTRAINT {quoted(key)}")
        for (trigger,) in connection.execute(_TRIGGERS, (oid,)).fetchall():
            _run(connection, f"DROP TRIGGER {quoted(trigger)} ON {place}")
        for kind, former in connection.execute(_NAMED, {"oid": oid}).fetchall():
            free = _free_name((connection, live), schema, f"{name}_{str(former).removeprefix(f'{table}_')}")
            _run(connection, f"ALTER {kind} {qualified(schema, former)} RENAME TO {quoted(free)}")
        _run(connection, f"ALTER TABLE {place} RENAME TO {quoted(name)}")
    return str(schema)


def place_table(
    access: Access, beside: Datasource[PostgresSettings], change: PartChange, name: str, announce: Announce
) -> None:
    """Bring the one table of a database beside into the live one. Raises RestoreError, with nothing changed there."""
    schema = _rename_beside(access, change, name)
    toc = _told(beside, table_name(schema, name))
    arguments = plan_restore(access, toc, Selection(backup_type="schema_only")).arguments
    _bring(access, change, (schema, name), toc, arguments, announce)


def _told(beside: Datasource[PostgresSettings], table: str) -> Toc:
    """What the dump tool says of a table, without its rows."""
    options = DumpOptions(backup_type="schema_only", tables=(table,))
    dump = beside.open_dump(beside.probe(options), options, SilentReporter())
    try:
        blocks = []
        while block := os.read(dump.fd, _BLOCK_BYTES):
            blocks.append(block)
        dump.finish()
    finally:
        dump.stop()
    return read_toc(blocks)


def _bring(
    access: Access, change: PartChange, place: tuple[str, str], toc: Toc, arguments: Collection[str], announce: Announce
) -> None:
    """Make in one transaction what was told of the table at that place, with its rows."""
    import psycopg

    schema, name = place
    with (
        access.connect(change.beside, seconds=None) as source,
        access.connect(change.database, seconds=None) as live,
    ):
        try:
            with source.transaction(), live.transaction():
                prepare(access, source, live, toc)
                _refuse_taken(live, change.database, schema, name)
                for entry in toc.entries:
                    if entry.definition and entry.schema:
                        make_entry(entry, live, arguments)
                    if (entry.kind, entry.schema, entry.tag) == ("TABLE", schema, name):
                        copy_rows(schema, name, source, live)
                _set_sequences(toc, source, live)
                announce(transaction_mark(live), Part(kind="objects", added=(table_name(schema, name),)))
        except psycopg.Error as error:
            if live.broken or source.broken:
                raise
            raise refused(change.database, error) from error


def _set_sequences(toc: Toc, source: "psycopg.Connection[Any]", live: "psycopg.Connection[Any]") -> None:
    """Let the table's own sequences, also those of identity columns, go on where they were."""
    names = {(entry.schema, entry.tag) for entry in toc.entries if entry.kind == "SEQUENCE"}
    for schema, name in sorted(names):
        sequence = qualified(schema, name)
        row = source.execute(f"SELECT last_value, is_called FROM {sequence}".encode()).fetchone()  # noqa: S608  # quoted
        if row is not None:
            live.execute("SELECT setval(%s::regclass, %s, %s)", (sequence, row[0], row[1]))


def _refuse_taken(connection: "psycopg.Connection[Any]", database: str, schema: str | None, name: str) -> None:
    if mistake := name_mistake(name):
        raise RestoreError(f"{name} cannot be a name: {mistake}", subject=name, hint="Give a shorter one with --as")
    if connection.execute(_TAKEN, {"schema": schema, "name": name}).fetchone() is not None:
        raise RestoreError(
            f"{shown(database)} has {name} already; nothing was changed",
            subject=name,
            hint="Give another name with --as",
        )


def _free_name(connections: Iterable["psycopg.Connection[Any]"], schema: str, wanted: str) -> str:
    known = tuple(connections)
    number = 1
    while True:
        ending = "" if number == 1 else f"_{number}"
        name = wanted.encode()[: _LONGEST_NAME - len(ending)].decode("utf-8", "ignore") + ending
        if not any(one.execute(_TAKEN, {"schema": schema, "name": name}).fetchone() for one in known):
            return name
        number += 1


def _run(connection: "psycopg.Connection[Any]", statement: str) -> None:
    connection.execute(statement.encode())
