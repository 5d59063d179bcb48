"""Counting the rows of each table as soon as it is loaded, while pg_restore goes on with the next ones.

The first reading of new rows is the slow one, since the server notes on each page that its rows are valid; done here,
it costs a restore no time of its own. Nobody else writes to a database that is being loaded, so a count stays true.
"""

import queue
import re
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from dgtui.engine.datasources.postgres_connection import Access, break_connection
from dgtui.engine.datasources.postgres_names import quoted, table_name
from dgtui.engine.datasources.postgres_toc import TocEntry
from dgtui.engine.errors import DataGuardianError

if TYPE_CHECKING:
    import psycopg

_BEGUN = re.compile(r'pg_restore: processing data for table "(.*)"')
_NEXT = re.compile(r"pg_restore: (processing|creating|executing) ")
_FINISHED = re.compile(r"(?:pg_restore: )+finished item (\d+) TABLE DATA ")
"""Several processes write at once, and each writes the name of the program by itself."""


class LoadedRows:
    """Listens to the lines of one pg_restore, and counts beside it; `close` ends it."""

    def __init__(self, access: Access, database: str, entries: Iterable[TocEntry], *, in_parallel: bool) -> None:
        self._access = access
        self._database = database
        self._in_parallel = in_parallel
        self._by_id = {entry.dump_id: entry for entry in entries if entry.kind == "TABLE DATA"}
        self._by_name = _unambiguous(self._by_id.values())
        self._loading: TocEntry | None = None
        self._finished: queue.SimpleQueue[TocEntry | None] = queue.SimpleQueue()
        self._connection: psycopg.Connection[Any] | None = None
        self._thread = threading.Thread(target=self._count_all, name="loaded-rows", daemon=True)
        self.counted: dict[str, int] = {}
        """Rows of the tables that were counted, by the names that an inventory gives them."""

    def hear(self, line: str) -> None:
        """The next line of pg_restore's error output."""
        if self._in_parallel:
            match = _FINISHED.match(line)
            self._finish(self._by_id.get(int(match[1])) if match else None)
        elif _NEXT.match(line):
            self._finish(self._loading)
            begun = _BEGUN.match(line)
            self._loading = self._by_name.get(begun[1]) if begun else None

    def _finish(self, entry: TocEntry | None) -> None:
        if entry is None:
            return
        if self._thread.ident is None:
            self._thread.start()
        self._finished.put(entry)

    def wait(self) -> None:
        """Until everything that was heard to be finished is counted."""
        if self._thread.is_alive():
            self._finished.put(None)
            self._thread.join()

    def stop(self) -> None:
        """End the counting, also in the middle of a table."""
        if self._thread.is_alive():
            self._finished.put(None)
            if self._connection is not None:
                break_connection(self._connection)
            self._thread.join()

    def _count_all(self) -> None:
        import psycopg

        try:
            with self._access.connect(self._database, seconds=None) as self._connection:
                # The load has the other processors.
                self._connection.execute("SET max_parallel_workers_per_gather = 0")
                while (entry := self._finished.get()) is not None:
                    self._count(self._connection, entry)
        except (psycopg.Error, DataGuardianError):
            # What is not counted here is counted by the comparison, which says why it cannot be.
            return

    def _count(self, connection: "psycopg.Connection[Any]", entry: TocEntry) -> None:
        query = f"SELECT count(*) FROM ONLY {quoted(entry.schema)}.{quoted(entry.tag)}"  # noqa: S608  # quoted names
        rows = connection.execute(query.encode(errors="surrogateescape")).fetchall()[0][0]
        self.counted[table_name(entry.schema, entry.tag)] = rows


def _unambiguous(entries: Iterable[TocEntry]) -> dict[str, TocEntry]:
    """Entries by the names that pg_restore prints, which a dot in a name makes ambiguous."""
    named: dict[str, list[TocEntry]] = {}
    for entry in entries:
        named.setdefault(f"{entry.schema}.{entry.tag}", []).append(entry)
    return {name: same[0] for name, same in named.items() if len(same) == 1}
