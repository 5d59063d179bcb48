"""Work beside an operation: its end is waited for, and its error is not lost."""

import threading

import pytest

from dgtui.engine.beside import Beside
from dgtui.engine.errors import StorageError


def test_finish_waits_for_the_end_of_the_work() -> None:
    go_on, ended = threading.Event(), threading.Event()

    def work() -> None:
        go_on.wait(60)
        ended.set()

    beside = Beside(work)
    go_on.set()
    beside.finish()
    assert ended.is_set()


def test_the_error_of_the_work_is_raised_each_time_its_end_is_waited_for() -> None:
    def work() -> None:
        raise StorageError("gone", subject="disk")

    beside = Beside(work)
    beside.wait()
    for _ in range(2):
        with pytest.raises(StorageError, match="gone"):
            beside.finish()
