"""Text that a dump changes: it is written in utf8mb4, and some character sets hold bytes that have no way back."""

from collections.abc import Collection, Iterator, Sequence
from itertools import groupby

from dgtui.engine.datasources.mysql_connection import Access, Session
from dgtui.engine.datasources.mysql_errors import quote
from dgtui.engine.datasources.mysql_waiting import waiting_session
from dgtui.engine.errors import DataGuardianError
from dgtui.engine.model import ObjectInfo
from dgtui.engine.reporting import Reporter
from dgtui.engine.sizes import counted, first_of

_UNHARMED = ("ascii", "binary", "latin1", "ucs2", "utf16", "utf16le", "utf32", "utf8", "utf8mb3", "utf8mb4")
_COLUMNS = """
SELECT TABLE_NAME, COLUMN_NAME, CHARACTER_SET_NAME FROM information_schema.COLUMNS
WHERE TABLE_SCHEMA = %s AND CHARACTER_SET_NAME NOT IN %s AND DATA_TYPE NOT IN ('enum', 'set')
ORDER BY 1, ORDINAL_POSITION
"""
_ONE_BYTE = "SELECT CHARACTER_SET_NAME FROM information_schema.CHARACTER_SETS WHERE MAXLEN = 1"
_EVERY_BYTE = bytes(range(256)).hex()
"""It reads all rows of the tables with such a character set."""


def changed_text(access: Access, tables: Sequence[ObjectInfo], reporter: Reporter) -> tuple[str, ...]:
    """A warning where text of these tables comes back otherwise, or where that cannot be told."""
    database, dumped = access.settings.database, {table.name for table in tables}
    with access.session() as session:
        columns = [row for row in session.rows(_COLUMNS, [database, _UNHARMED]) if row[0] in dumped]
        whole = _without_loss(session, {charset for _, _, charset in columns})
    columns = [row for row in columns if row[2] not in whole]
    if not columns:
        return ()
    reporter.log(
        f"Looking whether the text in {counted(len(columns), 'columns')} survives utf8mb4, in which it is dumped"
    )
    try:
        with waiting_session(access) as session:
            session.execute(f"SET SESSION lock_wait_timeout = {max(1, int(access.settings.lock_timeout))}")
            found = [text for one in _by_table(columns) for text in _changed_columns(session, database, one)]
    except DataGuardianError as error:
        return (f"Whether all text survives utf8mb4, in which it is dumped, could not be looked at: {error.message}",)
    if not found:
        return ()
    told = (
        f"Some text has letters that do not survive utf8mb4, and comes back changed: {first_of(found)}; mend it, or "
        "make the columns VARBINARY or BLOB, whose bytes are kept"
    )
    return (told,)


def _without_loss(session: Session, charsets: Collection[str]) -> set[str]:
    """The character sets of one byte for a letter of which each byte survives: no row has to be looked at."""
    known = {str(name) for (name,) in session.rows(_ONE_BYTE)} if charsets else set()
    return {name for name in known.intersection(charsets) if not session.value(f"SELECT {_differs(name)}")}


def _differs(charset: str, text: str | None = None) -> str:
    """Whether a text, or one of every byte, is another once it was written in utf8mb4."""
    text = text or f"_{charset} X'{_EVERY_BYTE}'"
    return f"CAST({text} AS BINARY) <> CAST(CONVERT(CONVERT({text} USING utf8mb4) USING {charset}) AS BINARY)"


def _by_table(columns: Sequence[tuple[str, str, str]]) -> Iterator[list[tuple[str, str, str]]]:
    for _, group in groupby(columns, key=lambda row: row[0]):
        yield list(group)


def _changed_columns(session: Session, database: str, columns: Sequence[tuple[str, str, str]]) -> list[str]:
    """Those of one table's columns that hold such a text, in one pass over its rows."""
    table = columns[0][0]
    changed = ", ".join(f"MAX({_differs(charset, quote(column))})" for _, column, charset in columns)
    [answers] = session.rows(f"SELECT {changed} FROM {quote(database)}.{quote(table)}")  # noqa: S608  # quoted
    return [
        f"{table}.{column} ({charset})" for (_, column, charset), answer in zip(columns, answers, strict=True) if answer
    ]
