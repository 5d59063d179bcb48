"""Our own sessions that wait for a MariaDB: ended after the job's time where nothing comes, never while it works."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pymysql
import pytest

from dgtui.engine.datasources.mysql import MysqlDatasource
from dgtui.engine.datasources.mysql_connection import Access
from dgtui.engine.datasources.mysql_waiting import waiting_session
from dgtui.engine.errors import DatabaseConnectionError, DataGuardianError, IdleTimeout, ServerTimeout
from dgtui.engine.reporting import SilentReporter
from dgtui.engine.settings import Duration
from tests.support.cutting import Cut, cutting
from tests.support.homes import Home
from tests.support.mariadb import MariadbServer, mysql_digest
from tests.support.round_trips import mysql_table

_SOON = 0.6


@pytest.fixture
def freezable() -> Iterator[MariadbServer]:
    """A server of its own, which goes on after the test."""
    server = MariadbServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


def _swap(target: MysqlDatasource, name: str, _: Path) -> None:
    target.swap(f"{name}__new", name, f"{name}__old", SilentReporter())


def _count(target: MysqlDatasource, name: str, _: Path) -> None:
    target.inventory(name)


def _compare(target: MysqlDatasource, name: str, scratch: Path) -> None:
    target.content_checksums(name, ["word"], scratch)


def _drop(target: MysqlDatasource, name: str, _: Path) -> None:
    target.drop_target(f"{name}__new")


_DOINGS = (
    pytest.param(_swap, b"RENAME TABLE", id="swap"),
    pytest.param(_swap, b"DROP DATABASE", id="after the rename"),
    pytest.param(_count, b"COUNT(*)", id="count"),
    pytest.param(_compare, b"SQL_NO_CACHE", id="compare"),
    pytest.param(_drop, b"DROP DATABASE", id="drop"),
)


@pytest.mark.parametrize("cut", ["silent", "forgotten"])
@pytest.mark.parametrize(("doing", "word"), _DOINGS)
def test_nothing_is_waited_for_that_does_not_come(
    doing: Callable[[MysqlDatasource, str, Path], None],
    word: bytes,
    cut: Cut,
    mariadb: MariadbServer,
    tmp_path: Path,
) -> None:
    """Behind what forwards nothing any more; what our session has locked is free again where the server can be told."""
    name = mariadb.create_database()
    mariadb.create_database(f"{name}__new")
    for database in (name, f"{name}__new"):
        mariadb.execute("CREATE TABLE word (id INT)", "INSERT INTO word VALUES (1)", database=database)

    def hurry() -> None:
        # A server that answers may take its time; one that does not is soon given up.
        if cut == "silent":
            msgspec.structs.force_setattr(target.settings, "connect_timeout", Duration(1))

    with cutting(mariadb.port, (word,), cut, hurry) as proxy:
        target = mariadb.datasource(name, port=proxy.port, tls="disable")
        # The dump that is compared has to have begun by then.
        target.idle_timeout = 3.0 if doing is _compare else _SOON
        with pytest.raises(DatabaseConnectionError) as caught:
            doing(target, name, tmp_path)
        assert proxy.has_cut
        assert caught.value.hint
        if doing is _swap and cut == "forgotten":
            known = target.settle_swap("", f"{name}__new", name, f"{name}__old")
            assert known == ("old" if word == b"RENAME TABLE" else "new")
    mariadb.execute("SET lock_wait_timeout = 5", "ALTER TABLE word ADD COLUMN w INT", database=name)


def test_a_server_that_freezes_at_the_swap_leaves_a_restore_that_can_be_settled(
    home: Home, freezable: MariadbServer
) -> None:
    """It ends, says what to do, and the next start finds out which content is in place."""
    name = freezable.create_database()
    freezable.execute("CREATE TABLE word (v TEXT)", "INSERT INTO word VALUES ('one')", database=name)
    with cutting(freezable.port, (b"RENAME TABLE",), "terminated", freezable.freeze) as proxy:
        home.configure(mysql_table(freezable, name, port=proxy.port, tls="disable"))
        execution = home.back_up()
        assert execution.status == "completed", execution.problem
        source = mysql_table(freezable, name, port=proxy.port, tls="disable", connect_timeout=2)
        home.configure(source, job="idle_timeout = 2")
        backed_up = mysql_digest(freezable, name)
        freezable.execute("DELETE FROM word", database=name)
        before = mysql_digest(freezable, name)
        engine = home.engine()
        run_id = engine.start_restore(execution, overwrite=True, safety=False)
        snapshot = home.finish(engine, run_id)
        assert proxy.has_cut
        assert snapshot.status == "failed"
        assert snapshot.problem is not None
        assert "Nothing came from the server for 2 s" in snapshot.problem.message
        assert "cannot be told now" in snapshot.problem.message
        assert f"dgtui cleanup-restore {run_id[:8]}" in snapshot.problem.hint
        freezable.thaw()
        home.configure(mysql_table(freezable, name, port=proxy.port, tls="disable"))
        restore = home.engine().restore(run_id)
        assert restore.placing is None or restore.placing.mark is None
        assert mysql_digest(freezable, name) == (backed_up if restore.status == "completed" else before)


def test_a_server_at_work_is_waited_for(mariadb: MariadbServer) -> None:
    access = Access(mariadb.settings(mariadb.create_database()), None, idle_timeout=_SOON)
    with waiting_session(access) as session:
        assert session.value("SELECT SLEEP(2.5)") == 0


def test_what_we_do_ourselves_between_two_statements_is_not_the_servers_fault(mariadb: MariadbServer) -> None:
    access = Access(mariadb.settings(mariadb.create_database()), None, idle_timeout=_SOON)
    with waiting_session(access) as session:
        mariadb.execute("SELECT SLEEP(1.5)")
        assert session.value("SELECT 1") == 1


def test_a_lock_of_somebody_else_is_waited_for_as_long_as_the_datasource_says(mariadb: MariadbServer) -> None:
    """Not as long as the server would, which is a day, and not only as long as nothing may move."""
    name = mariadb.create_database()
    mariadb.execute("CREATE TABLE word (id INT)", database=name)
    target = mariadb.datasource(name, lock_timeout=2)
    target.idle_timeout = _SOON
    with pymysql.connect(host="127.0.0.1", port=mariadb.port, user="root", database=name) as holder:
        holder.cursor().execute("LOCK TABLES word WRITE")
        with pytest.raises(DataGuardianError, match="Lock wait timeout"):
            target.inventory(name)


def test_a_backup_does_not_take_a_locked_table_for_a_lost_connection(home: Home, mariadb: MariadbServer) -> None:
    name = mariadb.create_database()
    mariadb.execute("CREATE TABLE word (id INT)", "INSERT INTO word VALUES (1)", database=name)
    home.configure(mariadb.config(name) + "lock_timeout = 1\n")
    with pymysql.connect(host="127.0.0.1", port=mariadb.port, user="root", database=name) as holder:
        holder.cursor().execute("LOCK TABLES word WRITE")
        failed = home.dgtui("--run-job", "nightly")
        connection = holder.thread_id()
    assert "Lock wait timeout" in failed.errors, failed
    assert f"in use for more than 1 s, perhaps by connection {connection} of root (Sleep" in failed.errors, (
        failed.errors
    )


def test_a_session_that_somebody_ended_tells_so(mariadb: MariadbServer) -> None:
    access = Access(mariadb.settings(mariadb.create_database()), None, idle_timeout=_SOON)
    with pytest.raises(DatabaseConnectionError) as caught:
        _be_ended(mariadb, access)
    assert not isinstance(caught.value, IdleTimeout | ServerTimeout)


def _be_ended(server: MariadbServer, access: Access) -> None:
    with waiting_session(access) as session:
        server.execute(f"KILL {session.value('SELECT CONNECTION_ID()')}")
        session.value("SELECT 1")
