"""Objects of a database that name it, or a table that is called as it is: restored there, and under another name."""

import secrets

import pytest

from dgtui.engine.datasources.mysql_view_text import with_database
from tests.support.homes import Home
from tests.support.mariadb import MariadbServer, mysql_digest, quoted
from tests.support.mysql import MysqlServer


@pytest.mark.parametrize("flavour", ["mariadb", "mysql"])
def test_a_table_that_is_called_as_its_database(home: Home, request: pytest.FixtureRequest, flavour: str) -> None:
    """A view writes its name before columns: that is no database, and comes back in place and elsewhere."""
    server: MariadbServer | MysqlServer = request.getfixturevalue("mariadb" if flavour == "mariadb" else "mysql_server")
    name, other = server.create_database(), server.create_database()
    server.execute(
        f"CREATE TABLE {name} (id INT PRIMARY KEY, d DATE, n TEXT)",
        f"INSERT INTO {name} VALUES (1, '2020-01-01', 'xax'), (2, '2021-01-01', 'b')",
        f"CREATE TABLE {other}.more (id INT)",
        f"INSERT INTO {other}.more VALUES (2)",
        "CREATE FUNCTION one_more (n INT) RETURNS INT DETERMINISTIC RETURN n + 1",
        f"CREATE VIEW plain AS SELECT {name}.id, EXTRACT(YEAR FROM {name}.d) AS y, TRIM(BOTH 'x' FROM {name}.n) AS n "
        f"FROM {name} WHERE {name}.id > 0",
        f"CREATE VIEW calling AS SELECT one_more({name}.id) AS id FROM {name} JOIN plain USING (id)",
        f"CREATE VIEW across AS SELECT {name}.id FROM {name} JOIN {other}.more ON more.id = {name}.id",
        "CREATE USER leaver@localhost",
        "GRANT ALL ON *.* TO leaver@localhost",
        f"CREATE DEFINER = leaver@localhost VIEW orphan AS SELECT {name}.id FROM {name}",
        "DROP USER leaver@localhost",
        database=name,
    )
    home.configure(server.config(name))
    assert home.back_up().status == "completed"
    before = mysql_digest(server, name)
    for target in (("--into", f"{name}_copy"), ("--overwrite",)):
        done = home.dgtui("restore", "nightly@latest", *target, "--yes")
        assert done.exit_code == 0, done
    assert mysql_digest(server, name) == before
    server.execute(f"DELETE FROM {name} WHERE id = 2", database=name)
    copy = f"{name}_copy"
    assert server.execute("SELECT * FROM plain", database=copy) == [(1, 2020, "a"), (2, 2021, "b")]
    assert server.execute("SELECT * FROM across", database=copy) == [(2,)]
    assert server.execute("SELECT COUNT(*) FROM calling", database=copy) == [(2,)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"select `s`.`id` from `s`", b"select `s`.`id` from `s`"),
        (
            b"select `s`.`t`.`id` from (`s`.`t` join `s`.`u` `s`)",
            b"select `d`.`t`.`id` from (`d`.`t` join `d`.`u` `s`)",
        ),
        (b"select `s`.`f`(`s`.`id`) from `t` `s`", b"select `d`.`f`(`s`.`id`) from `t` `s`"),
        (b"select nextval(`s`.`q`)", b"select nextval(`d`.`q`)"),
        (b"extract(year from `s`.`day`)", b"extract(year from `s`.`day`)"),
        (b"trim(both `s`.`t`.`x` from `s`.`y`)", b"trim(both `d`.`t`.`x` from `s`.`y`)"),
        (b"trim(both ' from ' from `s`.`y`)", b"trim(both ' from ' from `s`.`y`)"),
        (b"select ' from `s`.`t`', `x``s`.`t`.`u`", b"select ' from `s`.`t`', `x``s`.`t`.`u`"),
        (b"select 'it\\'s', `o`.`s`.`id` from `o`.`s`", b"select 'it\\'s', `o`.`s`.`id` from `o`.`s`"),
    ],
)
def test_what_is_a_database_in_a_view(before: bytes, after: bytes) -> None:
    assert with_database(before, b"`s`", b"`d`") == after


def naming(server: MariadbServer, name: str) -> None:
    """Fill a database with what names it, and with what does not."""
    own = quoted(name)
    server.execute(
        "CREATE TABLE orders (id INT PRIMARY KEY)",
        f"CREATE TABLE {own} (id INT)",
        f"CREATE PROCEDURE tidy () DELETE FROM {own}.orders",
        f"CREATE PROCEDURE harmless () SELECT {own}.id FROM {own}",
        f"CREATE FUNCTION one () RETURNS INT RETURN (SELECT COUNT({own}.{own}.id) FROM {own})",
        f"CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DO CALL {own}.tidy()",
        f"CREATE TRIGGER {own}.quiet BEFORE INSERT ON {own}.orders FOR EACH ROW SET NEW.id = NEW.id + 1",
        f"CREATE TRIGGER loud AFTER DELETE ON {own} FOR EACH ROW INSERT INTO {own} . orders VALUES (OLD.id)",
        database=name,
    )


@pytest.mark.parametrize("suffix", ["", "-`é"])
def test_what_names_its_database_is_told_before_it_is_restored_elsewhere(
    home: Home, mariadb: MariadbServer, suffix: str
) -> None:
    name = mariadb.create_database(f"shop_{secrets.token_hex(4)}{suffix}")
    naming(mariadb, name)
    home.configure(mariadb.config(name))
    assert home.back_up().status == "completed"
    told = home.dgtui("restore", "nightly@latest", "--into", f"{name}2", "--dry-run")
    assert told.exit_code == 0, told
    assert (
        f"The text of loud (trigger), nightly (event), one (function), tidy (procedure) names the database {name}"
        in told.output
    )
    chosen = home.dgtui("restore", "nightly@latest", "--into", f"{name}2", "--table", "orders", "--dry-run")
    assert chosen.exit_code == 0, chosen
    assert "names the database" not in chosen.output
    again = home.dgtui("restore", "nightly@latest", "--overwrite", "--dry-run")
    assert again.exit_code == 0, again
    assert "names the database" not in again.output
