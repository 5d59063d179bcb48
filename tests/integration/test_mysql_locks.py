"""A restore into a MariaDB database whose tables somebody else uses, while it is put in place."""

import os
import signal
from typing import Any

import pytest

from dgtui.engine.runs import RunPaths
from tests.integration.test_mysql_inside import OneDatabase
from tests.support.homes import Home, pid_of_worker
from tests.support.mariadb import MariadbServer, as_user
from tests.support.waiting import restored_while_waiting, texts

_TABLES = (
    "CREATE TABLE t (i INT PRIMARY KEY)",
    "INSERT INTO t VALUES (1)",
    "CREATE TABLE u (i INT)",
    "CREATE TABLE a (i INT)",
)
_VIEW = "CREATE VIEW v AS SELECT * FROM u"
_PART, _ROWS = ("--table", "t", "--table", "a"), ("--data-only",)


def _backed_up(home: Home, server: MariadbServer, user: str, *more: str) -> str:
    """A database of that user, backed up and changed since; its name."""
    if user == "root":
        name = server.create_database()
        server.execute(*_TABLES, *more, database=name)
    else:
        shop = OneDatabase(server)
        name = shop.name
        shop.run(*_TABLES, *more)
    # Longer than any test may take.
    home.configure(as_user(server.config(name), user) + "lock_timeout = 3600\n")
    assert home.back_up().status == "completed"
    server.execute("INSERT INTO t VALUES (2)", database=name)
    return name


def _content(server: MariadbServer, name: str) -> tuple[Any, ...]:
    return server.execute("SELECT i FROM t", database=name), server.execute("SHOW FULL TABLES", database=name)


@pytest.mark.parametrize(
    ("user", "what", "more"),
    [
        ("root", (), ()),
        ("root", (), (_VIEW,)),
        ("root", _PART, ()),
        ("root", _ROWS, ()),
        (OneDatabase.user, (), (_VIEW,)),
        (OneDatabase.user, _ROWS, ()),
    ],
    ids=["tables", "objects", "part", "rows", "inside", "rows-inside"],
)
def test_a_restore_that_waits_for_a_lock_says_so_and_can_be_cancelled(
    home: Home, mariadb: MariadbServer, user: str, what: tuple[str, ...], more: tuple[str, ...]
) -> None:
    """At once, as if it had waited for too long: nothing is changed, nothing left, and nobody waits for us."""
    name = _backed_up(home, mariadb, user, *more)
    databases, before = mariadb.databases(), _content(mariadb, name)
    # Who sees no transactions of others sees nothing of a wait for rows.
    mariadb.execute(f"GRANT PROCESS ON *.* TO {OneDatabase.user}@'%'") if user != "root" else None
    with mariadb.connect(name) as other, other.cursor() as cursor:
        for statement in ("BEGIN", "UPDATE t SET i = 3 WHERE i = 2"):
            cursor.execute(statement)
        messages = restored_while_waiting(home, *what, then=lambda _: signal.SIGINT)
        sessions = mariadb.execute("SELECT ID, STATE, INFO FROM information_schema.PROCESSLIST WHERE DB IS NOT NULL")
        assert [number for number, _, _ in sessions] == [other.thread_id()], sessions
        cursor.execute("ROLLBACK")
    told = [text for text in texts(messages) if text.startswith("Waiting")]
    lock = f"rows of {name}, held" if what == _ROWS else f"tables of {name}, perhaps held"
    assert len(told) == 1
    assert told[0].startswith(f"Waiting for a lock on {lock} by connection {other.thread_id()} of root (Sleep, in a")
    assert messages[-1]["status"] == "cancelled", messages[-1]
    assert f"{name} is as it was" in texts(messages)
    assert _content(mariadb, name) == before
    assert mariadb.databases() == databases
    assert home.litter() == []


def test_a_restore_of_rows_that_was_killed_while_it_waited_leaves_nobody_waiting(
    home: Home, mariadb: MariadbServer
) -> None:
    """The server goes on with the statement of a client that is gone; whoever settles the restore ends it."""
    name = _backed_up(home, mariadb, "root")
    databases, before = mariadb.databases(), _content(mariadb, name)
    runs: list[str] = []

    def kill(_: str) -> None:
        paths = RunPaths(home.state)
        runs.extend(paths.living())
        os.kill(pid_of_worker(paths, runs[0]), signal.SIGKILL)

    with mariadb.connect(name) as other, other.cursor() as cursor:
        for statement in ("BEGIN", "UPDATE t SET i = 3 WHERE i = 2"):
            cursor.execute(statement)
        restored_while_waiting(home, *_ROWS, then=kill)
        settled = home.dgtui("cleanup-restore", runs[0], "--yes")
        assert settled.exit_code == 0, settled
        sessions = mariadb.execute("SELECT ID, STATE, INFO FROM information_schema.PROCESSLIST WHERE DB IS NOT NULL")
        assert [number for number, _, _ in sessions] == [other.thread_id()], sessions
        cursor.execute("ROLLBACK")
    assert (mariadb.databases(), _content(mariadb, name)) == (databases, before)


def test_rows_wait_as_long_as_the_datasource_says(home: Home, mariadb: MariadbServer) -> None:
    name = _backed_up(home, mariadb, "root")
    home.configure(mariadb.config(name) + "lock_timeout = 1\n")
    with mariadb.connect(name) as other, other.cursor() as cursor:
        for statement in ("BEGIN", "UPDATE t SET i = 3 WHERE i = 2"):
            cursor.execute(statement)
        failed = home.dgtui("restore", "nightly@latest", *_ROWS, "--overwrite", "--yes")
    assert failed.exit_code == 1, failed
    assert f"in use for more than 1 s, perhaps by connection {other.thread_id()} of root" in failed.errors
    assert _content(mariadb, name)[0] == [(1,), (2,)]


@pytest.mark.parametrize("what", [(), _ROWS])
def test_a_restore_says_when_it_goes_on_after_a_lock(home: Home, mariadb: MariadbServer, what: tuple[str, ...]) -> None:
    name = _backed_up(home, mariadb, "root")
    with mariadb.connect(name) as other, other.cursor() as cursor:
        for statement in ("BEGIN", "UPDATE t SET i = 3 WHERE i = 2"):
            cursor.execute(statement)
        messages = restored_while_waiting(home, *what, then=lambda _: other.commit())
    assert messages[-1]["status"] == "completed", messages[-1]
    _, goes_on = (text for text in texts(messages) if text.startswith(("Waiting", "It goes on")))
    assert goes_on.startswith("It goes on, after ")
    assert mariadb.execute("SELECT i FROM t", database=name) == [(1,)]
