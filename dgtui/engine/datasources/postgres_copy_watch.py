"""How far the tables are that pg_restore fills: by its lines, and by the server for those under way."""

import re
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from dgtui.engine.datasources.postgres_connection import Access, break_connection
from dgtui.engine.datasources.postgres_names import table_name
from dgtui.engine.datasources.postgres_toc import TocEntry
from dgtui.engine.errors import DataGuardianError
from dgtui.engine.reporting import Reporter
from dgtui.engine.threads import Thread

if TYPE_CHECKING:
    import psycopg

_EVERY_SECONDS = 0.5
_BEGUN = re.compile(r'pg_restore: processing data for table "(.*)"')
_NEXT = re.compile(r"pg_restore: (processing|creating|executing) ")
_FINISHED = re.compile(r"(?:pg_restore: )+finished item (\d+) ")
"""Several processes write at once, and each writes the name of the program by itself."""
_FILLED = frozenset({"TABLE DATA", "MATERIALIZED VIEW DATA"})
_OLDEST_SERVER = 140000
"""An older one does not tell."""
_COPIES = """
SELECT n.nspname, c.relname, p.tuples_processed
FROM pg_stat_progress_copy p JOIN pg_class c ON c.oid = p.relid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE p.datname = current_database() AND p.command = 'COPY FROM' AND p.tuples_processed > 0
"""


class CopyWatch:
    """Tells a reporter what is loaded, and twice a second the rows so far of what is being loaded; `stop` ends it.

    It is only for show: where the server cannot be asked, or a line is lost among others, less is told.
    """

    def __init__(self, access: Access, database: str, entries: Iterable[TocEntry], reporter: Reporter) -> None:
        """Nothing of the entries is loaded yet."""
        self._access = access
        self._database = database
        self._reporter = reporter
        filled = [entry for entry in entries if entry.kind in _FILLED]
        self._by_id = {entry.dump_id: table_name(entry.schema, entry.tag) for entry in filled}
        self._by_line = {f"{entry.schema}.{entry.tag}": table_name(entry.schema, entry.tag) for entry in filled}
        self._connection: psycopg.Connection[Any] | None = None
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._thread = Thread(target=self._watch, name="copy-watch", daemon=True)
        for name in self._by_id.values():
            reporter.loaded(name, 0)

    def hearing(self, *, in_parallel: bool) -> Callable[[str], None]:
        """Takes the lines of one pg_restore's error output, which may load in parallel.

        With the first table the looking begins. Each pg_restore has a hearing of its own, for one thread at a time.
        """
        return self._finished if in_parallel else _OneByOne(self).hear

    def table_of(self, line: str) -> str | None:
        """The table whose rows are loaded next, where a line tells one."""
        begun = _BEGUN.search(line)
        if begun is None:
            return None
        with self._lock:
            if self._thread.ident is None:
                self._thread.start()
        return self._by_line.get(begun[1])

    def finish_all(self, entries: Iterable[TocEntry]) -> None:
        """All rows of these are loaded: no line tells the end of what a pg_restore does last."""
        for entry in entries:
            self.finish(self._by_id.get(entry.dump_id))

    def finish(self, name: str | None) -> None:
        """All rows of this table are loaded, if one is meant."""
        if name is not None:
            self._reporter.loaded(name)

    def _finished(self, line: str) -> None:
        finished = _FINISHED.match(line)
        self.finish(self._by_id.get(int(finished[1])) if finished else None)

    def stop(self) -> None:
        """End the looking."""
        self._stopped.set()
        if self._thread.is_alive():
            if self._connection is not None:
                break_connection(self._connection)
            self._thread.join()

    def _watch(self) -> None:
        import psycopg

        # Where connections are few, those that load have theirs by then.
        if self._stopped.wait(_EVERY_SECONDS):
            return
        try:
            with self._access.connect(self._database, seconds=None) as self._connection:
                while self._connection.info.server_version >= _OLDEST_SERVER:
                    for schema, name, rows in self._connection.execute(_COPIES).fetchall():
                        self._reporter.loaded(table_name(schema, name), rows)
                    if self._stopped.wait(_EVERY_SECONDS):
                        return
        except (psycopg.Error, DataGuardianError):
            return


class _OneByOne:
    """The lines of a pg_restore that loads one table after the other: the next thing it does ends the last."""

    def __init__(self, watch: CopyWatch) -> None:
        self._watch = watch
        self._loading: str | None = None

    def hear(self, line: str) -> None:
        if _NEXT.match(line):
            self._watch.finish(self._loading)
            self._loading = self._watch.table_of(line)
