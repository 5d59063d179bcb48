"""The former rows of tables whose rows are replaced: copied into a database beside, by the transaction that does so.

Nobody can write to a table any more once its rows are copied. So what is kept are the rows as they are replaced, with
all that others wrote after a safety backup; and where the transaction is taken back, nothing is kept.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from dgtui.engine.datasources.dumping import Dump
from dgtui.engine.datasources.mysql_connection import Session
from dgtui.engine.datasources.mysql_contents import dump_blocks
from dgtui.engine.datasources.mysql_errors import quote
from dgtui.engine.datasources.mysql_properties import create_like

_COLUMNS = """
SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s
AND EXTRA NOT REGEXP 'VIRTUAL|STORED|PERSISTENT' ORDER BY ORDINAL_POSITION
"""
"""Without those that are generated, which take no values; `SELECT *` would leave out the invisible ones too."""
_BEFORE = (
    # Of a weaker one others may add rows behind what is copied, which would be replaced and be in no copy.
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;\n"
    "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES';\n"
)


def prepare_copies(session: Session, database: str, keep_as: str, tables: Sequence[str], full: Collection[str]) -> str:
    """Make a database with such tables; the statements that copy the rows of those which are `full`.

    Raises pymysql.MySQLError where the user may not do so.
    """
    create_like(session, keep_as, database)
    copies = ""
    for table in tables:
        kept, live = f"{quote(keep_as)}.{quote(table)}", f"{quote(database)}.{quote(table)}"
        session.execute(f"CREATE TABLE {kept} LIKE {live}")
        if table in full:
            columns = ", ".join(quote(str(name)) for (name,) in session.rows(_COLUMNS, [database, table]))
            copy = f"INSERT INTO {kept} ({columns}) SELECT {columns} FROM {live}"  # noqa: S608  # quoted
            # Whether that may be done is found out before anybody has to wait.
            session.execute(f"{copy} LIMIT 0 FOR UPDATE")
            # A lock that lets others read for update would have them and us wait for each other.
            copies += f"{copy} FOR UPDATE;\n"
    return _BEFORE + copies


def forget_copies(session: Session, keep_as: str) -> None:
    """Drop such a database, where it is there."""
    session.execute(f"DROP DATABASE IF EXISTS {quote(keep_as)}")


class KeptRows:
    """What is kept, read as an archive is."""

    def __init__(self, total_size_bytes: int, open_dump: Callable[[], Dump], idle_timeout: float) -> None:
        self.total_size_bytes = total_size_bytes
        self.object_bytes = dict[str, int]()
        self._open_dump = open_dump
        self._idle_timeout = idle_timeout

    def blocks(self) -> Iterator[bytes]:
        """A dump of its rows, made anew."""
        return dump_blocks(self._open_dump(), self._idle_timeout)

    def begin_loading(self) -> None:
        """Nothing is told of its progress."""

    def as_file(self) -> Path:
        """No archive of this kind is read so."""
        raise NotImplementedError
