"""The shop of the demo: a small SQLite database with customers, orders and pictures."""

import contextlib
import hashlib
import sqlite3
from pathlib import Path

_CUSTOMERS = 1_000
_ORDERS = 8_000
_SCHEMA = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, since TEXT NOT NULL);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    customer INTEGER NOT NULL REFERENCES customers (id),
    item TEXT NOT NULL,
    cents INTEGER NOT NULL,
    picture BLOB
);
CREATE INDEX orders_of_customer ON orders (customer);
CREATE VIEW turnover AS SELECT customer, sum(cents) AS cents FROM orders GROUP BY customer;
"""
_ITEMS = ("café crème", "Zürcher Tirggel", "お茶", 'a "quoted" mug', "crème brûlée\nfor two")


def make_shop(path: Path) -> None:
    """Create the database with its rows, the same ones each time."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(_SCHEMA)
        connection.executemany(
            "INSERT INTO customers VALUES (?, ?, date('2020-01-01', ?))",
            ((number, f"Customer {number}", f"+{number} days") for number in range(1, _CUSTOMERS + 1)),
        )
        connection.executemany(
            "INSERT INTO orders VALUES (?, ?, ?, ?, ?)",
            (
                (number, number % _CUSTOMERS + 1, _ITEMS[number % len(_ITEMS)], number * 37 % 10_000, _picture(number))
                for number in range(1, _ORDERS + 1)
            ),
        )


def _picture(number: int) -> bytes:
    """Bytes that do not compress."""
    return b"".join(hashlib.sha256(f"{number}-{part}".encode()).digest() for part in range(8))


def drop_orders(path: Path) -> None:
    """What nobody wanted to do in production."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript("DROP VIEW turnover; DROP TABLE orders;")


def rows_of(path: Path, table: str) -> int:
    """How many rows a table of the shop has."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return int(connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0])  # noqa: S608  # our own names


def digest(path: Path) -> str:
    """One value for schema and data, from what SQLite itself writes out as SQL."""
    found = hashlib.sha256()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for statement in connection.iterdump():
            found.update(statement.encode() + b"\n")
    return found.hexdigest()
