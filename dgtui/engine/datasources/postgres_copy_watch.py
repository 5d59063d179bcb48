"""How far the tables are that pg_restore fills: by its lines, and by the server for those under way."""

import re
import threading
from collections.abc import Iterable
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

    def __init__(
        self, access: Access, database: str, entries: Iterable[TocEntry], reporter: Reporter, *, in_parallel: bool
    ) -> None:
        """Nothing of the entries is loaded yet."""
        self._access = access
        self._database = database
        self._reporter = reporter
        self._in_parallel = in_parallel
        filled = [entry for entry in entries if entry.kind in _FILLED]
        self._by_id = {entry.dump_id: table_name(entry.schema, entry.tag) for entry in filled}
        self._by_line = {f"{entry.schema}.{entry.tag}": table_name(entry.schema, entry.tag) for entry in filled}
        self._loading: str | None = None
        self._connection: psycopg.Connection[Any] | None = None
        self._stopped = threading.Event()
        self._thread = Thread(target=self._watch, name="copy-watch", daemon=True)
        for name in self._by_id.values():
            reporter.loaded(name, 0)

    def hear(self, line: str) -> None:
        """The next line of pg_restore's error output; with the first table the looking begins."""
        begun = _BEGUN.search(line)
        if begun and self._thread.ident is None:
            self._thread.start()
        if self._in_parallel:
            finished = _FINISHED.match(line)
            self._finish(self._by_id.get(int(finished[1])) if finished else None)
        elif _NEXT.match(line):
            self._finish(self._loading)
            self._loading = self._by_line.get(begun[1]) if begun else None

    def _finish(self, name: str | None) -> None:
        if name is not None:
            self._reporter.loaded(name)

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
