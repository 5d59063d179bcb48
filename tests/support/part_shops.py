"""Shops of three tables or folders, of which a restore replaces a part: `a` and `b`, while `c` stays."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dgtui.engine.restore_model import Restore
from tests.support.homes import Home
from tests.support.mariadb import MariadbServer
from tests.support.postgres import PostgresServer
from tests.support.round_trips import mysql_table, postgres_table, table

Content = dict[str, Any]
"""Rows by table, or text by path."""


class Shop:
    """Three tables or folders: `a` is changed after the backup, `b` removed, `c` written to all the time."""

    def __init__(self, home: Home, config: str, run: Callable[..., object], content: Callable[[], Content]) -> None:
        self.home = home
        self.run = run
        self.content = content
        self.databases_beside: Callable[[], list[str]] = list
        """The databases of our own beside the one of MariaDB."""
        home.configure(config)
        self.execution = home.back_up()
        assert self.execution.status == "completed", self.execution.problem
        self.backed_up = content()

    def restore(self, **choices: Any) -> Restore:
        """Restore a part, to a good end."""
        engine = self.home.engine()
        run_id = engine.start_restore(self.execution, overwrite=True, **choices)
        snapshot = self.home.finish(engine, run_id)
        assert snapshot.status == "completed", snapshot.problem
        return engine.restore(run_id)

    def undo(self, restore: Restore) -> Restore:
        """Undo, to a good end."""
        engine = self.home.engine()
        run_id = engine.start_undo(restore)
        snapshot = self.home.finish(engine, run_id)
        assert snapshot.status == "completed", snapshot.problem
        assert self.home.litter() == []
        return engine.restore(run_id)

    def way(self, restore: Restore) -> str | None:
        """The way that an undo would take."""
        return self.home.engine().undo_choice(restore).way


_TABLES = (
    "CREATE TABLE c (id INTEGER PRIMARY KEY, word VARCHAR(40))",
    "CREATE TABLE a (id INTEGER PRIMARY KEY, word VARCHAR(40), of_c INTEGER REFERENCES c(id))",
    "CREATE TABLE b (id INTEGER PRIMARY KEY, word VARCHAR(40))",
    "INSERT INTO c VALUES (1, 'one')",
    "INSERT INTO a VALUES (1, 'first', 1), (2, 'second', 1)",
    "INSERT INTO b VALUES (7, 'seventh')",
)


def _rows(query: Callable[[str], Any], there: Callable[[], set[str]]) -> Content:
    return {name: sorted(map(tuple, query(f"SELECT * FROM {name}"))) for name in there() & {"a", "b", "c", "beside_a"}}


@contextlib.contextmanager
def databases(kind: str, home: Home, request: pytest.FixtureRequest) -> Iterator[Shop]:
    """A shop in a database of a kind."""
    if kind == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        with server.database() as name:
            names = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"

            def run(*statements: str) -> None:
                for statement in statements:
                    server.execute(statement, database=name)

            def content() -> Content:
                return _rows(
                    lambda query: server.execute(query, database=name),
                    lambda: {str(row[0]) for row in server.execute(names, database=name)},
                )

            run(*_TABLES)
            yield Shop(home, postgres_table(server, name), run, content)
    elif kind == "sqlite":
        yield _sqlite(home)
    else:
        yield _mariadb(home, request.getfixturevalue("mariadb"))


def _sqlite(home: Home) -> Shop:
    path = home.folder / "shop.db"

    def query(statement: str) -> list[Any]:
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            return connection.execute(statement).fetchall()

    def run(*statements: str) -> None:
        for statement in statements:
            query(statement)

    names = "SELECT name FROM sqlite_schema WHERE type = 'table'"
    run(*_TABLES)
    config = table("shop", type="sqlite", path=str(path))
    return Shop(home, config, run, lambda: _rows(query, lambda: {str(row[0]) for row in query(names)}))


def _mariadb(home: Home, server: MariadbServer) -> Shop:
    name = server.create_database()

    def run(*statements: str) -> None:
        server.execute(*statements, database=name)

    def content() -> Content:
        return _rows(
            lambda query: server.execute(query, database=name),
            lambda: {str(row[0]) for row in server.execute("SHOW TABLES", database=name)},
        )

    run(*_TABLES)
    shop = Shop(home, mysql_table(server, name), run, content)
    shop.databases_beside = lambda: [other for other in server.databases() if other.startswith(f"{name}__dgtui")]
    return shop


def tree_shop(home: Home) -> tuple[Shop, Path]:
    """A shop in a tree, and its folder; `run` writes texts by path, None removes."""
    root = home.folder / "tree"

    def run(**texts: str | None) -> None:
        for name, text in texts.items():
            path = root / name.replace("_", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            if text is not None:
                path.write_text(text)

    def content() -> Content:
        return {str(path.relative_to(root)): path.read_text() if path.is_file() else None for path in root.glob("**/*")}

    run(a_1="first", a_2="second", b_deep_7="seventh", c_1="one")
    return Shop(home, table("shop", type="files", path=str(root)), run, content), root
