"""Triggers that were made with the name of their database: they are made where they are restored, and nowhere else."""

import pytest

from dgtui.engine.datasources.loading import Selection
from dgtui.engine.datasources.mysql_script import Script
from tests.support.homes import Home
from tests.support.mariadb import MariadbServer, mysql_digest, quoted

_BODY = "SET NEW.n = CONCAT(NEW.n, ' TRIGGER x.y BEFORE INSERT ON x.z FOR EACH ROW')"


@pytest.fixture
def shop(mariadb: MariadbServer) -> str:
    """A database with triggers that name it."""
    name = mariadb.create_database(f"{mariadb.create_database()}-é")
    mariadb.execute(
        "CREATE TABLE orders (id INT PRIMARY KEY, n TEXT)",
        "CREATE TABLE `ord ers` (id INT PRIMARY KEY)",
        "INSERT INTO orders VALUES (1, 'one')",
        f"CREATE TRIGGER {quoted(name)}.plain BEFORE INSERT ON {quoted(name)}.orders FOR EACH ROW {_BODY}",
        f"CREATE TRIGGER IF NOT EXISTS {quoted(name)} . `quo``ted`\nAFTER DELETE\nON {quoted(name)}.`ord ers` FOR EACH "
        "ROW\nINSERT INTO orders VALUES (OLD.id, 'deleted')",
        "SET SESSION sql_mode = 'ANSI_QUOTES'",
        f'CREATE TRIGGER "{name}"."an""si" AFTER INSERT ON "{name}"."ord ers" FOR EACH ROW '
        "INSERT INTO orders VALUES (NEW.id, 'inserted')",
        database=name,
    )
    return name


def triggers(server: MariadbServer, database: str) -> list[tuple[str, ...]]:
    """The triggers that are in a database."""
    statement = "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE, ACTION_STATEMENT FROM information_schema.TRIGGERS"
    return server.execute(f"{statement} WHERE TRIGGER_SCHEMA = '{database}' ORDER BY 1")


def test_they_come_back_in_place_and_by_an_undo(home: Home, mariadb: MariadbServer, shop: str) -> None:
    home.configure(mariadb.config(shop))
    assert home.back_up().status == "completed"
    made = triggers(mariadb, shop)
    assert len(made) == 3
    mariadb.execute("DELETE FROM orders", database=shop)
    restored = home.dgtui("restore", "nightly@latest", "--overwrite", "--yes")
    assert restored.exit_code == 0, restored
    assert triggers(mariadb, shop) == made
    assert mariadb.execute("SELECT n FROM orders", database=shop) == [("one",)]
    undone = home.dgtui("undo", home.engine().restores()[0].restore_id, "--yes")
    assert undone.exit_code == 0, undone
    assert triggers(mariadb, shop) == made
    assert mariadb.execute("SELECT n FROM orders", database=shop) == []


@pytest.mark.parametrize("choice", [(), ("--schema-only",)])
def test_elsewhere_they_are_not_made_in_the_live_database(
    home: Home, mariadb: MariadbServer, shop: str, choice: tuple[str, ...]
) -> None:
    home.configure(mariadb.config(shop))
    done = home.dgtui("backup", "shop", "--to", "disk", *choice)
    assert done.exit_code == 0, done
    made = triggers(mariadb, shop)
    for name, _, _ in made:
        mariadb.execute(f"DROP TRIGGER {quoted(name)}", database=shop)
    content, other = mysql_digest(mariadb, shop), f"{shop}2"
    execution = home.engine().executions()[0].execution_id
    restored = home.dgtui("restore", execution, "--into", other, "--yes")
    assert restored.exit_code == 0, restored
    assert mysql_digest(mariadb, shop) == content
    assert triggers(mariadb, other) == made


def test_they_are_found_however_the_archive_is_cut() -> None:
    made = (
        b"/*!50003 CREATE*/ /*!50017 DEFINER=`r t`@``*/ /*!50003 TRIGGER %s BEFORE INSERT\nON %s FOR EACH ROW %s */;;"
    )
    body = b"INSERT INTO log VALUES ('CREATE TRIGGER a.b BEFORE INSERT ON a.c FOR EACH ROW')"

    def archive(name: bytes, table: bytes) -> bytes:
        return (
            b"-- MariaDB dump 10.19  Distrib 10.11\n--\n-- Host: h    Database: shop\n"
            b"--\n-- Table structure for table `t`\n--\n\nCREATE TABLE `t` (\n  `i` int\n);\n"
            b"\n--\n-- Dumping data for table `t`\n--\n\n/*!40000 ALTER TABLE `t` ENABLE KEYS */;\n"
            b"DELIMITER ;;\n" + made % (name, table, body) + b"\nDELIMITER ;\n\n-- Dump completed on now\n"
        )

    for name, table in ((b"shop.b", b"shop.c"), (b"`sh``op`.b", b"`sh``op` . c"), (b'"s h"."b"', b"s\xc3\xa9.c")):
        whole = archive(name, table)
        plain = archive(*(text.rpartition(b".")[2].strip() for text in (name, table)))
        expected = b"".join(Script("x", Selection()).blocks([plain]))
        for size in (1, 7, 1 << 20):
            blocks = [whole[start : start + size] for start in range(0, len(whole), size)]
            assert b"".join(Script("x", Selection()).blocks(blocks)) == expected
