"""What people are told of restores that did not go well: by commands, notifications, the audit log, the next start."""

import json
import shutil
import signal
from collections.abc import Callable

import pytest

from dgtui.config import load_config
from dgtui.engine import starting
from dgtui.engine.cancellation import CANCEL
from dgtui.engine.catalog.notifications import Notifications
from dgtui.engine.errors import EXIT_FAILED
from dgtui.engine.facade import Engine
from dgtui.engine.locks import take_lock
from dgtui.engine.notification_model import Actor
from dgtui.engine.restore_model import Restore
from dgtui.engine.restore_task import target_lock_name
from tests.integration.postgres_case import role
from tests.support.changing import Changing, changing
from tests.support.homes import Home, wait_until
from tests.support.postgres import PostgresServer
from tests.support.round_trips import digest_of, postgres_table
from tests.support.stopping import Stopping


def _over(source: Changing) -> Callable[[Engine], str]:
    return source.start


def _told(engine: Engine, restore: Restore) -> list[tuple[str, str]]:
    """Kinds and texts of the notifications about a restore, the newest first."""
    listed = Notifications(engine.catalog).listed()
    return [(one.kind, one.message) for one in listed if restore.restore_id in "".join(one.details[:1])]


def _written(engine: Engine, restore: Restore) -> list[tuple[str, str, str]]:
    """Who did what, and how it ended, as the audit log says it of a restore, the newest first."""
    entries = [one for one in engine.records.audit() if f"restore {restore.restore_id}" in one.details]
    return [(one.actor.user, one.action, one.outcome) for one in entries]


def test_what_is_not_known_yet_is_told_once_it_is(
    home: Home, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First that it is the one or the other, then which; both in the name of who ordered it."""
    stopping = Stopping(home, monkeypatch)
    monkeypatch.setattr(starting, "current_actor", lambda: Actor(user="alice"))
    with changing("sqlite", home, request) as source:
        stopping.at(0, _over(source))
        after_the_swap = stopping.first("phase record") - 1
        source.undo(home.engine().restores()[0])
        killed = stopping.at(after_the_swap, _over(source))
        assert (killed.status, killed.in_place, source.digest()) == ("running", False, source.backed_up)
        _not_known(home, killed)
        engine = home.engine()
        restore = engine.restore(killed.restore_id)
        assert (restore.status, restore.problem, restore.placing) == ("completed", None, None)
        assert any("holds the restored content" in sentence for sentence in engine.reconciled)
        assert [kind for kind, _ in _told(engine, restore)] == ["restore_completed", "restore_failed"]
        assert "it is known now" in _told(engine, restore)[0][1]
        assert _written(engine, restore) == [("alice", "restore", "completed"), ("alice", "restore", "interrupted")]
        assert home.engine().reconciled == ()
        assert len(_told(engine, restore)) == 2


def _not_known(home: Home, killed: Restore) -> None:
    """A start while somebody else is at the target."""
    datasource = load_config(home.config_path).datasource("shop")
    lock = home.state / "locks" / f"{target_lock_name(datasource, killed.target)}.lock"
    with take_lock(lock, purpose="a test"):
        engine = home.engine()
    restore = engine.restore(killed.restore_id)
    assert restore.status == "interrupted"
    assert restore.problem is not None
    assert "cannot be told now" in restore.problem.message
    assert any(f"dgtui cleanup-restore {killed.restore_id[:8]}" in sentence for sentence in engine.reconciled)
    assert [kind for kind, _ in _told(engine, restore)] == ["restore_failed"]
    assert not engine.undo_choice(restore).possible


def test_an_undo_is_called_so_and_a_cancel_is_no_news(
    home: Home, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the restore that it takes back, also where there is no backup of what comes back."""
    with changing("sqlite", home, request) as source:
        _, restore, _ = source.restore(safety=False)
        engine, undone, _ = source.undo(restore)
        place = f"in {restore.target} (shop)"
        undo = f"Undo of restore {restore.restore_id[:8]} {place}: completed"
        assert _told(engine, undone) == [("restore_completed", undo)]
        stopping = Stopping(home, monkeypatch, sent=CANCEL)
        cancelled = stopping.at(3, _over(source))
        engine = home.engine()
        assert (cancelled.status, _told(engine, cancelled)) == ("cancelled", [])
        assert [outcome for _, _, outcome in _written(engine, cancelled)] == ["cancelled"]
        follower = engine.follower(cancelled.restore_id)
        follower.poll()
        assert follower.snapshot.log[-1].text == f"{cancelled.target} is as it was"
        assert cancelled.problem is not None
        assert "kept" not in cancelled.problem.hint, "that is the former content"


def test_a_restore_that_a_signal_of_the_system_stopped_is_news(
    home: Home, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody wanted that, and nobody may be there to see it: the machine goes down."""
    with changing("sqlite", home, request) as source:
        stopped = Stopping(home, monkeypatch, sent=signal.SIGTERM).at(3, _over(source))
        assert stopped.status == "cancelled"
        ((kind, message),) = _told(home.engine(), stopped)
        assert (kind, "Stopped by signal 15 (SIGTERM)" in message) == ("restore_failed", True)


def _checked_shop(server: PostgresServer, database: str, home: Home, *, check: str) -> None:
    """A database of two tables, whose backup has a check that its rows meet only as long as they are there already."""
    define = "CREATE OR REPLACE FUNCTION fits(int) RETURNS bool LANGUAGE sql AS"
    for statement in (
        "CREATE TABLE a AS SELECT i FROM generate_series(1, 1000) i",
        f"{define} 'SELECT true'",
        "CREATE TABLE b (i int CHECK (fits(i)))",
        "INSERT INTO b VALUES (1)",
        f"{define} 'SELECT {check}'",
    ):
        server.execute(statement, database)
    home.configure(postgres_table(server, database))
    assert home.back_up().status == "completed"
    server.execute("DELETE FROM a WHERE i > 500", database)


def test_statements_that_fail_end_it_before_the_swap(home: Home, postgres_server: PostgresServer) -> None:
    """The target is as it was, the command fails, and which statements did is stored and told."""
    with postgres_server.database() as name:
        _checked_shop(postgres_server, name, home, check="false")
        before, databases = digest_of(postgres_server, name), postgres_server.databases()
        done = home.dgtui("restore", "nightly@latest", "--overwrite", "--yes")
        assert done.exit_code == EXIT_FAILED, done
        assert f"{name} is as it was" in done.errors
        assert "A check that calls a function which reads other tables fails too" in done.errors
        assert "a missing role" not in done.errors
        assert (digest_of(postgres_server, name), postgres_server.databases()) == (before, databases)
        engine = home.engine()
        restore = engine.restores()[0]
        assert (restore.status, restore.in_place, restore.placing) == ("failed", False, None)
        assert restore.report is not None
        assert restore.report.failure_count == 1
        assert "check constraint" in restore.report.failures[0].message
        outcomes = {entry.name: entry.outcome for entry in restore.report.objects}
        assert outcomes["public.a"] == "restored"
        assert outcomes["public.b"] != "restored"
        assert [kind for kind, _ in _told(engine, restore)] == ["restore_failed"]
        assert "check constraint" in home.dgtui("restores", restore.restore_id[:8]).output


def test_a_safety_backup_that_one_storage_lacks_is_told_at_the_end(home: Home, request: pytest.FixtureRequest) -> None:
    """By the command in its last lines, in its messages, and to whoever follows the run."""
    with changing("sqlite", home, request):
        shutil.rmtree(home.storage("nas"))
        home.storage("nas").write_text("no folder")
        order = ("restore", "nightly@latest", "--from", "disk", "--overwrite", "--yes")
        done = home.dgtui(*order)
        assert done.exit_code == 0, done
        engine = home.engine()
        restore = engine.restores()[0]
        lacking = f"The safety backup {(restore.safety_execution_id or '')[:8]} is not at nas: "
        assert f"warning: {lacking}" in done.errors
        follower = engine.follower(restore.restore_id)
        follower.poll()
        assert [warning.startswith(lacking) for warning in follower.snapshot.warnings] == [True]
        (warning,) = json.loads(home.dgtui(*order, "--json").output.splitlines()[-1])["warnings"]
        assert "is not at nas: " in warning


def test_a_server_killed_while_it_loads(home: Home, own_postgres_server: PostgresServer) -> None:
    """The target is as it was, which is said; what is left beside it is named then and at the next start, and goes."""
    server = own_postgres_server
    name = server.create_database()
    _checked_shop(server, name, home, check="pg_sleep(600) IS NOT NULL")
    before = digest_of(server, name)
    engine = home.engine()
    run_id = engine.start_restore(engine.executions(job="nightly")[0], overwrite=True, jobs=1)
    loading = f"SELECT 1 FROM pg_stat_activity WHERE datname = '{name}__dgtui_new' AND wait_event = 'PgSleep'"
    wait_until(lambda: bool(server.execute(loading)), "the loading of the second table")
    server.kill()
    problem = home.finish(engine, run_id).problem
    assert problem is not None
    assert f"{name} is as it was" in problem.message
    command = f"dgtui cleanup-restore {run_id[:8]}"
    assert command in problem.hint

    def started() -> bool:
        try:
            server.start()
        except RuntimeError:
            return False
        return True

    wait_until(started, "the start of the server")
    assert digest_of(server, name) == before
    for _ in range(2):
        assert any(command in sentence for sentence in home.engine().reconciled)
    assert home.dgtui(*command.split()[1:], "--yes").exit_code == 0
    assert not any("__dgtui" in other for other in server.databases())
    assert home.engine().reconciled == ()
    assert digest_of(server, name) == before


def _lose_nas(home: Home) -> None:
    """A safety backup goes to both storages of the job, of which one is not there any more."""
    shutil.rmtree(home.storage("nas"))


def _warned_of_nas(home: Home, engine: Engine, restore: Restore) -> None:
    assert restore.safety_execution_id is not None
    told = f"The safety backup {restore.safety_execution_id[:8]} is not at nas: "
    assert [warning.startswith(told) for warning in restore.warnings] == [True]
    listed = [one for one in Notifications(engine.catalog).listed() if restore.restore_id in one.details[0]]
    assert restore.warnings[0] in listed[0].details
    assert f"Warning: {told}" in home.dgtui("restores", restore.restore_id[:8]).output
    assert f"    warning: {told}" in home.dgtui("show", restore.execution_id).output


def test_a_safety_backup_that_a_storage_lacks_is_told_of_a_restore(home: Home, request: pytest.FixtureRequest) -> None:
    with changing("sqlite", home, request) as source:
        _lose_nas(home)
        engine, restore, snapshot = source.restore()
        assert restore.status == "completed"
        assert snapshot.warnings == restore.warnings
        _warned_of_nas(home, engine, restore)


def test_it_is_told_too_where_the_restore_fails_after_it(home: Home, postgres_server: PostgresServer) -> None:
    with role(postgres_server, "ends_none", "LOGIN CREATEDB") as owner, postgres_server.database() as name:
        postgres_server.execute(f"ALTER DATABASE {name} OWNER TO {owner}")
        postgres_server.execute(f"CREATE TABLE t (); ALTER TABLE t OWNER TO {owner}", name)
        home.configure(postgres_table(postgres_server, name, username=owner), storages=("disk", "nas"))
        execution = home.back_up()
        _lose_nas(home)
        with postgres_server.connect(name):
            failed = home.dgtui("restore", execution.execution_id, "--overwrite", "--yes")
        assert failed.exit_code == EXIT_FAILED
        assert "is not at nas" in failed.errors, failed
        engine = home.engine()
        restore = engine.restores()[0]
        assert restore.status == "failed"
        _warned_of_nas(home, engine, restore)
