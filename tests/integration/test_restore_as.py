"""One table is put beside the live one under another name: it alone is new, and an undo takes it away again."""

import contextlib
import sqlite3
from typing import Any

import pytest

from tests.integration.test_restore_part import PostgresPart, part  # noqa: F401  # a fixture
from tests.support.homes import Home, Outcome
from tests.support.mariadb import MariadbServer, mysql_digest
from tests.support.mysql import MysqlServer
from tests.support.round_trips import mysql_table
from tests.support.sqlite import sqlite_digest

_MYSQL = (
    "CREATE TABLE customers (id INT PRIMARY KEY)",
    (
        "CREATE TABLE orders (id INT PRIMARY KEY AUTO_INCREMENT, customer INT, note VARCHAR(40), "
        "KEY by_note (note), CONSTRAINT filled CHECK (note <> ''), "
        "CONSTRAINT of_customer FOREIGN KEY (customer) REFERENCES customers (id) ON DELETE CASCADE)"
    ),
    "CREATE TRIGGER louder BEFORE INSERT ON orders FOR EACH ROW SET NEW.note = UPPER(NEW.note)",
    "INSERT INTO customers VALUES (1), (2)",
    "INSERT INTO orders VALUES (1, 1, 'x'), (2, 2, 'y')",
)
_SQLITE = """
CREATE TABLE customers (id INTEGER PRIMARY KEY);
CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT, -- a comment, with ) and REFERENCES
    customer INTEGER NOT NULL CONSTRAINT mine REFERENCES customers (id) ON DELETE SET NULL
    DEFERRABLE INITIALLY DEFERRED DEFAULT 1 CHECK (customer > 0), note TEXT COLLATE NOCASE DEFAULT 'REFERENCES',
    twice INTEGER AS (id * 2) STORED, UNIQUE (note), CONSTRAINT other FOREIGN KEY (customer) REFERENCES customers);
CREATE INDEX by_note ON orders (note) WHERE note <> 'ON orders';
CREATE TRIGGER louder AFTER INSERT ON orders BEGIN UPDATE orders SET note = upper(note) WHERE id = NEW.id; END;
INSERT INTO customers VALUES (1), (2);
INSERT INTO orders (customer, note) VALUES (1, 'x'), (2, 'y');
"""


def restored_as(home: Home, name: str, *more: str) -> Outcome:
    """Restore the orders under a name."""
    return home.dgtui("restore", "nightly@latest", "--table", "orders", "--as", name, "--yes", *more)


def refused(home: Home, name: str, *more: str) -> Outcome:
    """The same, which shall not be possible."""
    outcome = restored_as(home, name, *more)
    assert outcome.exit_code in (1, 2), outcome
    return outcome


def undo(home: Home) -> None:
    """Take the restore back that took effect."""
    [done] = [one for one in home.engine().restores() if one.took_effect]
    assert home.dgtui("undo", done.restore_id[:8], "--yes").exit_code == 0


def test_a_table_of_postgres_under_another_name(part: PostgresPart) -> None:  # noqa: F811
    """With rows, comment, grants, indexes and sequence of its own; without foreign keys and triggers."""
    part.server.execute("UPDATE orders SET note = 'spoilt'; DELETE FROM lines", database=part.database)
    before, databases = part.digest(), part.server.databases()
    told = part.home.dgtui("restore", "nightly@latest", "--table", "orders", "--as", "Was", "--dry-run")
    assert told.exit_code == 0, told
    assert "Was comes without foreign keys and triggers" in told.output
    assert "--overwrite" not in told.output
    assert restored_as(part.home, "Was").exit_code == 0
    assert part.server.databases() == databases

    def run(statement: str) -> list[Any]:
        return list(part.server.execute(statement, database=part.database))

    assert run("SELECT count(*) FROM orders WHERE note = 'spoilt'") == [(20,)]
    assert run('SELECT count(*), min(note), sum(twice) FROM "Was"') == [(20, "a\tb\\1", 420)]
    assert run("""INSERT INTO "Was" (note) VALUES ('new') RETURNING id, note""") == [(21, "new")]
    assert run("""SELECT obj_description('"Was"'::regclass)""") == [("what people want",)]
    assert run("""SELECT contype::text FROM pg_constraint WHERE conrelid = '"Was"'::regclass""") == [("p",)]
    assert {name for (name,) in run("SELECT indexname FROM pg_indexes WHERE tablename = 'Was'")} == {
        "Was_note", "Was_pkey",
    }  # fmt: skip

    assert "has Was already" in refused(part.home, "Was").errors
    assert "has lines already" in refused(part.home, "lines").errors
    assert "has mood already" in refused(part.home, "mood").errors
    undo(part.home)
    assert part.digest() == before
    assert part.home.engine().restores()[0].safety_execution_id is not None


@pytest.mark.parametrize("flavour", ["mariadb", "mysql"])
def test_a_table_of_mariadb_and_mysql_under_another_name(
    home: Home, request: pytest.FixtureRequest, flavour: str
) -> None:
    server: MariadbServer | MysqlServer = request.getfixturevalue("mariadb" if flavour == "mariadb" else "mysql_server")
    name = server.create_database()
    server.execute(*_MYSQL, database=name)
    home.configure(mysql_table(server, name) if flavour == "mariadb" else server.config(name))
    assert home.back_up().status == "completed"
    server.execute("UPDATE orders SET note = 'spoilt'", "DELETE FROM customers WHERE id = 2", database=name)
    before, databases = mysql_digest(server, name), server.databases()
    done = restored_as(home, "orders_was")
    assert done.exit_code == 0, done
    assert "without foreign keys and triggers" in done.errors
    now = mysql_digest(server, name)
    assert {key: now[key] for key in before} == before
    assert server.execute("SELECT * FROM orders_was", database=name) == [(1, 1, "X"), (2, 2, "Y")]
    assert "FOREIGN KEY" not in now["BASE TABLE orders_was"]
    assert "KEY `by_note`" in now["BASE TABLE orders_was"]
    assert server.databases() == databases
    assert "has orders_was already" in refused(home, "orders_was").errors
    assert "longer than 64" in refused(home, "a" * 65).errors
    undo(home)
    assert mysql_digest(server, name) == before


def test_a_table_of_sqlite_under_another_name(home: Home) -> None:
    """Its references are taken out of its definition, and nothing else is."""
    path = home.folder / "shop.db"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(_SQLITE)
    home.configure(f'[datasources.shop]\ntype = "sqlite"\npath = "{path}"\n')
    assert home.back_up().status == "completed"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE orders SET note = 'spoilt' || id")
        connection.execute("DELETE FROM customers")
    before = sqlite_digest(path)
    done = restored_as(home, "orders was")
    assert done.exit_code == 0, done
    assert "without foreign keys and triggers" in done.errors
    with contextlib.closing(sqlite3.connect(path)) as connection:
        rows = connection.execute('SELECT id, customer, note, twice FROM "orders was"').fetchall()
        keys = connection.execute("""SELECT * FROM pragma_foreign_key_list('orders was')""").fetchall()
        made = connection.execute("SELECT sql FROM sqlite_master WHERE tbl_name = 'orders was' AND sql IS NOT NULL")
        table, index = (statement for (statement,) in made.fetchall())
        connection.execute("INSERT INTO \"orders was\" (note) VALUES ('new')")
        assert connection.execute('SELECT id, note FROM "orders was" WHERE id > 2').fetchall() == [(3, "new")]
        with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
            connection.execute('INSERT INTO "orders was" (customer) VALUES (-1)')
    assert (rows, keys) == ([(1, 1, "X", 2), (2, 2, "Y", 4)], [])
    assert "DEFAULT 'REFERENCES'" in table
    assert "UNIQUE (note)" in table
    assert index.endswith("WHERE note <> 'ON orders'")
    assert "has by_note already" in refused(home, "by_note").errors
    assert "has orders was already" in refused(home, "orders was").errors
    undo(home)
    assert sqlite_digest(path) == before


def test_what_as_does_not_go_with(home: Home) -> None:
    """More than one table, none, rows alone, and a tree of files; the hint says what to do instead."""
    path = home.folder / "shop.db"
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(_SQLITE)
    home.configure(f'[datasources.shop]\ntype = "sqlite"\npath = "{path}"\n')
    assert home.back_up().status == "completed"
    for more in (["--table", "customers"], ["--data-only"], ["--schema-only"]):
        assert "exactly one --table" in refused(home, "other", *more).errors
    whole = home.dgtui("restore", "nightly@latest", "--as", "other", "--yes")
    assert whole.exit_code == 2
    assert "--as names a new table beside the live one, and needs exactly one --table" in whole.errors
    assert "--overwrite" not in whole.errors
    assert "Goes" not in whole.errors, "nothing is told of a restore that nobody means"
    empty = refused(home, "other", "--into", str(home.folder / "new.db"))
    assert "Leave out --as" in empty.errors
