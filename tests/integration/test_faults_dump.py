"""The truth of the dump: what a dump tool does wrong never becomes a backup (reliability rows 2, 8, 9, 14 to 27)."""

import contextlib
from pathlib import Path

import pytest

from tests.support.gates import GatedTool
from tests.support.homes import wait_until
from tests.support.shops import PASSWORD, Shop


@pytest.mark.parametrize(
    "mode", ["empty", "cut0:1", "cut0:60%", "cut0:-1", "cut1:60%", "kill:10%", "kill:50%", "kill:90%"]
)
def test_a_dump_that_is_not_whole_is_no_backup(shop: Shop, mode: str) -> None:
    good = shop.home.back_up()
    shop.misbehave(mode)
    failed = shop.home.back_up()
    assert (failed.status, failed.folder, failed.copies) == ("failed", None, ())
    assert failed.problem is not None
    assert failed.problem.message
    assert failed.problem.hint
    assert len(shop.folders()) == 1
    shop.nothing_left()
    outcome = shop.home.dgtui("--run-job", "nightly")
    assert outcome.exit_code == 1
    assert "hint" in outcome.errors
    assert shop.home.dgtui("validate", good.execution_id).exit_code == 0
    shop.behave()
    assert shop.home.back_up().status == "completed"


def test_a_killed_tool_is_named_with_its_signal(shop: Shop) -> None:
    shop.misbehave("kill:50%")
    problem = shop.home.back_up().problem
    assert problem is not None
    assert "pg_dump" in problem.message
    assert "signal 9" in problem.message


def test_a_tool_that_hangs_is_ended_with_all_its_children(shop: Shop) -> None:
    shop.job = 'idle_timeout = "2 s"'
    shop.misbehave("hang:50%")
    failed = shop.home.back_up()
    assert failed.status == "failed"
    assert failed.problem is not None
    assert "No data for 2 s" in failed.problem.message
    wait_until(lambda: not _processes_with(str(shop.tools)), "the end of the tool and its grandchild")
    shop.nothing_left()


def _processes_with(text: str) -> list[str]:
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            command = process.joinpath("cmdline").read_text("utf-8", "replace")
            if text in command and "pytest" not in command:
                found.append(command)
    return found


def test_a_flood_on_stderr_neither_stops_the_backup_nor_fills_the_log(shop: Shop) -> None:
    shop.misbehave("flood")
    execution = shop.home.back_up()
    assert execution.status == "completed"
    assert (shop.home.state / "runs" / f"{execution.execution_id}.jsonl").stat().st_size < 16 << 20


def test_complaints_of_a_successful_tool_are_kept_as_warnings(shop: Shop) -> None:
    shop.misbehave("err0")
    execution = shop.home.back_up()
    assert execution.status == "completed"
    assert any("error:" in warning for warning in execution.warnings)
    shop.behave()
    shop.home.back_up()
    plain, marked = shop.home.dgtui("list").output.splitlines()[1:]
    count = len(execution.warnings)
    assert f"completed, {count} warning" in marked
    assert "completed" in plain
    assert "warning" not in plain


def test_no_secret_in_any_place(shop: Shop) -> None:
    with shop.server.connect() as connection:
        connection.execute(b"DROP ROLE IF EXISTS secretive")
        connection.execute(b"CREATE ROLE secretive SUPERUSER LOGIN")
    shop.home.folder.joinpath("password").write_text(PASSWORD)
    shop.home.folder.joinpath("password").chmod(0o600)
    shop.settings = 'password = { file = "password" }\n'
    shop.misbehave("leak1")
    outcome = shop.home.dgtui("--run-job", "nightly", "--json")
    assert outcome.exit_code == 1
    assert PASSWORD not in outcome.output + outcome.errors
    shop.nothing_left()


def test_no_tool_at_all(shop: Shop) -> None:
    shop.tools = shop.home.folder / "nothing"
    shop.tools.mkdir()
    shop.write()
    outcome = shop.home.dgtui("--run-job", "nightly")
    assert outcome.exit_code == 2
    assert "pg_dump" in outcome.errors
    assert str(shop.tools) in outcome.errors
    assert shop.folders() == []


def test_a_tool_older_than_the_server(shop: Shop) -> None:
    shop.misbehave("version:pg_dump (PostgreSQL) 9.6.1")
    outcome = shop.home.dgtui("--run-job", "nightly")
    assert outcome.exit_code == 1
    assert "9.6.1" in outcome.errors
    assert "postgresql-client" in outcome.errors
    shop.nothing_left()


def test_a_server_that_is_not_there(shop: Shop) -> None:
    shop.settings = 'host = "127.0.0.1"\npassword = "x"\n'
    shop.port = 1
    shop.write()
    outcome = shop.home.dgtui("--run-job", "nightly")
    assert outcome.exit_code == 1
    assert "127.0.0.1:1" in outcome.errors
    shop.nothing_left()


def test_a_right_on_one_table_is_missing(shop: Shop) -> None:
    with shop.server.connect(shop.database) as connection:
        connection.execute(b"DROP ROLE IF EXISTS reader")
        connection.execute(b"CREATE ROLE reader LOGIN")
        connection.execute(b"GRANT SELECT ON customers TO reader")
    shop.home.config_path.write_text(
        shop.home.config_path.read_text().replace('"postgres"\ndatabase', '"reader"\ndatabase')
    )
    outcome = shop.home.dgtui("--run-job", "nightly")
    assert outcome.exit_code == 1
    assert "orders" in outcome.errors
    assert "GRANT" in outcome.errors
    assert shop.folders() == []
    with shop.server.connect(shop.database) as connection:
        connection.execute(b"DROP OWNED BY reader; DROP ROLE reader")


def test_a_locked_table_is_named_with_who_holds_it(shop: Shop) -> None:
    shop.settings = 'lock_timeout = "1 s"\n'
    shop.write()
    with shop.server.connect(shop.database) as connection, connection.transaction():
        connection.execute(b"LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        failed = shop.home.back_up()
    assert failed.status == "failed"
    assert failed.problem is not None
    assert "orders" in failed.problem.message
    assert "locked" in failed.problem.message


def test_the_roles_statement_timeout_does_not_bite(shop: Shop, gate: GatedTool) -> None:
    """The rows stand still at the server for longer than its statements may take."""
    engine = shop.home.engine()
    with shop.server.connect() as connection:
        # Not too short for those that come before the limit is taken off, on a busy machine either.
        connection.execute(b"ALTER ROLE postgres SET statement_timeout = '2s'")
        connection.execute(b"SET statement_timeout = 0")
        try:
            run_id = engine.start_job("nightly")
            gate.wait()
            connection.execute(b"SELECT pg_sleep(2.2)")
            gate.open()
            assert shop.home.finish(engine, run_id).status == "completed"
        finally:
            connection.execute(b"ALTER ROLE postgres RESET statement_timeout")
