"""MariaDB that changes in the middle of a dump, through the engine (reliability row 28), or gives not all of it."""

import json
import shlex
from pathlib import Path

import pytest

from dgtui.engine.datasources.dumping import DumpOptions
from dgtui.engine.errors import BackupCreationError
from tests.support.homes import Home
from tests.support.mariadb import MariadbServer, mariadb_program, quoted

_LARGE = (
    "CREATE TABLE big (id INT PRIMARY KEY, v TEXT)",
    "INSERT INTO big SELECT seq, REPEAT('x', 1000) FROM seq_1_to_20000",
    "CREATE TABLE z (id INT PRIMARY KEY)",
)


def configure(home: Home, server: MariadbServer, database: str, tools: Path, job: str) -> None:
    """Back up with the dump program of this folder."""
    client = tools / "mariadb"
    client.symlink_to(str(mariadb_program("mariadb")))
    home.configure(f"{server.config(database)}tools = {json.dumps(str(tools))}\n", job=job)


def changing_tool(folder: Path, server: MariadbServer, database: str, *, once: bool) -> None:
    """A dump program that has a table changed when the first rows are out: at its first call, or at each one."""
    folder.mkdir()
    client = [str(mariadb_program("mariadb")), "-h127.0.0.1", f"-P{server.port}", "-uroot", database, "-e"]
    change = shlex.join([*client, "ALTER TABLE z ENGINE = InnoDB, ALGORITHM = COPY"])
    real, mark = shlex.quote(str(mariadb_program("mariadb-dump"))), shlex.quote(str(folder / "changed"))
    condition = f"[ -e {mark} ] ||" if once else ""
    program = folder / "mariadb-dump"
    program.write_text(
        f'#!/bin/bash\n[ "$1" = --version ] && exec {real} --version\nset -o pipefail\n'
        f'{real} "$@" | {{ head -c 300000; {condition} {{ touch {mark}; {change}; }}; cat; }}\n'
    )
    program.chmod(0o755)


@pytest.mark.parametrize("once", [True, False])
def test_a_table_that_is_changed_meanwhile_is_tried_again_once(home: Home, mariadb: MariadbServer, once: bool) -> None:
    name = mariadb.create_database()
    mariadb.execute(*_LARGE, database=name)
    changing_tool(home.folder / "tools", mariadb, name, once=once)
    configure(home, mariadb, name, home.folder / "tools", "retries = 1")
    engine = home.engine()
    snapshot = home.finish(engine, engine.start_job("nightly"))
    tries = [line.text for line in snapshot.log if "Try 2 begins" in line.text]
    assert len(tries) == 1
    if once:
        assert snapshot.status == "completed"
    else:
        assert snapshot.status == "failed"
        assert snapshot.problem is not None
        assert (snapshot.problem.kind, snapshot.problem.subject) == ("SourceChanged", "z")
        assert "try again" in snapshot.problem.hint
    assert home.litter() == []


def test_a_server_that_gives_not_all_rows_is_not_dumped(own_mariadb: MariadbServer) -> None:
    """The dump tool would take the first rows for all of them, and end well."""
    name = own_mariadb.create_database()
    own_mariadb.execute(
        "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t SELECT seq FROM seq_1_to_9", database=name
    )
    own_mariadb.execute(
        "CREATE USER reader",
        f"GRANT ALL ON {quoted(name)}.* TO reader",
        "SET GLOBAL init_connect = 'SET sql_select_limit = 3'",
    )
    limited = own_mariadb.datasource(name, username="reader")
    with pytest.raises(BackupCreationError, match="at most 3 rows") as caught:
        limited.probe()
    assert "init_connect" in caught.value.hint
    assert limited.probe(DumpOptions(backup_type="schema_only")).objects
    assert len(own_mariadb.datasource(name).probe().objects) == 1
    own_mariadb.execute(*(f"CREATE TABLE t{number} (id INT)" for number in range(5)), database=name)
    assert len(limited.target_state(name).objects) == 6


def test_a_server_in_safe_update_mode_is_restored_all_the_same(home: Home, own_mariadb: MariadbServer) -> None:
    """It refuses a DELETE without a condition, which an application may need and we do not."""
    name = own_mariadb.create_database()
    own_mariadb.execute(
        "CREATE TABLE t (id INT PRIMARY KEY)",
        "INSERT INTO t VALUES (1), (2)",
        "CREATE TRIGGER counted BEFORE INSERT ON t FOR EACH ROW SET NEW.id = NEW.id",
        "CREATE TABLE u (id INT PRIMARY KEY)",
        "INSERT INTO u VALUES (1)",
        "SET GLOBAL sql_safe_updates = 1",
        database=name,
    )
    home.configure(own_mariadb.config(name))
    assert home.back_up().status == "completed"
    own_mariadb.execute("DELETE FROM t WHERE id = 2", "UPDATE u SET id = 5 WHERE id = 1", database=name)
    for choice in ((), ("--data-only", "--table", "u")):
        restored = home.dgtui("restore", "nightly@latest", "--overwrite", "--yes", *choice)
        assert restored.exit_code == 0, restored
        assert own_mariadb.execute("SELECT id FROM t ORDER BY id", database=name) == [(1,), (2,)]
        assert own_mariadb.execute("SELECT id FROM u", database=name) == [(1,)]
        own_mariadb.execute("UPDATE u SET id = 5 WHERE id = 1", database=name)
