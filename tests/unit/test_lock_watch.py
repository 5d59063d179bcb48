"""A wait for locks of others that is watched from beside."""

import contextlib
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, NoReturn, cast

import pymysql
import pytest

from dgtui.engine.datasources.lock_watch import LockWatch, Wait
from dgtui.engine.datasources.mysql_restore_watch import RestoreWatch
from dgtui.engine.errors import Cancelled
from dgtui.engine.reporting import SilentReporter


class _CancelledRun(SilentReporter):
    def cancelled(self) -> bool:
        return True


class _Watch(LockWatch[str]):
    """Sees a wait at once, and tells when it has ended the statement."""

    def __init__(self) -> None:
        super().__init__(_CancelledRun())
        self.interrupted = threading.Event()

    def _busy(self) -> bool:
        return True

    @contextlib.contextmanager
    def _side(self) -> Iterator[str | None]:
        yield "side"

    def _look(self, side: str) -> Wait | None:
        return Wait("a table", (), "held by somebody")

    def _interrupt(self, side: str) -> None:
        self.interrupted.set()


def test_what_was_done_in_the_moment_of_ending_it_is_not_called_cancelled() -> None:
    with _Watch() as watch:
        assert watch.interrupted.wait(30)


def test_a_statement_that_was_ended_for_a_cancelled_run_is_told_as_cancelled() -> None:
    with pytest.raises(Cancelled), _Watch() as watch:
        _end_badly(watch)


def _end_badly(watch: _Watch) -> None:
    assert watch.interrupted.wait(30)
    raise RuntimeError("canceling statement due to user request")


def test_nobody_looks_where_the_server_goes_in_the_moment_of_connecting() -> None:
    def gone() -> NoReturn:
        raise pymysql.err.OperationalError(2013, "Lost connection to server during query")

    closed = threading.Event()
    connection = SimpleNamespace(cursor=gone, close=closed.set)
    access = SimpleNamespace(connect=lambda _: connection, settings=SimpleNamespace(connect_timeout=1.0))
    watch = RestoreWatch(cast("Any", access), "shop", SilentReporter(), "claimed")
    with watch._side() as side:
        assert side is None
    assert closed.is_set()
