"""MySQL itself, with its own tools and with MariaDB's: backed up, restored beside and in place, and by hand."""

import itertools
import json
import os
import secrets
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dgtui.engine.facade import Engine
from tests.support.changing import Changing
from tests.support.homes import Home
from tests.support.mariadb import mysql_digest
from tests.support.mysql import MysqlServer
from tests.support.round_trips import restored, whole_backup
from tests.support.stopping import Stopping

_OBJECTS = (
    """CREATE TABLE goods (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50) COLLATE utf8mb4_0900_ai_ci,
    tags JSON, raw LONGBLOB, at DATETIME(6), price DECIMAL(10, 2), double_price DECIMAL(11, 2)
    GENERATED ALWAYS AS (price * 2) STORED, KEY folded ((lower(name))), CHECK (price >= 0))""",
    "CREATE TABLE `odd ``name; --` (a INT) PARTITION BY HASH (a) PARTITIONS 3",
    "INSERT INTO `odd ``name; --` VALUES (1), (2), (3)",
    "CREATE TABLE lines_of (id INT PRIMARY KEY, goods_id INT, FOREIGN KEY (goods_id) REFERENCES goods (id))",
    "CREATE VIEW a_view AS SELECT name, price FROM goods",
    "CREATE VIEW the_view AS SELECT name FROM a_view",
    "CREATE TRIGGER cheap BEFORE INSERT ON goods FOR EACH ROW SET NEW.price = COALESCE(NEW.price, 0)",
    "CREATE PROCEDURE count_goods() READS SQL DATA SELECT count(*) FROM goods",
    "CREATE FUNCTION twice(a INT) RETURNS INT DETERMINISTIC RETURN a * 2",
    "CREATE EVENT later ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00' DO DELETE FROM lines_of",
)


def make_shop(server: MysqlServer) -> str:
    """A database with what MySQL has, and every byte."""
    name = server.create_database(f"sh op; --{secrets.token_hex(4)}")
    server.execute(*_OBJECTS, database=name)
    with server.connect(name) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO goods (name, tags, raw, at, price) VALUES (%s, %s, %s, %s, %s)",
            [
                (
                    "Bücher ☃ 😀",
                    json.dumps({"a": [1, None, "ü"]}),
                    bytes(range(256)),
                    "2025-02-13 06:00:01.123456",
                    1.5,
                ),
                ("quote ' \\ \" \n", None, b"", None, None),
            ],
        )
        cursor.execute("INSERT INTO lines_of VALUES (1, 1)")
    return name


@pytest.mark.parametrize("tools", ["oracle", "mariadb"])
def test_a_round_trip(home: Home, mysql_server: MysqlServer, tools: str) -> None:
    name = make_shop(mysql_server)
    table = mysql_server.config(name)
    home.configure(table if tools == "oracle" else table.replace(f'tools = "{mysql_server.tools}"\n', ""))
    if tools == "mariadb":
        refused = home.back_up().problem
        assert refused is not None
        assert refused.kind == "ToolMissing"
        assert "goods.double_price" in refused.message
        mysql_server.execute("ALTER TABLE goods DROP COLUMN double_price", database=name)
    digest = mysql_digest(mysql_server, name)
    execution = whole_backup(home)
    assert execution.warnings == ()
    restored(home, execution, database=f"{name}_new", jobs=1)
    assert mysql_digest(mysql_server, f"{name}_new") == digest
    mysql_server.execute("DELETE FROM lines_of", "DELETE FROM goods", "CREATE TABLE since_then (a INT)", database=name)
    restored(home, execution, overwrite=True)
    assert mysql_digest(mysql_server, name) == digest


def test_what_check_and_health_say(home: Home, mysql_server: MysqlServer) -> None:
    name = make_shop(mysql_server)
    home.configure(mysql_server.config(name))
    outcome = home.dgtui("check")
    assert outcome.exit_code == 0, outcome
    assert "MySQL 9." in outcome.output
    assert "with mysqldump 9." in outcome.output
    assert home.dgtui("health", "--now").exit_code == 0


def test_restore_text_is_followed_with_the_client_of_mysql(
    home: Home, mysql_server: MysqlServer, tmp_path: Path
) -> None:
    name = make_shop(mysql_server)
    home.configure(mysql_server.config(name))
    digest = mysql_digest(mysql_server, name)
    execution = whole_backup(home)
    mysql_server.drop_database(name)
    done = subprocess.run(
        ["sh", "-e", "RESTORE.txt"],
        cwd=execution.copies[0].path,
        env={"PATH": f"{mysql_server.tools}:{os.environ['PATH']}", "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert mysql_digest(mysql_server, name) == digest


def test_parts_rows_and_rehearsals(home: Home, mysql_server: MysqlServer) -> None:
    name = make_shop(mysql_server)
    home.configure(mysql_server.config(name))
    digest = mysql_digest(mysql_server, name)
    whole_backup(home)
    assert home.dgtui("rehearse", "nightly").exit_code == 0
    for part in ((), ("--data-only",)):
        mysql_server.execute("DELETE FROM lines_of", database=name)
        restoring = ("restore", "nightly@latest", "--table", "lines_of", *part, "--overwrite", "--yes")
        outcome = home.dgtui(*restoring)
        assert outcome.exit_code == 0, outcome
        assert mysql_digest(mysql_server, name) == digest


def test_killed_at_every_step_of_a_swap(home: Home, mysql_server: MysqlServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """MySQL renames tables that are locked, so that no write comes between the triggers and the rename.

    Foreign keys tie them to another database, both ways.
    """
    name, outside = make_shop(mysql_server), mysql_server.create_database()
    mysql_server.execute(
        "CREATE TABLE parent (id INT PRIMARY KEY)",
        f"CREATE TABLE child (id INT, CONSTRAINT down FOREIGN KEY (id) REFERENCES `{name}`.goods (id))",
        database=outside,
    )
    tied = f"CREATE TABLE tied (id INT, CONSTRAINT up FOREIGN KEY (id) REFERENCES `{outside}`.parent (id))"
    mysql_server.execute(tied, database=name)

    def change(number: int) -> None:
        mysql_server.execute(
            f"CREATE VIEW view_{number} AS SELECT COUNT(*) AS n FROM goods",
            f"INSERT INTO goods (name) VALUES ('since {number}')",
            database=name,
        )

    source = Changing(
        home,
        mysql_server.config(name),
        lambda: (mysql_digest(mysql_server, name), mysql_digest(mysql_server, outside)),
        change,
        lambda: {other for other in mysql_server.databases() if other.startswith(f"{name}__dgtui")},
    )
    stopping = Stopping(home, monkeypatch)
    assert stopping.at(0, _over(source)).status == "completed"
    assert any(step.startswith("RENAME TABLE") for step in stopping.steps)
    _undo(source)
    for number in itertools.count(stopping.first("phase swap")):
        killed = stopping.at(number, _over(source))
        restore = home.engine().restore(killed.restore_id)
        step = f"{number} {stopping.steps[-1]}"
        if restore.status == "completed":
            assert source.digest() == source.backed_up, step
            _undo(source)
        else:
            assert (restore.status, source.digest() == source.before) == ("interrupted", True), step
        if len(stopping.steps) < number:
            break


def _undo(source: Changing) -> None:
    _, undone, snapshot = source.undo(source.home.engine().restores()[0])
    assert (undone.status, source.digest() == source.before) == ("completed", True), snapshot.problem


def _over(source: Changing) -> Callable[[Engine], str]:
    return lambda engine: engine.start_restore(source.execution, overwrite=True)
