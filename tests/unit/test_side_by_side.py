"""Calls to several storages at the same time."""

import threading

from dgtui.engine.errors import StorageError
from dgtui.engine.storages.deadline import side_by_side

_PATIENCE_SECONDS = 30


def test_the_calls_are_done_at_the_same_time() -> None:
    meeting = threading.Barrier(2, timeout=_PATIENCE_SECONDS)
    assert side_by_side({"disk": meeting.wait, "nas": meeting.wait}) == {}


def test_the_errors_come_by_name_and_keep_no_other_call_from_its_end() -> None:
    done: list[str] = []

    def fail() -> None:
        raise StorageError("full", subject="nas")

    errors = side_by_side({"nas": fail, "disk": lambda: done.append("disk")})
    assert {name: str(error) for name, error in errors.items()} == {"nas": "full"}
    assert done == ["disk"]


def test_a_single_call_is_done_by_whoever_asks() -> None:
    who: list[threading.Thread] = []
    assert side_by_side({"disk": lambda: who.append(threading.current_thread())}) == {}
    assert who == [threading.current_thread()]
    assert side_by_side({}) == {}
