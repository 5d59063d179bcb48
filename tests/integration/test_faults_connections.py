"""Jobs that get no connection or only one with strings attached (reliability rows 18, 19, 22, 24 and 27)."""

import contextlib
import json
import shutil
import socket
import sqlite3
from collections.abc import Iterator

import pytest

from dgtui.engine.model import Execution
from tests.support.fakebin import write_fake
from tests.support.gates import GatedTool
from tests.support.homes import Home
from tests.support.mariadb import MariadbServer, mariadb_program, quoted
from tests.support.postgres import PostgresServer
from tests.support.round_trips import mysql_table, postgres_table, restored, table, whole_backup

PASSWORD = "wr0ng-S3cret"
SECRET = f'password = {{ command = "echo {PASSWORD}" }}\n'


@pytest.fixture(params=["postgres", "mysql"])
def kind(request: pytest.FixtureRequest) -> str:
    """A kind of server that need not be there."""
    return str(request.param)


def failed_once(home: Home) -> Execution:
    """The job fails at its first and only try, and the password is nowhere."""
    outcome = home.dgtui("--run-job", "nightly")
    assert outcome.exit_code == 1, outcome
    assert "hint:" in outcome.errors
    assert "begins in" not in outcome.errors
    assert PASSWORD not in outcome.output + outcome.errors
    [execution] = home.engine().executions()
    assert (execution.status, execution.copies) == ("failed", ())
    assert execution.problem is not None
    assert PASSWORD not in repr(execution)
    assert PASSWORD not in home.engine().paths.messages(execution.execution_id).read_text()
    assert home.litter() == []
    return execution


def server_table(kind: str, host: str, port: int) -> str:
    """A datasource that nothing is known of but host and port."""
    known = table("shop", type=kind, host=host, port=port, database="shop", username="backup", connect_timeout="2 s")
    return known + SECRET


def test_a_name_that_nobody_knows(home: Home, kind: str) -> None:
    home.configure(server_table(kind, "nowhere.invalid", 5999))
    problem = failed_once(home).problem
    assert problem is not None
    assert problem.kind == "DatabaseConnectionError"
    assert "nowhere.invalid" in problem.message


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections, and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_server_that_takes_connections_and_never_answers(home: Home, kind: str, silent_port: int) -> None:
    home.configure(server_table(kind, "127.0.0.1", silent_port))
    problem = failed_once(home).problem
    assert problem is not None
    assert f"127.0.0.1:{silent_port}" in problem.message
    assert "answer" in problem.message or "time" in problem.message, problem


@pytest.fixture
def dropping_port() -> Iterator[int]:
    """A port from which nothing comes back: whoever listens has no room for one connection more, and takes none."""
    with contextlib.ExitStack() as waiting:
        listener = waiting.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_a_server_whose_packets_are_dropped_is_no_server_that_is_down(
    home: Home, kind: str, dropping_port: int
) -> None:
    home.configure(server_table(kind, "127.0.0.1", dropping_port))
    problem = failed_once(home).problem
    assert problem is not None
    assert problem.kind == "DatabaseConnectionError"
    assert f"Nothing comes back from 127.0.0.1:{dropping_port}: does a firewall drop" in problem.hint
    assert "connect_timeout" in problem.hint


def test_an_undo_that_reaches_nobody_fails_for_now(
    home: Home, mariadb: MariadbServer, postgres_server: PostgresServer, kind: str, dropping_port: int
) -> None:
    """It is no mistake of whoever typed it, and possible later."""
    server: MariadbServer | PostgresServer = postgres_server if kind == "postgres" else mariadb
    name = server.create_database()
    columns = "CREATE TABLE t (i int)"
    if isinstance(server, PostgresServer):
        server.execute(columns, name)
        told = postgres_table(server, name)
    else:
        server.execute(columns, database=name)
        told = mysql_table(server, name)
    home.configure(told)
    restore = restored(home, whole_backup(home), overwrite=True, safety=False)
    before = server.databases()
    home.configure(told.replace(f"port = {server.port}", f'port = {dropping_port}\nconnect_timeout = "2 s"'))
    for more in ("--yes", "--dry-run"):
        failed = home.dgtui("undo", restore.restore_id, more)
        assert failed.exit_code == 1, failed
        assert "Nothing comes back from" in failed.errors + failed.output
    assert "cannot be undone now" in home.dgtui("undo", restore.restore_id, "--yes").errors
    home.configure(told)
    assert server.databases() == before
    assert home.dgtui("undo", restore.restore_id, "--yes").exit_code == 0
    for one in server.databases():
        if one.startswith(name):
            server.drop_database(one)


def test_an_expired_or_wrong_password_of_postgres_is_tried_once(home: Home, postgres_server: PostgresServer) -> None:
    postgres_server.execute(f"CREATE ROLE login_late SUPERUSER LOGIN PASSWORD '{PASSWORD}' VALID UNTIL '2020-01-01'")
    postgres_server.execute("CREATE ROLE login_group ROLE login_late")
    try:
        home.configure(postgres_table(postgres_server, "postgres", username="login_late") + SECRET, job="retries = 5")
        problem = failed_once(home).problem
    finally:
        postgres_server.execute("DROP ROLE login_group; DROP ROLE login_late")
    assert problem is not None
    assert problem.kind == "AuthenticationError"
    assert "login_late" in problem.message
    assert "expired" in problem.hint


@pytest.mark.parametrize("why", ["expired", "wrong"])
def test_an_expired_or_wrong_password_of_mariadb_is_tried_once(home: Home, mariadb: MariadbServer, why: str) -> None:
    name = mariadb.create_database()
    word, expiry = (PASSWORD, "PASSWORD EXPIRE") if why == "expired" else ("right", "")
    mariadb.execute(
        f"CREATE USER late@'%' IDENTIFIED BY '{word}' {expiry}", f"GRANT ALL ON {quoted(name)}.* TO late@'%'"
    )
    home.configure(mysql_table(mariadb, name, username="late") + SECRET, job="retries = 5")
    problem = failed_once(home).problem
    assert problem is not None
    assert problem.kind == "AuthenticationError"
    assert "late" in problem.subject + problem.message
    assert "expired" in problem.hint or why == "wrong"


def test_a_limit_of_time_for_statements_does_not_bite(home: Home, mariadb: MariadbServer) -> None:
    """The rows stand still at the server for longer than its user's statements may take."""
    name = mariadb.create_database()
    mariadb.execute(
        "CREATE TABLE big (id INT PRIMARY KEY, v TEXT)",
        "INSERT INTO big SELECT seq, REPEAT('x', 1000) FROM seq_1_to_20000",
        "CREATE USER hurried@'%' WITH MAX_STATEMENT_TIME 2",
        "GRANT ALL ON *.* TO hurried@'%'",
        database=name,
    )
    tool = GatedTool(home.folder / "tools", "mariadb-dump", str(mariadb_program("mariadb-dump")))
    home.configure(mysql_table(mariadb, name, username="hurried", tools=str(tool.folder)))
    engine = home.engine()
    run_id = engine.start_job("nightly")
    tool.wait()
    # Another statement of the server takes as long as this one must not take. A shorter limit than two seconds would
    # bite those that come before it is taken off, where the machine is busy.
    mariadb.execute("SELECT SLEEP(2.2)")
    tool.open()
    snapshot = home.finish(engine, run_id)
    assert snapshot.status == "completed", snapshot.problem


@pytest.mark.parametrize("missing", [True, False])
def test_a_missing_or_old_tool_of_mariadb_leaves_other_jobs_alone(
    home: Home, mariadb: MariadbServer, missing: bool
) -> None:
    tools, other = home.folder / "tools", home.folder / "other.db"
    tools.mkdir()
    if not missing:
        write_fake(tools, "mariadb-dump", "version:mariadb-dump from 5.5.68-MariaDB", real=shutil.which("true"))
    sqlite3.connect(other).execute("CREATE TABLE t (a)").connection.close()
    home.configure(
        mysql_table(mariadb, mariadb.create_database(), tools=str(tools)),
        more=f'[datasources.other]\ntype = "sqlite"\npath = {json.dumps(str(other))}\n'
        '[jobs.other]\ndatasource = "other"\nstorages = ["disk"]\n',
    )
    outcome = home.dgtui("--run-job", "nightly")
    assert outcome.exit_code == (2 if missing else 1), outcome
    assert "apt-get install mariadb-client" in outcome.errors
    assert (str(tools) if missing else "5.5.68") in outcome.errors
    assert list(home.storage().glob("*/*/manifest.json")) == []
    assert home.litter() == []
    assert home.dgtui("--run-job", "other").exit_code == 0
    home.configure(mysql_table(mariadb, mariadb.create_database()))
    whole_backup(home)
