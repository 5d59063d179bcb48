"""The statements and commits of the catalogue as tests see them, before they are carried out; and many rows at once."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from dgtui.engine.catalog.connection import Connection, insertion
from dgtui.engine.catalog.statements import NO_VALUES

OnStatement = Callable[[Connection, str, Any, bool], None]
"""Gets the connection, the statement, its values, and whether they are those of many rows."""
OnCommit = Callable[[Connection], None]


def _nothing(*_: object) -> None:
    pass


@contextlib.contextmanager
def watched(on_statement: OnStatement = _nothing, on_commit: OnCommit = _nothing) -> Iterator[None]:
    """Call these before each statement of this process, and before each commit that keeps a change."""
    execute, execute_many, commit = Connection.execute, Connection.executemany, Connection.commit

    def seen(connection: Connection, statement: str, values: Any = NO_VALUES) -> sqlite3.Cursor:
        on_statement(connection, statement, values, False)
        return execute(connection, statement, values)

    def seen_many(connection: Connection, statement: str, rows: Any) -> sqlite3.Cursor:
        on_statement(connection, statement, rows, True)
        return execute_many(connection, statement, rows)

    def seen_commit(connection: Connection) -> None:
        if connection.in_transaction:
            on_commit(connection)
        commit(connection)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Connection, "execute", seen)
        patched.setattr(Connection, "executemany", seen_many)
        patched.setattr(Connection, "commit", seen_commit)
        yield


@contextlib.contextmanager
def plans_of_reading() -> Iterator[list[str]]:
    """How SQLite goes about what is read from now on."""
    plans: list[str] = []

    def explain(connection: Connection, statement: str, values: Any, _: bool) -> None:
        if statement.lstrip().startswith(("SELECT", "WITH")):
            rows = sqlite3.Connection.execute(connection, f"EXPLAIN QUERY PLAN {statement}", values)
            plans.extend(row["detail"] for row in rows)

    with watched(explain):
        yield plans


def insert_rows(connection: Connection, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows, all with the same columns."""
    connection.executemany(insertion(table, rows[0]), rows)
