"""Signals that come at the worst moment: in the midst of the handler of another one."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from dgtui.engine.cancellation import Cancellation
from dgtui.engine.errors import Cancelled
from dgtui.engine.memory import out_of_memory
from dgtui.screens.hanging_up import HangUp

_NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Interrupted(threading.Event):
    """An event during whose setting something happens."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    def set(self) -> None:
        """Set it, interrupted."""
        self._meanwhile()
        super().set()


@pytest.fixture(autouse=True)
def former_handlers() -> Iterator[None]:
    """Put back how this process takes signals."""
    former = {number: signal.getsignal(number) for number in _NUMBERS}
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


def test_a_second_signal_within_the_first_cancels_once() -> None:
    cancellation = Cancellation()
    cancellation.install()
    cancellation.event = Interrupted(lambda: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(Cancelled):
        signal.raise_signal(signal.SIGTERM)
    assert cancellation.event.is_set()
    cancellation.check()


def test_a_signal_ends_a_wait() -> None:
    cancellation = Cancellation()
    cancellation.install()
    former = signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGTERM))

    def wait() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        cancellation.wait(3600)

    try:
        with pytest.raises(Cancelled):
            wait()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)


async def test_a_second_signal_within_the_first_ends_the_screens_once() -> None:
    ended: list[int] = []
    hang_up = HangUp(asyncio.get_running_loop(), ended.append)
    hang_up._begun = Interrupted(lambda: signal.raise_signal(signal.SIGTERM))
    signal.signal(signal.SIGTERM, hang_up._take)
    signal.signal(signal.SIGHUP, hang_up._take)
    try:
        signal.raise_signal(signal.SIGHUP)
        await asyncio.sleep(0)
    finally:
        for thread in threading.enumerate():
            if isinstance(thread, threading.Timer):
                thread.cancel()
    assert ended == [128 + signal.SIGHUP]


async def test_a_signal_ends_the_screens_also_without_memory_for_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(_size: int) -> None:
        raise out_of_memory()

    monkeypatch.setattr("dgtui.engine.threads.need_room", no_room)
    ended: list[int] = []
    hang_up = HangUp(asyncio.get_running_loop(), ended.append)
    signal.signal(signal.SIGTERM, hang_up._take)
    signal.raise_signal(signal.SIGTERM)
    await asyncio.sleep(0)
    assert ended == [128 + signal.SIGTERM]
