"""MariaDB that changes or falls silent in the middle of a dump, through the engine (reliability rows 23 and 28)."""

import json
import shlex
from pathlib import Path

import pytest

from tests.support.fakebin import write_throttled
from tests.support.homes import Home, wait_until
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


def test_a_server_that_falls_silent_while_rows_stream(home: Home, own_mariadb: MariadbServer) -> None:
    name = own_mariadb.create_database()
    own_mariadb.execute(*_LARGE, database=name)
    write_throttled(home.folder / "tools", "mariadb-dump", str(mariadb_program("mariadb-dump")))
    configure(home, own_mariadb, name, home.folder / "tools", 'idle_timeout = "3 s"')
    engine = home.engine()
    run_id = engine.start_job("nightly")
    follower = engine.follower(run_id)

    def is_dumping() -> bool:
        follower.poll()
        progress = follower.snapshot.progress
        return progress is not None and progress.done > 0

    wait_until(is_dumping, "the first bytes of the dump")
    own_mariadb.freeze()
    try:
        snapshot = home.finish(engine, run_id)
    finally:
        own_mariadb.thaw()
    assert snapshot.status == "failed"
    assert snapshot.problem is not None
    assert "No data for 3 s" in snapshot.problem.message
    assert snapshot.problem.hint
    assert home.litter() == []
