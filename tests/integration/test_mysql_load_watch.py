"""A client that replays a backup and gets on with nothing: ended after the job's time, unless the server is at work."""

import queue
import threading
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

from dgtui.engine.datasources import mysql_lockwatch
from dgtui.engine.datasources.loading import Selection
from dgtui.engine.datasources.mysql_connection import Access
from dgtui.engine.datasources.mysql_load import load_archive, replay_statements
from dgtui.engine.datasources.mysql_loadwatch import LoadWatch, _Look
from dgtui.engine.datasources.mysql_lockwatch import LockWatch
from dgtui.engine.datasources.mysql_script import Script
from dgtui.engine.datasources.side_watch import LOOKS
from dgtui.engine.errors import IdleTimeout, RestoreError
from dgtui.engine.model import RestoreType
from dgtui.engine.reporting import SilentReporter
from tests.support.cutting import Cut, cutting
from tests.support.homes import PATIENCE_SECONDS, Home
from tests.support.mariadb import MariadbServer, mysql_digest
from tests.support.round_trips import mysql_table

_SOON = 1.0
_OFTEN = 2 * LOOKS


class _Heard(SilentReporter):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, text: str, **_: str) -> None:
        self.lines.append(text)


def _replay(server: MariadbServer, database: str, text: bytes, *, patience: float = _SOON) -> list[str]:
    heard = _Heard()
    access = Access(server.settings(database), None, idle_timeout=patience)
    replay_statements(access, text, Script(database, Selection()), heard)
    return heard.lines


def _at_each(monkeypatch: pytest.MonkeyPatch, method: str) -> "queue.SimpleQueue[object]":
    """Gets what a method of the watch gives, each time it does."""
    real, given = getattr(LoadWatch, method), queue.SimpleQueue[object]()

    def call(watch: LoadWatch) -> object:
        found = real(watch)
        given.put(found)
        return found

    monkeypatch.setattr(LoadWatch, method, call)
    return given


@pytest.mark.parametrize("backup_type", ["full", "data_only"])
@pytest.mark.parametrize(("cut", "reason"), [("silent", "timed out"), ("forgotten", "the server waits for it too")])
def test_a_connection_that_is_lost_without_a_word_ends_the_restore(
    home: Home, mariadb: MariadbServer, cut: Cut, reason: str, backup_type: RestoreType
) -> None:
    """What is locked through it is free again where the server can be told."""
    name = mariadb.create_database()
    mariadb.execute("CREATE TABLE word (v TEXT)", "INSERT INTO word VALUES ('hush now')", database=name)
    with cutting(mariadb.port, (b"hush now",), cut, lambda: None) as proxy:
        home.configure(mysql_table(mariadb, name, port=proxy.port, tls="disable"))
        execution = home.back_up()
        assert execution.status == "completed", execution.problem
        # A server that answers may take its time; one that does not is soon given up.
        patience = 2 if cut == "silent" else 10
        source = mysql_table(mariadb, name, port=proxy.port, tls="disable", connect_timeout=patience)
        home.configure(source, job="idle_timeout = 2")
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


def test_a_server_at_work_is_waited_for(mariadb: MariadbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """As at the index of a large table, for which the client takes no data."""
    name = mariadb.create_database()
    mariadb.execute("CREATE TABLE t (id INT)", database=name)
    looks = _at_each(monkeypatch, "_look")
    with pymysql.connect(host="127.0.0.1", port=mariadb.port, user="root", database=name) as holder:
        holder.cursor().execute("SELECT GET_LOCK('work', 0)")

        def end_the_work() -> None:
            for _ in range(_OFTEN):
                looks.get(timeout=PATIENCE_SECONDS)
            holder.cursor().execute("SELECT RELEASE_LOCK('work')")

        ending = threading.Thread(target=end_the_work)
        ending.start()
        lines = _replay(mariadb, name, b"INSERT INTO t SELECT GET_LOCK('work', 600);\n")
        ending.join()
    assert [line for line in lines if "still at work: INSERT INTO t SELECT GET_LOCK('work', 600)" in line]
    assert mariadb.execute("SELECT COUNT(*) FROM t", database=name) == [(1,)]


def test_a_lock_of_somebody_else_is_not_waited_for_without_end(mariadb: MariadbServer) -> None:
    name = mariadb.create_database()
    mariadb.execute("CREATE TABLE t (id INT)", database=name)
    with pymysql.connect(host="127.0.0.1", port=mariadb.port, user="root", database=name) as holder:
        holder.cursor().execute("LOCK TABLES t WRITE")
        with pytest.raises(RestoreError, match=f"locked, perhaps by connection {holder.thread_id()} of root") as caught:
            _replay(mariadb, name, b"INSERT INTO t VALUES (1);\n", patience=0.4)
    assert "SHOW PROCESSLIST" in caught.value.hint


class _SlowArchive:
    """Its storage takes longer for a block than a client may stand still."""

    total_size_bytes = 1

    def __init__(self, looks: "queue.SimpleQueue[object]") -> None:
        self._looks = looks
        self.object_bytes = dict[str, int]()

    def blocks(self) -> Iterator[bytes]:
        yield b"INSERT INTO t VALUES (1);\n"
        for _ in range(_OFTEN):
            self._looks.get(timeout=PATIENCE_SECONDS)
        yield b"INSERT INTO t VALUES (2);\n"

    def as_file(self) -> Path:
        raise NotImplementedError


def test_a_dump_may_have_the_only_connection_of_its_user(
    mariadb: MariadbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who looks for its locks asks for another one later, and does without where there is none."""
    monkeypatch.setattr(mysql_lockwatch, "_LOOK_EVERY_SECONDS", PATIENCE_SECONDS)
    with cutting(mariadb.port, (), "down", lambda: None) as proxy:
        LockWatch(Access(mariadb.settings("mysql", port=proxy.port), None), 0, lambda _: None).end()
        assert proxy.connections == 0


def test_a_slow_storage_is_not_the_servers_fault(mariadb: MariadbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    name = mariadb.create_database()
    mariadb.execute("CREATE TABLE t (id INT)", database=name)
    access = Access(mariadb.settings(name), None, idle_timeout=_SOON)
    archive = _SlowArchive(_at_each(monkeypatch, "_progress"))
    outcome = load_archive(access, archive, Script(name, Selection()), SilentReporter())
    assert not outcome.errors
    assert mariadb.execute("SELECT id FROM t ORDER BY id", database=name) == [(1,), (2,)]


def test_a_time_in_which_we_were_stopped_ourselves_is_not_the_servers_fault(
    mariadb: MariadbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock went on, and once we go on too, the server is asked before the client had its turn again."""
    name = mariadb.create_database()
    mariadb.execute("CREATE TABLE t (id INT)", database=name)
    real, stopped = LoadWatch._look, iter(["once"])

    def look(watch: LoadWatch) -> _Look:
        if next(stopped, None) is None:
            return real(watch)
        mariadb.execute(f"SELECT SLEEP({2 * _SOON})")
        return _Look(error=IdleTimeout("it waits for us", subject=name))

    monkeypatch.setattr(LoadWatch, "_look", look)
    assert _replay(mariadb, name, f"INSERT INTO t SELECT SLEEP({4 * _SOON});\n".encode())
    assert mariadb.execute("SELECT COUNT(*) FROM t", database=name) == [(1,)]
