"""Connections to the catalogue's file: how a statement is asked, and how many threads share them."""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dgtui.engine.catalog.statements import NO_VALUES, Values

_BUSY_SECONDS = 10
_PAUSE_SECONDS = 0.01
_MOST_IDLE = 5


class Connection(sqlite3.Connection):
    """A connection whose rows are asked for their columns by name as well."""

    def scalar(self, statement: str, values: Values = NO_VALUES) -> Any:
        """The first column of the first row; None where there is no row."""
        row = self.execute(statement, values).fetchone()
        return None if row is None else row[0]

    def scalars(self, statement: str, values: Values = NO_VALUES) -> list[Any]:
        """The first column of each row."""
        return [row[0] for row in self.execute(statement, values)]

    def insert(self, table: str, values: Values) -> int:
        """Add a row; the number that it got. Raises sqlite3.IntegrityError where it is there already."""
        return self.execute(insertion(table, values), values).lastrowid or 0

    def insert_new(self, table: str, values: Values) -> bool:
        """Add a row where there is none like it yet, and whether that was so."""
        return self.execute(f"{insertion(table, values)} ON CONFLICT DO NOTHING", values).rowcount == 1

    def upsert(self, table: str, values: Values, *, key: str) -> None:
        """Add a row, or bring the one that has the same `key` (columns with commas between) up to date."""
        changes = ", ".join(f"{name} = excluded.{name}" for name in values)
        self.execute(f"{insertion(table, values)} ON CONFLICT ({key}) DO UPDATE SET {changes}", values)


class Connections:
    """Those that are open and that nobody uses just now; one that is used is its user's alone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._generation = 0
        self._refuses_changes = False

    @contextlib.contextmanager
    def lent(self) -> Iterator[Connection]:
        """A connection, whose changes are undone unless they were committed. Raises sqlite3.Error."""
        with self._lock:
            generation = self._generation
            connection = self._idle.pop() if self._idle else None
        connection = connection or self._open()
        try:
            yield connection
        finally:
            self._take_back(connection, generation)

    def close(self) -> None:
        """Close all of them; one that is lent as it comes back."""
        with self._lock:
            self._generation += 1
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def refuse_changes(self) -> None:
        """Take no change any more from whoever takes one of them."""
        self._refuses_changes = True
        self.close()

    def _take_back(self, connection: Connection, generation: int) -> None:
        """Keep a connection for the next one, unless all were closed since it was lent."""
        try:
            connection.rollback()
        except sqlite3.Error:
            connection.close()
            raise
        with self._lock:
            if generation == self._generation and len(self._idle) < _MOST_IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def _open(self) -> Connection:
        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, check_same_thread=False, factory=Connection)
        try:
            connection.row_factory = sqlite3.Row
            _use_write_ahead_log(connection)
            connection.execute("PRAGMA synchronous=FULL")
            if self._refuses_changes:
                connection.execute("PRAGMA query_only=ON")
        except sqlite3.Error:
            connection.close()
            raise
        return connection


def _use_write_ahead_log(connection: Connection) -> None:
    """Have readers and a writer not wait for each other."""
    patience = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            # Of several that are the first to do so at once, SQLite refuses all but one without waiting.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > patience:
                raise
            time.sleep(_PAUSE_SECONDS)


def insertion(table: str, values: Values) -> str:
    """The statement that adds a row with these columns."""
    names = ", ".join(values)
    bound = ", ".join(f":{name}" for name in values)
    return f"INSERT INTO {table} ({names}) VALUES ({bound})"
