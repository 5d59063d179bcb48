"""A client that replays a backup and gets on with nothing: ended after the job's time, unless the server is at work."""

from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

from dgtui.engine.datasources.loading import Selection
from dgtui.engine.datasources.mysql_connection import Access
from dgtui.engine.datasources.mysql_load import load_archive, replay_statements
from dgtui.engine.datasources.mysql_lockwatch import LockWatch
from dgtui.engine.datasources.mysql_script import Script
from dgtui.engine.errors import RestoreError
from dgtui.engine.model import RestoreType
from dgtui.engine.reporting import SilentReporter
from tests.support.cutting import Cut, cutting
from tests.support.homes import Home
from tests.support.mariadb import MariadbServer, mysql_digest
from tests.support.round_trips import mysql_table

_SOON = 0.4


class _Heard(SilentReporter):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, text: str, **_: str) -> None:
        self.lines.append(text)


def _replay(server: MariadbServer, database: str, text: bytes) -> list[str]:
    heard = _Heard()
    access = Access(server.settings(database), None, idle_timeout=_SOON)
    replay_statements(access, text, Script(database, Selection()), heard)
    return heard.lines


@pytest.mark.parametrize("backup_type", ["full", "data_only"])
@pytest.mark.parametrize(("cut", "reason"), [("silent", "timed out"), ("forgotten", "the server waits for it too")])
def test_a_connection_that_is_lost_without_a_word_ends_the_restore(
    home: Home, mariadb: MariadbServer, cut: Cut, reason: str, backup_type: RestoreType
) -> None:
    """What is locked through it is free again where the server can be told."""
    name = mariadb.create_database()
    mariadb.execute("CREATE TABLE word (v TEXT)", "INSERT INTO word VALUES ('hush now')", database=name)
    with cutting(mariadb.port, (b"hush now",), cut, lambda: None) as proxy:
        source = mysql_table(mariadb, name, port=proxy.port, tls="disable", connect_timeout=1)
        home.configure(source, job="idle_timeout = 2")
        execution = home.back_up()
        assert execution.status == "completed", execution.problem
        mariadb.execute("DELETE FROM word", database=name)
        before = mysql_digest(mariadb, name)
        engine = home.engine()
        snapshot = home.finish(
            engine,
            engine.start_restore(execution, selection=Selection(backup_type=backup_type), overwrite=True, safety=False),
        )
        assert proxy.has_cut
    assert snapshot.status == "failed"
    assert snapshot.problem is not None
    assert "Nothing moved for " in snapshot.problem.message
    assert reason in snapshot.problem.message
    assert snapshot.problem.hint
    assert mysql_digest(mariadb, name) == before
    mariadb.execute("SET lock_wait_timeout = 5", "ALTER TABLE word ADD COLUMN w INT", database=name)


def test_a_server_at_work_is_waited_for(mariadb: MariadbServer) -> None:
    """As at the index of a large table, for which the client takes no data."""
    name = mariadb.create_database()
    mariadb.execute("CREATE TABLE t (id INT)", database=name)
    lines = _replay(mariadb, name, b"INSERT INTO t SELECT SLEEP(3);\n")
    assert [line for line in lines if "still at work: INSERT INTO t SELECT SLEEP(3)" in line]
    assert mariadb.execute("SELECT COUNT(*) FROM t", database=name) == [(1,)]


def test_a_lock_of_somebody_else_is_not_waited_for_without_end(mariadb: MariadbServer) -> None:
    name = mariadb.create_database()
    mariadb.execute("CREATE TABLE t (id INT)", database=name)
    with pymysql.connect(host="127.0.0.1", port=mariadb.port, user="root", database=name) as holder:
        holder.cursor().execute("LOCK TABLES t WRITE")
        with pytest.raises(RestoreError, match=f"locked, perhaps by connection {holder.thread_id()} of root") as caught:
            _replay(mariadb, name, b"INSERT INTO t VALUES (1);\n")
    assert "SHOW PROCESSLIST" in caught.value.hint


class _SlowArchive:
    """Its storage takes longer for a block than a client may stand still."""

    total_size_bytes = 1

    def __init__(self, server: MariadbServer) -> None:
        self._server = server
        self.object_bytes = dict[str, int]()

    def blocks(self) -> Iterator[bytes]:
        yield b"INSERT INTO t VALUES (1);\n"
        self._server.execute("SELECT SLEEP(1.5)")
        yield b"INSERT INTO t VALUES (2);\n"

    def as_file(self) -> Path:
        raise NotImplementedError


def test_a_dump_may_have_the_only_connection_of_its_user(mariadb: MariadbServer) -> None:
    """Who looks for its locks asks for another one later, and does without where there is none."""
    name, before = mariadb.create_database(), mariadb.execute("SHOW GLOBAL STATUS LIKE 'Connections'")
    LockWatch(Access(mariadb.settings(name), None), 0, lambda _: None).end()
    [(_, first)], [(_, then)] = before, mariadb.execute("SHOW GLOBAL STATUS LIKE 'Connections'")
    assert int(then) == int(first) + 1, "our own second one"


def test_a_slow_storage_is_not_the_servers_fault(mariadb: MariadbServer) -> None:
    name = mariadb.create_database()
    mariadb.execute("CREATE TABLE t (id INT)", database=name)
    access = Access(mariadb.settings(name), None, idle_timeout=_SOON)
    outcome = load_archive(access, _SlowArchive(mariadb), Script(name, Selection()), SilentReporter())
    assert not outcome.errors
    assert mariadb.execute("SELECT id FROM t ORDER BY id", database=name) == [(1,), (2,)]
