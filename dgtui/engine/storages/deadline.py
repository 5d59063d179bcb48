"""Calls that may never come back: a network mount whose server is gone blocks whoever touches it, signals or not."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import TypeVar

from dgtui.engine.errors import Cancelled, StorageError
from dgtui.engine.threads import Thread

ResultT = TypeVar("ResultT")
ItemT = TypeVar("ItemT")

_AHEAD = 4
"""How many items wait to be taken: reading goes on while the last ones are worked on."""
_LOOK_AROUND_SECONDS = 0.2
"""How soon somebody who waits notices that everything was cancelled."""
_LAST_SECONDS = 10.0
"""How long a call may still take once everything was cancelled."""
_STOP_SECONDS = 1.0
_thread = threading.local()
"""`waited_for` in a thread whose every step somebody waits for with a deadline."""


def with_deadline(
    function: Callable[[], ResultT], seconds: float, *, subject: str, cancelled: threading.Event | None = None
) -> ResultT:
    """The function's result or its error; raises StorageError where it takes longer than `seconds`.

    Once `cancelled` is set it has a few seconds left. A call that never ends keeps its thread, which does not keep the
    process from ending. As a part of `in_turn` it has no deadline of its own.
    """
    if getattr(_thread, "waited_for", False):
        return function()
    answers: queue.SimpleQueue[tuple[ResultT, None] | tuple[None, BaseException]] = queue.SimpleQueue()

    def call() -> None:
        try:
            answers.put((function(), None))
        except BaseException as error:  # noqa: BLE001  # it is raised again where somebody waits for it
            answers.put((None, error))

    begun = time.monotonic()
    Thread(target=call, name=f"look at {subject}", daemon=True).start()
    try:
        result, error = _next(answers, seconds, cancelled, _LAST_SECONDS)
    except queue.Empty:
        raise _no_answer(subject, min(seconds, round(time.monotonic() - begun, 1))) from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # without an error it is the function's result


def answers_within(
    items: Generator[ItemT, None, None], seconds: float, *, subject: str, cancelled: threading.Event | None = None
) -> Generator[ItemT, None, None]:
    """What a generator gives, which runs in a thread of its own and a little ahead.

    Raises what it raises, StorageError where something takes longer than `seconds`, and Cancelled.
    """
    answers: queue.SimpleQueue[tuple[ItemT, None] | tuple[None, BaseException] | None] = queue.SimpleQueue()
    room = threading.Semaphore(_AHEAD)
    stopped = threading.Event()

    def supply() -> None:
        try:
            with contextlib.closing(items):
                for item in items:
                    answers.put((item, None))
                    room.acquire()
                    if stopped.is_set():
                        return
            answers.put(None)
        except BaseException as error:  # noqa: BLE001  # it is raised again where somebody waits for it
            answers.put((None, error))

    thread = Thread(target=supply, name=f"read {subject}", daemon=True)
    thread.start()
    try:
        while (answer := _next(answers, seconds, cancelled, 0.0)) is not None:
            item, error = answer
            if error is not None:
                raise error
            yield item  # type: ignore[misc]  # without an error it is an item
            room.release()
    except queue.Empty:
        if cancelled is not None and cancelled.is_set():
            raise Cancelled("Cancelled", subject=subject) from None
        raise _no_answer(subject, seconds) from None
    finally:
        stopped.set()
        room.release()
        thread.join(_STOP_SECONDS)


def in_turn(items: Generator[ItemT, None, None], seconds: float, *, subject: str) -> Generator[ItemT, None, None]:
    """Like `answers_within`, of a generator that makes many calls `with_deadline`: each item has one for all of its."""

    def supply() -> Generator[ItemT, None, None]:
        _thread.waited_for = True
        yield from items

    return answers_within(supply(), seconds, subject=subject)


def side_by_side(calls: Mapping[str, Callable[[], object]]) -> dict[str, BaseException]:
    """Do all calls at the same time, each in a thread that bears its key; the errors of those that failed.

    It waits for all of them: each has to keep a deadline of its own.
    """
    if len(calls) == 1:
        [(name, call)] = calls.items()
        error = _error_of(call)
        return {} if error is None else {name: error}
    ends: queue.SimpleQueue[tuple[str, BaseException | None]] = queue.SimpleQueue()
    for name, call in calls.items():
        work = partial(_report_end, name, call, ends)
        Thread(target=work, name=f"check at {name}", daemon=True).start()
    ended = dict(ends.get() for _ in calls)
    return {name: error for name in calls if (error := ended[name]) is not None}


def _report_end(
    name: str, call: Callable[[], object], ends: "queue.SimpleQueue[tuple[str, BaseException | None]]"
) -> None:
    ends.put((name, _error_of(call)))


def _error_of(call: Callable[[], object]) -> BaseException | None:
    try:
        call()
    except BaseException as error:  # noqa: BLE001  # whoever waits for the call looks at it
        return error
    return None


AnswerT = TypeVar("AnswerT")


def _next(
    answers: "queue.SimpleQueue[AnswerT]", seconds: float, cancelled: threading.Event | None, grace: float
) -> AnswerT:
    """The next answer; raises queue.Empty where none comes in time, or within `grace` once everything was cancelled."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(queue.Empty):
            left = max(0.0, deadline - time.monotonic())
            return answers.get(timeout=left if cancelled is None else min(left, _LOOK_AROUND_SECONDS))
        if cancelled is not None and cancelled.is_set():
            deadline, cancelled = min(deadline, time.monotonic() + grace), None
        if time.monotonic() >= deadline:
            raise queue.Empty


def _no_answer(subject: str, seconds: float) -> StorageError:
    see = f" See: findmnt -T {subject}" if subject.startswith("/") else ""
    return StorageError(
        f"The storage does not answer: nothing from {subject} within {seconds:g} s",
        subject=subject,
        hint=f"Is the network mount's server gone, or the disk frozen?{see}",
    )
