"""Making in a live database what an archive defines, and bringing rows there from one beside, in one transaction."""

import contextlib
import re
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from dgtui.engine.datasources.postgres_connection import Access
from dgtui.engine.datasources.postgres_names import qualified, quoted, shown
from dgtui.engine.datasources.postgres_owners import owner_statement
from dgtui.engine.datasources.postgres_queries import columns_of
from dgtui.engine.datasources.postgres_toc import Toc, TocEntry, definition_bytes
from dgtui.engine.errors import RestoreError

if TYPE_CHECKING:
    import psycopg

_NO_ENCODING = "SQL_ASCII"
_TABLES = frozenset({"TABLE", "MATERIALIZED VIEW", "FOREIGN TABLE"})
_BY_DEFAULT_RIGHTS = frozenset({*_TABLES, "SEQUENCE", "VIEW"})
_OF_OTHERS = "Choose what depends on them as well, or restore under another name with --into NAME"
_OF_TRIGGERS = (
    "A trigger of the database forbids it: SELECT evtname FROM pg_event_trigger lists those for definitions. Switch it "
    "off for the while (ALTER EVENT TRIGGER NAME DISABLE), or restore under another name with --into NAME"
)
_IN_FUNCTION = re.compile(r"PL/pgSQL function (\S+\([^\n]*?\)) line ")
_SETTINGS = """
SELECT set_config('search_path', '', true), set_config('check_function_bodies', 'off', true),
       set_config('row_security', 'off', true), set_config('extra_float_digits', '3', true),
       set_config('array_nulls', 'on', true),
       set_config('datestyle', 'ISO', true), set_config('intervalstyle', 'postgres', true)
"""


def prepare(
    access: Access, source: "psycopg.Connection[Any]", live: "psycopg.Connection[Any]", toc: Toc | None
) -> None:
    """Have both transactions read and write texts as the archive does, and wait no longer than `lock_timeout`."""
    for connection in (source, live):
        connection.execute(_SETTINGS)
        for entry in toc.entries if toc is not None else ():
            if entry.kind == "STDSTRINGS":
                connection.execute(definition_bytes(entry))
    timeout = int(access.settings.lock_timeout)
    live.execute("SELECT set_config('lock_timeout', %s, true)", (f"{timeout}s",))


def make_entry(entry: TocEntry, live: "psycopg.Connection[Any]", arguments: Collection[str]) -> None:
    """Make what an entry defines, for the owner it names."""
    if "--no-tablespaces" not in arguments:
        live.execute("SELECT set_config('default_tablespace', %s, true)", (entry.tablespace,))
    if entry.access_method:
        live.execute("SELECT set_config('default_table_access_method', %s, true)", (entry.access_method,))
    live.execute(definition_bytes(entry))
    if entry.kind in _BY_DEFAULT_RIGHTS:
        _take_default_rights(entry, live)
    if (statement := owner_statement(entry)) is not None:
        live.execute(statement.encode("utf-8", "surrogateescape"))


def _take_default_rights(entry: TocEntry, live: "psycopg.Connection[Any]") -> None:
    """Leave what was just made with its owner's rights alone: an archive tells the rights that differ from these.

    Default privileges of the live database (ALTER DEFAULT PRIVILEGES) may have given others more.
    """
    name = qualified(entry.schema, entry.tag)
    grantees = live.execute(
        """SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END
           FROM pg_class c, aclexplode(c.relacl) a WHERE c.oid = to_regclass(%s) ORDER BY 1""",
        (name,),
    ).fetchall()
    kind = "SEQUENCE" if entry.kind == "SEQUENCE" else "TABLE"
    for (grantee,) in grantees:
        _run(live, f"REVOKE ALL ON {kind} {name} FROM {grantee}")
    if grantees:
        _run(live, f"GRANT ALL ON {kind} {name} TO CURRENT_USER")


def copy_rows(schema: str, tag: str, source: "psycopg.Connection[Any]", live: "psycopg.Connection[Any]") -> None:
    """Bring the rows of a table of one name on both sides. Raises RestoreError where not all of them arrive."""
    name = qualified(schema, tag)
    columns = columns_of(source, schema, tag)
    listed = f" ({', '.join(map(quoted, columns))})" if columns else ""
    with (
        texts_as_they_are(source, live),
        source.cursor() as reading,
        live.cursor() as writing,
    ):
        with (
            reading.copy(f"COPY {name}{listed} TO STDOUT".encode()) as rows,
            writing.copy(f"COPY {name}{listed} FROM STDIN".encode()) as into,
        ):
            for block in rows:
                into.write(block)
        # A cursor knows it from the end of the copy until it is closed.
        read, arrived = reading.rowcount, writing.rowcount
    if read != arrived:
        raise RestoreError(f"{read} rows of {name} were read, {arrived} arrived", subject=tag)


@contextlib.contextmanager
def texts_as_they_are(*connections: "psycopg.Connection[Any]") -> Iterator[None]:
    """Have texts of databases without an encoding read and written byte by byte: they need be no UTF-8.

    In a transaction of each of them.
    """
    without = all(one.info.parameter_status("server_encoding") == _NO_ENCODING for one in connections)
    for connection in connections if without else ():
        connection.execute(f"SET LOCAL client_encoding = '{_NO_ENCODING}'".encode())
    yield
    for connection in connections if without else ():
        connection.execute(b"SET LOCAL client_encoding = 'UTF8'")


def _run(connection: "psycopg.Connection[Any]", statement: str) -> None:
    connection.execute(statement.encode())


def refused(database: str, error: "psycopg.Error", hint: str = "") -> RestoreError:
    """The error where the server would not have it; `hint` is what is known to help."""
    import psycopg

    lines = str(error).splitlines()
    by_trigger = isinstance(error, psycopg.errors.RaiseException)
    missing = isinstance(error, (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedFunction))
    if missing and (function := _IN_FUNCTION.search(error.diag.context or "")) is not None:
        hint = hint or _without_path(function[1])
    return RestoreError(
        f"The chosen tables of {shown(database)} cannot be replaced: {lines[0]}; nothing was changed",
        subject=database,
        hint=hint or (_OF_TRIGGERS if by_trigger else _OF_OTHERS),
        detail=lines[1:],
    )


def _without_path(function: str) -> str:
    return (
        f"{function} finds what it uses by a search path, which a restore does not have. Give it its own (ALTER "
        f"FUNCTION {function} SET search_path = public, or where that lies), or where it is an event trigger's, switch "
        "that off for the while (ALTER EVENT TRIGGER NAME DISABLE); or restore under another name with --into NAME"
    )
