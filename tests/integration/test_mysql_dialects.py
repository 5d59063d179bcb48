"""Servers whose sessions speak another dialect by default, as an application wants it: ours do not."""

import pytest

from tests.support.homes import Home
from tests.support.mariadb import MariadbServer, mysql_digest

_DIALECTS = (
    "sql_mode = 'ANSI_QUOTES'",
    "sql_mode = 'ORACLE'",
    "sql_mode = 'EMPTY_STRING_IS_NULL,NO_BACKSLASH_ESCAPES'",
)


@pytest.mark.parametrize("dialect", _DIALECTS)
def test_keys_mean_the_same_tables_after_a_restore(home: Home, own_mariadb: MariadbServer, dialect: str) -> None:
    """They are read in the server's own words, which would name them otherwise."""
    name = own_mariadb.create_database()
    own_mariadb.execute(
        "CREATE TABLE parent (id INT PRIMARY KEY)",
        "CREATE TABLE child (id INT PRIMARY KEY, parent INT, CONSTRAINT `its \\ parent` FOREIGN KEY (parent) "
        "REFERENCES parent (id))",
        "SET foreign_key_checks = 0",
        "CREATE TABLE lost (id INT, CONSTRAINT nowhere FOREIGN KEY (id) REFERENCES gone (id))",
        "CREATE VIEW both_of AS SELECT c.id FROM child c JOIN parent p ON p.id = c.parent",
        "INSERT INTO parent VALUES (1), (2)",
        "INSERT INTO child VALUES (1, 1), (2, 2)",
        f"SET GLOBAL {dialect}",
        database=name,
    )
    home.configure(own_mariadb.config(name))
    assert home.back_up().status == "completed"
    before = mysql_digest(own_mariadb, name)
    for choice in ((), ("--table", "child"), ("--in-place",), ("--data-only",)):
        own_mariadb.execute("DELETE FROM child WHERE id = 2", database=name)
        spoilt = mysql_digest(own_mariadb, name)
        done = home.dgtui("restore", "nightly@latest", *choice, "--overwrite", "--yes")
        assert done.exit_code == 0, done
        assert mysql_digest(own_mariadb, name) == before
        newest = home.dgtui("restores", "--json").json()[0]["restore_id"]
        assert home.dgtui("undo", newest, "--yes").exit_code == 0
        assert mysql_digest(own_mariadb, name) == spoilt
        own_mariadb.execute("INSERT INTO child VALUES (2, 2)", database=name)
