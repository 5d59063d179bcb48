"""A shop to back up for the tests of the screens."""

import contextlib
import json
import sqlite3
from pathlib import Path

import pytest
from textual.notifications import Notification

from tests.support.homes import Home


@pytest.fixture(autouse=True)
def _told_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow machine a toast would be gone before anybody has looked for it."""
    monkeypatch.setattr(Notification, "time_left", 3600.0)


def add_rows(database: Path, count: int = 200) -> None:
    """More rows for the shop."""
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.executemany("INSERT INTO orders (item) VALUES (?)", [(f"item {n}",) for n in range(count)])


def orders(database: Path) -> list[tuple[int, str]]:
    """Every row of the shop."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return list(connection.execute("SELECT id, item FROM orders ORDER BY id"))


def make_shop(database: Path) -> None:
    """A small shop."""
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT)")
        connection.execute("CREATE TABLE notes (text TEXT)")
    add_rows(database)


def sqlite_table(name: str, database: Path) -> str:
    """The configuration of an SQLite datasource."""
    return f'[datasources.{name}]\ntype = "sqlite"\npath = {json.dumps(str(database))}\n'


@pytest.fixture
def shop(home: Home) -> Path:
    """A home with a small shop, two storages and the job `nightly`; the shop's file."""
    database = home.folder / "shop.db"
    make_shop(database)
    home.configure(sqlite_table("shop", database), storages=("disk", "nas"))
    return database
