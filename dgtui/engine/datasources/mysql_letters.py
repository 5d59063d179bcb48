"""Text that a dump changes: it is written in utf8mb4, and some character sets hold bytes that have no way back."""

from collections.abc import Sequence

from dgtui.engine.datasources.mysql_connection import Access, Session
from dgtui.engine.datasources.mysql_errors import quote
from dgtui.engine.errors import DataGuardianError
from dgtui.engine.model import ObjectInfo
from dgtui.engine.reporting import Reporter
from dgtui.engine.sizes import counted

_UNHARMED = ("ascii", "binary", "latin1", "ucs2", "utf16", "utf16le", "utf32", "utf8", "utf8mb3", "utf8mb4")
_COLUMNS = """
SELECT TABLE_NAME, COLUMN_NAME, CHARACTER_SET_NAME FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = %s AND CHARACTER_SET_NAME NOT IN %s AND DATA_TYPE NOT IN ('enum', 'set')
ORDER BY 1, ORDINAL_POSITION
"""
_SHOWN = 5
_PATIENCE = 3600.0
"""It reads all rows of the tables with such a character set."""


def changed_text(access: Access, tables: Sequence[ObjectInfo], reporter: Reporter) -> tuple[str, ...]:
    """A warning where text of these tables comes back otherwise, or where that cannot be told."""
    database, dumped = access.settings.database, {table.name for table in tables}
    with access.session() as session:
        columns = [row for row in session.rows(_COLUMNS, [database, _UNHARMED]) if row[0] in dumped]
    if not columns:
        return ()
    reporter.log(
        f"Looking whether the text in {counted(len(columns), 'columns')} survives utf8mb4, in which it is dumped"
    )
    try:
        with access.session(patience=_PATIENCE) as session:
            session.execute(f"SET SESSION lock_wait_timeout = {max(1, int(access.settings.lock_timeout))}")
            found = [
                f"{table}.{column} ({charset})"
                for table, column, charset in columns
                if _is_changed(session, f"{quote(database)}.{quote(table)}", quote(column), charset)
            ]
    except DataGuardianError as error:
        return (f"Whether all text survives utf8mb4, in which it is dumped, could not be looked at: {error.message}",)
    if not found:
        return ()
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    named = f"{', '.join(found[:_SHOWN])}{more}"
    told = (
        f"Some text has letters that do not survive utf8mb4, and comes back changed: {named}; mend it, or make "
        "the columns VARBINARY or BLOB, whose bytes are kept"
    )
    return (told,)


def _is_changed(session: Session, table: str, column: str, charset: str) -> bool:
    back = f"CONVERT(CONVERT({column} USING utf8mb4) USING {charset})"
    return bool(
        session.rows(f"SELECT 1 FROM {table} WHERE CAST({column} AS BINARY) <> CAST({back} AS BINARY) LIMIT 1")  # noqa: S608
    )
