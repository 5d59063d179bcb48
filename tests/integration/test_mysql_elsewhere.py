"""Tables of MariaDB with files in another folder: no RENAME TABLE moves them, for the server loses them by it."""

import pytest

from dgtui.engine.model import Execution
from tests.support.homes import Home
from tests.support.mariadb import MariadbServer, mysql_digest


@pytest.fixture
def shop(mariadb: MariadbServer) -> str:
    """A database with such a table, one with such a partition, and one without."""
    elsewhere = str(mariadb.scratch / "elsewhere")
    name = mariadb.create_database()
    mariadb.execute(
        f"CREATE TABLE far (i INT PRIMARY KEY) DATA DIRECTORY = '{elsewhere}'",
        "INSERT INTO far VALUES (1)",
        "CREATE TABLE `far part` (i INT) PARTITION BY RANGE (i) ("
        f"PARTITION near VALUES LESS THAN (10), PARTITION away VALUES LESS THAN MAXVALUE DATA DIRECTORY '{elsewhere}')",
        "INSERT INTO `far part` VALUES (1), (20)",
        "CREATE TABLE near (i INT COMMENT ' DIRECTORY = ''x''') PARTITION BY HASH (i) PARTITIONS 2",
        "INSERT INTO near VALUES (1)",
        database=name,
    )
    return name


@pytest.fixture
def backup(home: Home, mariadb: MariadbServer, shop: str) -> Execution:
    """A backup of it."""
    home.configure(mariadb.config(shop))
    execution = home.back_up()
    assert execution.status == "completed", execution.problem
    return execution


def test_such_a_database_is_not_swapped(home: Home, mariadb: MariadbServer, shop: str, backup: Execution) -> None:
    before, content = mariadb.databases(), mysql_digest(mariadb, shop)
    refused = home.dgtui("restore", backup.execution_id, "--overwrite", "--yes")
    assert refused.exit_code == 1, refused
    assert "far, far part, with files in a DATA DIRECTORY" in refused.errors
    assert "making the target" not in refused.output + refused.errors
    assert mariadb.databases() == before
    assert mysql_digest(mariadb, shop) == content
    mariadb.execute("DELETE FROM far", "DELETE FROM `far part`", database=shop)
    filled = home.dgtui("restore", backup.execution_id, "--overwrite", "--in-place", "--yes")
    assert filled.exit_code == 0, filled
    assert mariadb.databases() == before
    assert mysql_digest(mariadb, shop) == content


def test_a_backup_with_such_a_table_is_not_swapped_in(
    home: Home, mariadb: MariadbServer, shop: str, backup: Execution
) -> None:
    mariadb.execute("DROP TABLE far", "DROP TABLE `far part`", database=shop)
    before, content = mariadb.databases(), mysql_digest(mariadb, shop)
    refused = home.dgtui("restore", backup.execution_id, "--overwrite", "--yes")
    assert refused.exit_code == 1, refused
    assert "far, far part, with files in a DATA DIRECTORY" in refused.errors
    assert mariadb.databases() == before
    assert mysql_digest(mariadb, shop) == content


@pytest.mark.parametrize("choice", [("far part",), ("far", "--as", "far_2")])
def test_such_a_table_alone_is_not_moved_either(
    home: Home, mariadb: MariadbServer, shop: str, backup: Execution, choice: tuple[str, ...]
) -> None:
    before, content = mariadb.databases(), mysql_digest(mariadb, shop)
    refused = home.dgtui("restore", backup.execution_id, "--overwrite", "--yes", "--table", *choice)
    assert refused.exit_code == 1, refused
    assert "DATA DIRECTORY" in refused.errors
    assert mariadb.databases() == before
    assert mysql_digest(mariadb, shop) == content


def test_a_table_beside_it_is_exchanged(home: Home, mariadb: MariadbServer, shop: str, backup: Execution) -> None:
    mariadb.execute("DELETE FROM near", database=shop)
    done = home.dgtui("restore", backup.execution_id, "--overwrite", "--yes", "--table", "near")
    assert done.exit_code == 0, done
    assert mariadb.execute("SELECT i FROM near", database=shop) == [(1,)]
