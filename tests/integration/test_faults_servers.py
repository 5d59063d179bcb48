"""Servers that stop, die, start anew or freeze while their rows stream (reliability rows 20, 21, 23)."""

from collections.abc import Callable, Iterator
from typing import Protocol

import pytest

from dgtui.cli.outcome import exit_code_of_run
from dgtui.engine.facade import Engine
from dgtui.engine.run_follower import RunSnapshot
from tests.support.gates import GatedTool
from tests.support.homes import Home
from tests.support.mariadb import MariadbServer, mariadb_program, missing_mariadb
from tests.support.postgres import PostgresServer, running_server
from tests.support.round_trips import mysql_table, postgres_table, whole_backup


class Server(Protocol):
    """What is done to both of them."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...


@pytest.fixture(scope="module")
def mortal_postgres() -> Iterator[PostgresServer]:
    """A server for these tests, with a table of more bytes than lie between it and a tool that stands still."""
    with running_server() as server:
        server.execute("CREATE TABLE big AS SELECT i, repeat(md5(i::text), 30) AS t FROM generate_series(1, 25000) i")
        server.execute("CHECKPOINT")
        yield server


@pytest.fixture(scope="module")
def mortal_mariadb() -> Iterator[MariadbServer]:
    """The same of MariaDB."""
    if reason := missing_mariadb():
        pytest.skip(reason)
    server = MariadbServer("--innodb-flush-log-at-trx-commit=1")
    try:
        server.start()
        server.create_database("shop")
        server.execute(
            "CREATE TABLE big (id INT PRIMARY KEY, v TEXT)",
            "INSERT INTO big SELECT seq, REPEAT('x', 1000) FROM seq_1_to_25000",
            database="shop",
        )
        yield server
    finally:
        server.remove()


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """One of the two; it runs again afterwards."""
    chosen: Server = request.getfixturevalue(f"mortal_{request.param}")
    yield chosen
    chosen.stop()
    chosen.start()


class Midway:
    """A run that stands still in the middle of its dump."""

    def __init__(self, home: Home, server: Server, job: str = "") -> None:
        self._home = home
        self._job = job
        if isinstance(server, PostgresServer):
            self._table: Callable[..., str] = lambda **more: postgres_table(server, "postgres", **more)
            self._name, self._real = "pg_dump", str(server.binaries / "pg_dump")
        else:
            assert isinstance(server, MariadbServer)
            self._table = lambda **more: mysql_table(server, "shop", **more)
            self._name, self._real = "mariadb-dump", str(mariadb_program("mariadb-dump"))
        self.run_without_gate()
        whole_backup(home)
        self.gate = GatedTool(home.folder / "tools", self._name, self._real)
        home.configure(self._table(tools=str(self.gate.folder)), job=job)
        self._engine = home.engine()
        self.run_id = self._engine.start_job("nightly")
        self.gate.wait()

    def run_without_gate(self) -> None:
        """The real tools from now on."""
        self._home.configure(self._table(), job=self._job)

    def end(self) -> tuple[Engine, RunSnapshot]:
        """Let it go on to its end; nothing of a failed run is left, and the former backup is good."""
        self.gate.open()
        snapshot = self._home.finish(self._engine, self.run_id)
        assert self._home.litter() == []
        return self._engine, snapshot


def failed(home: Home, midway: Midway) -> RunSnapshot:
    """The run ends failed, with everything that a person and a script need."""
    engine, snapshot = midway.end()
    assert (snapshot.status, exit_code_of_run(snapshot)) == ("failed", 1)
    assert snapshot.problem is not None
    assert snapshot.problem.hint
    execution = engine.execution(midway.run_id)
    assert (execution.status, execution.folder, execution.copies) == ("failed", None, ())
    [good] = home.storage().glob("*/*/manifest.json")
    engine.validate_folder(good.parent)
    return snapshot


@pytest.mark.parametrize(
    ("server", "how"), [("postgres", "stop"), ("postgres", "kill"), ("mariadb", "kill")], indirect=["server"]
)
def test_a_server_that_goes_away_in_the_middle_is_no_backup(home: Home, server: Server, how: str) -> None:
    midway = Midway(home, server)
    (server.stop if how == "stop" else server.kill)()
    problem = failed(home, midway).problem
    assert problem is not None
    assert problem.kind == "DatabaseConnectionError", problem


@pytest.mark.parametrize("server", ["postgres", "mariadb"], indirect=True)
def test_a_server_that_was_started_anew_is_dumped_from_the_beginning(home: Home, server: Server) -> None:
    midway = Midway(home, server, "retries = 1")
    server.stop()
    server.start()
    _, snapshot = midway.end()
    assert snapshot.status == "completed", snapshot.problem
    [line] = [line.text for line in snapshot.log if "Try 2 begins" in line.text]
    assert ".." not in line
    assert len(list(home.storage().glob("*/*/manifest.json"))) == 2


def test_a_mariadb_that_freezes_while_its_rows_stream_ends_the_run(home: Home, mortal_mariadb: MariadbServer) -> None:
    midway = Midway(home, mortal_mariadb, 'idle_timeout = "5 s"')
    mortal_mariadb.freeze()
    try:
        problem = failed(home, midway).problem
    finally:
        mortal_mariadb.thaw()
    assert problem is not None
    assert "5 s" in problem.message, problem
