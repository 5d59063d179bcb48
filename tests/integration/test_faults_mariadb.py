"""MariaDB that changes in the middle of a dump, through the engine (reliability row 28)."""

import json
import shlex
from pathlib import Path

import pytest

from tests.support.homes import Home
from tests.support.mariadb import MariadbServer, mariadb_program

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
