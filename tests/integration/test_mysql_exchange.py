"""Swaps of MariaDB databases that hold more than tables: all of it comes over and goes back, cut wherever it is."""

import os
import signal

import pymysql
import pytest

from dgtui.engine.tools import version_numbers
from tests.integration.test_restore_in_place import FAIL, HANG, WAIT, NastyShop
from tests.support.homes import Home, wait_until
from tests.support.mariadb import MariadbServer, mysql_digest


class SwappedShop(NastyShop):
    """The same database, for a user who may drop and make everything anew, at both ends of the keys too."""

    user = "root"
    in_place = False

    def kept(self) -> set[str]:
        """The names of what restores have kept."""
        return {one.kept_as for one in self.home.engine().kept_replaced()}

    def nothing_left(self) -> None:
        """Assert that nothing is left but what is kept."""
        assert self.server.databases() == self.databases | self.kept()
        assert self.home.litter() == []


@pytest.fixture
def shop(home: Home, mariadb: MariadbServer) -> SwappedShop:
    """A database with every kind of object."""
    return SwappedShop(home, mariadb)


def test_everything_comes_over_and_goes_back(shop: SwappedShop) -> None:
    """Also rights on single tables and routines; the preview says how it is done."""
    shop.server.execute(
        "CREATE USER clerk@'%'",
        f"GRANT SELECT ON {shop.database}.words TO clerk@'%'",
        f"GRANT SELECT ON {shop.database}.zeta TO clerk@'%'",
        f"GRANT EXECUTE ON FUNCTION {shop.database}.plus_one TO clerk@'%' WITH GRANT OPTION",
        f"GRANT EXECUTE ON PROCEDURE {shop.database}.newer TO clerk@'%'",
    )
    grants = shop.server.execute("SHOW GRANTS FOR clerk@'%'")
    told = shop.home.dgtui("restore", "nightly@latest", "--overwrite", "--dry-run")
    assert "one RENAME TABLE" in told.output, told
    assert "made anew" in told.output, told
    restore, snapshot = shop.restore()
    assert restore.status == "completed", snapshot.problem
    assert restore.kept_as is not None
    assert shop.digest() == shop.backed_up
    without_newer = [row for row in grants if "newer" not in row[0]]
    assert shop.server.execute("SHOW GRANTS FOR clerk@'%'") == without_newer
    shop.nothing_left()
    for expected in (shop.before, shop.backed_up):
        engine = shop.home.engine()
        undo = engine.start_undo(engine.restores()[0])
        assert shop.home.finish(engine, undo).status == "completed"
        assert shop.digest() == expected
        assert sorted(shop.server.execute("SHOW GRANTS FOR clerk@'%'")) == sorted(
            grants if expected == shop.before else without_newer
        )
        shop.nothing_left()


def test_rights_of_roles_and_of_everybody_are_those_of_roles_and_of_everybody(shop: SwappedShop) -> None:
    """They have no host: with one the server made an account of that name, without a password."""
    rights = "SELECT User, Host, Routine_name, Proc_priv FROM mysql.procs_priv WHERE Db = %s ORDER BY 1, 3"
    everybody = version_numbers(shop.server.execute("SELECT VERSION()")[0][0]) >= (10, 11)
    shop.server.execute(
        "CREATE ROLE keepers",
        f"GRANT EXECUTE ON FUNCTION {shop.database}.plus_one TO keepers WITH GRANT OPTION",
        *([f"GRANT EXECUTE ON FUNCTION {shop.database}.plus_one TO PUBLIC"] if everybody else []),
    )
    accounts, before = _rows(shop, _ACCOUNTS), _rows(shop, rights, shop.database)
    assert len(before) == 1 + everybody
    restore, snapshot = shop.restore()
    assert restore.status == "completed", snapshot.problem
    assert _rows(shop, rights, shop.database) == before
    engine = shop.home.engine()
    assert shop.home.finish(engine, engine.start_undo(engine.restores()[0])).status == "completed"
    assert _rows(shop, rights, shop.database) == before
    assert _rows(shop, _ACCOUNTS) == accounts
    shop.server.execute("DROP ROLE keepers")


_ACCOUNTS = "SELECT User, Host FROM mysql.user ORDER BY 1, 2"


def _rows(shop: SwappedShop, query: str, *arguments: str) -> list[tuple[object, ...]]:
    with shop.server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(query, arguments or None)
        return list(cursor.fetchall())


def test_a_view_that_was_a_table(shop: SwappedShop) -> None:
    """Names that mean another kind of object now than then, both ways."""
    shop.server.execute(
        "DROP TABLE numbers", "CREATE VIEW numbers AS SELECT 1 AS a", "DROP VIEW alpha", "CREATE TABLE alpha (a INT)",
        database=shop.database,
    )  # fmt: skip
    before = shop.digest()
    restore, snapshot = shop.restore()
    assert restore.status == "completed", snapshot.problem
    assert shop.digest() == shop.backed_up
    engine = shop.home.engine()
    assert shop.home.finish(engine, engine.start_undo(engine.restores()[0])).status == "completed"
    assert shop.digest() == before
    shop.nothing_left()


def test_objects_that_cannot_be_made_again(shop: SwappedShop) -> None:
    """The tables were renamed, then a statement fails twice: everything goes back, and the record says so."""
    shop.misbehave(2, 3, how=FAIL)
    restore, snapshot = shop.restore()
    assert (restore.status, snapshot.status) == ("failed", "failed")
    assert snapshot.problem is not None
    assert "it was injected" in snapshot.problem.message
    assert shop.digest() == shop.before
    shop.nothing_left()


def test_killed_while_objects_are_made(shop: SwappedShop) -> None:
    """The very next command brings it to its end, whatever it is."""
    shop.misbehave(2, how=HANG)
    engine, run_id = shop.start()
    shop.wait_for_the_tool(engine, run_id)
    os.kill(int(engine.paths.lock(run_id).read_text()), signal.SIGKILL)
    wait_until(lambda: not engine.paths.is_alive(run_id), "the death of the worker")
    shop.behave()
    listed = shop.home.dgtui("list")
    assert f"into {shop.database} from" in listed.errors, listed
    assert "ended completed" in listed.errors, listed
    assert shop.digest() == shop.backed_up
    restore = shop.home.engine().restore(run_id)
    assert (restore.status, restore.kept_as is not None) == ("completed", True)
    shop.nothing_left()


def test_tables_in_use_are_left_as_they_are(shop: SwappedShop) -> None:
    """A transaction that holds a table with triggers: it is waited for, but not for ever, and no trigger is lost."""
    shop.configure("lock_timeout = 1\n")
    with shop.server.connect(shop.database, autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM words")
        restore, _ = shop.restore()
        holder = connection.thread_id()
        connection.rollback()
    assert restore.status == "failed"
    assert restore.problem is not None
    assert (
        f"in use for more than 1 s, perhaps by connection {holder} of root (Sleep, in a trans" in restore.problem.hint
    )
    assert f"(KILL {holder})" in restore.problem.hint
    assert shop.digest() == shop.before
    shop.nothing_left()


def test_enabled_events_wait_for_the_swap(shop: SwappedShop) -> None:
    """In the database beside, which is not in its place yet, an event does nothing; in its place it acts again."""
    shop.server.execute(
        "CREATE TABLE ticks (a INT)",
        "CREATE EVENT tick ON SCHEDULE EVERY 1 YEAR STARTS '2037-01-01 00:00:00' DO INSERT INTO ticks VALUES (1)",
        database=shop.database,
    )
    shop.execution = shop.home.back_up()
    shop.backed_up = shop.digest()
    shop.misbehave(1, how=WAIT, program="mariadb-dump")
    engine, run_id = shop.start()
    shop.wait_for_the_tool(engine, run_id)
    beside = f"{shop.database}__dgtui_new"
    events = shop.server.execute(f"SELECT COUNT(*) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = '{beside}'")
    shop.tools.joinpath("go").touch()
    assert shop.home.finish(engine, run_id).status == "completed"
    assert events == [(0,)]
    assert shop.digest() == shop.backed_up


_IN_MARIADB = (
    "CREATE TABLE numbered (id INT DEFAULT nextval(`OUTSIDE`.s))",
    "SET sql_mode = ORACLE",
    "CREATE PACKAGE tools AS FUNCTION one RETURN INT; END",
    "CREATE PACKAGE BODY tools AS FUNCTION one RETURN INT AS BEGIN RETURN 1; END; END",
)


@pytest.mark.parametrize("flavour", ["mariadb", "mysql_server"])
def test_ties_to_other_databases_hold_after_a_swap_and_its_undo(
    home: Home, request: pytest.FixtureRequest, flavour: str
) -> None:
    """Foreign keys both ways, a default from a sequence elsewhere, a package; what is kept holds nothing elsewhere."""
    server: MariadbServer = request.getfixturevalue(flavour)
    name, outside = server.create_database(), server.create_database()
    server.execute("CREATE TABLE parent (id INT PRIMARY KEY)", "INSERT INTO parent VALUES (1), (2)", database=outside)
    server.execute(
        "CREATE TABLE hen (id INT PRIMARY KEY, parent INT, "
        f"CONSTRAINT tie FOREIGN KEY (parent) REFERENCES `{outside}`.parent (id) ON UPDATE CASCADE)",
        "INSERT INTO hen VALUES (7, 1)",
        "CREATE TRIGGER older BEFORE UPDATE ON hen FOR EACH ROW SET @was = OLD.id",
        database=name,
    )
    if flavour == "mariadb":
        server.execute("CREATE SEQUENCE s", database=outside)
        server.execute(*(one.replace("OUTSIDE", outside) for one in _IN_MARIADB), database=name)
    child = f"CREATE TABLE child (hen INT, CONSTRAINT `od``d` FOREIGN KEY (hen) REFERENCES `{name}`.hen (id))"
    server.execute(child, "INSERT INTO child VALUES (7)", database=outside)
    home.configure(server.config(name))
    assert home.back_up().status == "completed"
    backed_up, elsewhere = mysql_digest(server, name), mysql_digest(server, outside)
    server.execute("INSERT INTO hen VALUES (8, 2)", "DROP TRIGGER older", database=name)
    before = mysql_digest(server, name)
    told = home.dgtui("restore", "nightly@latest", "--overwrite", "--dry-run")
    assert "(no swap" not in told.output, told
    assert "no write misses one" in told.output, told
    done = home.dgtui("restore", "nightly@latest", "--overwrite", "--yes")
    assert done.exit_code == 0, done
    restore = home.engine().restores()[0]
    assert restore.kept_as is not None
    for content in (backed_up, before, backed_up):
        assert mysql_digest(server, name) == content
        assert mysql_digest(server, outside) == elsewhere
        with pytest.raises(pymysql.err.IntegrityError, match="child"):
            server.execute("DELETE FROM hen WHERE id = 7", database=name)
        with pytest.raises(pymysql.err.IntegrityError, match="tie"):
            server.execute("INSERT INTO hen VALUES (9, 3)", database=name)
        server.execute("INSERT INTO parent VALUES (3)", "DELETE FROM parent WHERE id = 3", database=outside)
        engine = home.engine()
        assert home.finish(engine, engine.start_undo(engine.restores()[0])).status == "completed"


def test_rows_that_point_to_nothing_after_a_swap_are_told(home: Home, mariadb: MariadbServer) -> None:
    """What another database refers to may not be in the backup: as after every restore, and it is said."""
    name, outside = mariadb.create_database(), mariadb.create_database()
    mariadb.execute("CREATE TABLE hen (id INT PRIMARY KEY)", database=name)
    home.configure(mariadb.config(name))
    assert home.back_up().status == "completed"
    mariadb.execute("INSERT INTO hen VALUES (7)", database=name)
    child = f"CREATE TABLE child (hen INT, FOREIGN KEY (hen) REFERENCES `{name}`.hen (id))"
    mariadb.execute(child, "INSERT INTO child VALUES (7), (NULL)", database=outside)
    done = home.dgtui("restore", "nightly@latest", "--overwrite", "--yes")
    assert done.exit_code == 0, done
    assert f"1 row of {outside}.child pointing to rows of {name}.hen that are not there" in done.errors


@pytest.mark.parametrize("more", [(), ("CREATE VIEW seen AS SELECT 1",)])
@pytest.mark.parametrize("excluded", [(), ("log",)])
def test_a_key_to_a_table_that_is_not_there(
    home: Home, mariadb: MariadbServer, more: tuple[str, ...], excluded: tuple[str, ...]
) -> None:
    """It means its own database after a swap and after an undo, so that it holds once the table is made again."""
    name = mariadb.create_database()
    mariadb.execute(
        "CREATE TABLE log (id INT PRIMARY KEY)",
        "INSERT INTO log VALUES (1)",
        "CREATE TABLE child (id INT PRIMARY KEY, log INT, FOREIGN KEY (log) REFERENCES log (id) ON DELETE CASCADE)",
        "INSERT INTO child VALUES (1, 1)",
        "SET foreign_key_checks = 0",
        *(() if excluded else ("DROP TABLE log",)),
        *more,
        database=name,
    )
    home.configure(mariadb.config(name), job=f"exclude_tables = {list(excluded)}")
    assert home.back_up().status == "completed"
    definition = "SHOW CREATE TABLE child"
    backed_up = mariadb.execute(definition, database=name)
    mariadb.execute("CREATE TABLE since (a INT)", database=name)
    before = mysql_digest(mariadb, name)
    done = home.dgtui("restore", "nightly@latest", "--overwrite", "--yes")
    assert done.exit_code == 0, done
    assert mariadb.execute(definition, database=name) == backed_up
    restore_id = home.engine().restores()[0].restore_id
    undone = home.dgtui("undo", restore_id, "--yes")
    assert undone.exit_code == 0, undone
    assert mysql_digest(mariadb, name) == before
    again = home.dgtui("restore", "nightly@latest", "--overwrite", "--yes")
    assert again.exit_code == 0, again
    mariadb.execute(
        "CREATE TABLE log (id INT PRIMARY KEY)", "INSERT INTO log VALUES (2)", "INSERT INTO child VALUES (2, 2)",
        database=name,
    )  # fmt: skip
    mariadb.execute("DELETE FROM log", database=name)
    assert mariadb.execute("SELECT id FROM child", database=name) == [(1,)]
