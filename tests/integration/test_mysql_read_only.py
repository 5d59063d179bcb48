"""A MariaDB that takes no writes, or none beside the database: nothing is harmed, and the way out is told."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dgtui.engine.datasources.loading import Selection
from dgtui.engine.errors import EXIT_DONE, EXIT_FAILED
from dgtui.engine.model import Execution
from tests.integration.test_faults_processes import worker_pid
from tests.support.homes import Home, wait_until
from tests.support.mariadb import MariadbServer, mysql_digest
from tests.support.round_trips import mysql_table, restored, whole_backup

_HINT = "name the primary as `host`"


@contextmanager
def _shop(home: Home, server: MariadbServer, rights: str) -> Iterator[Execution]:
    """A backup of the database `shop`, made by a user with all rights on what the pattern matches."""
    server.create_database("shop")
    try:
        server.execute("CREATE TABLE t (i INT PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)", database="shop")
        server.execute("CREATE USER plain@'%'", f"GRANT ALL ON `{rights}`.* TO plain@'%'")
        home.configure(mysql_table(server, "shop", username="plain"))
        yield whole_backup(home)
    finally:
        server.execute("DROP USER plain@'%'")
        for name in server.databases():
            if name.startswith("shop"):
                server.drop_database(name)


@contextmanager
def _read_only(server: MariadbServer) -> Iterator[None]:
    server.execute("SET GLOBAL read_only = 1")
    try:
        yield
    finally:
        server.execute("SET GLOBAL read_only = 0")


@pytest.mark.parametrize(
    "way",
    [
        ("--overwrite",),
        ("--overwrite", "--in-place"),
        ("--overwrite", "--data-only"),
        ("--overwrite", "--table", "t"),
        ("--table", "t", "--as", "u"),
        ("--into", "shop_2"),
        ("--into", "shop_2", "--dry-run"),
    ],
)
def test_no_restore_is_begun(home: Home, mariadb: MariadbServer, way: tuple[str, ...]) -> None:
    with _shop(home, mariadb, "shop%") as execution:
        before = mysql_digest(mariadb, "shop")
        with _read_only(mariadb):
            refused = home.dgtui("restore", execution.execution_id, "--yes", *way)
            assert refused.exit_code == EXIT_FAILED, refused
            assert "is read-only (read_only); nothing was changed" in refused.errors + refused.output
            assert _HINT in refused.errors + refused.output
        assert mysql_digest(mariadb, "shop") == before
        assert mariadb.databases() == {"shop"}
        assert [one for one in home.engine().restores() if one.placing is not None or one.safety_execution_id] == []
        assert "behind" not in home.dgtui("check").output


def test_who_may_write_all_the_same_restores(home: Home, mariadb: MariadbServer) -> None:
    with _shop(home, mariadb, "shop%") as execution, _read_only(mariadb):
        mariadb.execute("GRANT READ_ONLY ADMIN ON *.* TO plain@'%'")
        restored(home, execution, overwrite=True)


def test_an_undo_and_a_rehearsal_leave_all_as_it_is(home: Home, mariadb: MariadbServer) -> None:
    with _shop(home, mariadb, "shop%") as execution:
        mariadb.execute("DELETE FROM shop.t")
        restore = restored(home, execution, overwrite=True)
        before = mariadb.databases()
        with _read_only(mariadb):
            for command in (("undo", restore.restore_id, "--yes"), ("rehearse", execution.execution_id)):
                failed = home.dgtui(*command)
                assert (failed.exit_code, _HINT in failed.errors) == (EXIT_FAILED, True), failed
                assert mariadb.databases() == before
        assert mariadb.execute("SELECT COUNT(*) FROM shop.t") == [(2,)]
        undone = home.dgtui("undo", restore.restore_id, "--yes")
        assert undone.exit_code == EXIT_DONE, undone
        assert mariadb.execute("SELECT COUNT(*) FROM shop.t") == [(0,)]


def test_what_was_never_made_is_not_left_behind(home: Home, mariadb: MariadbServer) -> None:
    """Who may write all the same depends on the version of the server, so that SUPER may be refused only later."""
    with _shop(home, mariadb, "shop%") as execution:
        mariadb.execute("GRANT SUPER ON *.* TO plain@'%'")
        with _read_only(mariadb):
            failed = home.dgtui("restore", execution.execution_id, "--overwrite", "--yes")
        if failed.exit_code == EXIT_DONE:
            pytest.skip("this server lets SUPER write")
        assert _HINT in failed.errors
        assert "shop is as it was" in failed.errors
        assert "shop__dgtui_new" not in failed.errors.partition("making the target")[2], failed
        assert home.engine().restores()[0].placing is None
        assert "behind" not in home.dgtui("check").output


def test_rows_alone_go_in_where_nothing_may_be_made_beside(home: Home, mariadb: MariadbServer) -> None:
    """What could not be made is not missed afterwards, and a failure is told as what it is, and blocks nothing."""
    with _shop(home, mariadb, "shop") as execution:
        rows = ("restore", execution.execution_id, "--data-only", "--overwrite", "--yes")
        done = home.dgtui(*rows)
        assert done.exit_code == EXIT_DONE
        assert "what had to be done after that" not in done.errors, done
        mariadb.execute("DELETE FROM t", "INSERT INTO t VALUES (7)", "ALTER TABLE t ADD j INT", database="shop")
        for _ in range(2):
            failed = home.dgtui(*rows)
            assert failed.exit_code == EXIT_FAILED
            assert "Column count doesn't match" in failed.errors, failed
            assert "has other columns than the one of the backup" in failed.errors
            assert "shop is as it was" in failed.errors
            assert mariadb.execute("SELECT i FROM shop.t") == [(7,)]
        assert [one.placing for one in home.engine().restores()] == [None] * 3
        assert "behind" not in home.dgtui("check").output


def test_what_nobody_can_tell_any_more_is_let_go_once_somebody_looked(home: Home, mariadb: MariadbServer) -> None:
    """The worker is killed while it loads rows, and nothing beside the database could have told how that ended."""
    with _shop(home, mariadb, "shop") as execution:
        engine = home.engine()
        with mariadb.connect("shop", autocommit=False) as holder, holder.cursor() as cursor:
            cursor.execute("SELECT * FROM t FOR UPDATE")
            run_id = engine.start_restore(execution, overwrite=True, selection=Selection(backup_type="data_only"))
            emptying = "SELECT 1 FROM information_schema.PROCESSLIST WHERE INFO LIKE 'DELETE FROM `t`%'"
            wait_until(lambda: bool(mariadb.execute(emptying)), "the emptying of the table")
            os.kill(worker_pid(engine, run_id), signal.SIGKILL)
        home.finish(engine, run_id)
        blocked = home.dgtui("restore", execution.execution_id, "--data-only", "--overwrite", "--yes")
        assert blocked.exit_code == EXIT_FAILED
        assert f"Where that was done, say so with: dgtui cleanup-restore {run_id[:8]}" in blocked.errors, blocked
        saved = engine.restore(run_id).safety_execution_id
        assert saved is not None
        let_go = home.dgtui("cleanup-restore", run_id, "--yes")
        assert let_go.exit_code == EXIT_DONE, let_go
        command = f"dgtui restore {saved[:8]} --into shop --data-only --overwrite"
        assert command in let_go.errors
        again = home.dgtui(*command.split()[1:], "--yes")
        assert again.exit_code == EXIT_DONE, again
        assert mariadb.execute("SELECT COUNT(*) FROM shop.t") == [(2,)]
