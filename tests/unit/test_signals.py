"""Signals that come at the worst moment: in the midst of the handler of another one."""

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from dgtui.engine.cancellation import Cancellation
from dgtui.engine.errors import Cancelled, DataGuardianError, StorageError
from dgtui.engine.memory import out_of_memory
from dgtui.screens.hanging_up import HangUp

_NUMBERS = (signal.SIGALRM, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


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
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number, handler in former.items():
        signal.signal(number, handler)


@pytest.fixture
def cancellation() -> Cancellation:
    """One that listens, of a run that is under way."""
    made = Cancellation()
    made.install()
    made.begin()
    return made


def test_a_cancelling_waits_until_the_run_can_record_its_end() -> None:
    cancellation = Cancellation()
    cancellation.install()
    signal.raise_signal(signal.SIGTERM)
    with pytest.raises(Cancelled):
        cancellation.begin()


def test_a_second_signal_within_the_first_cancels_once(cancellation: Cancellation) -> None:
    cancellation.event = Interrupted(lambda: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(Cancelled) as raised:
        signal.raise_signal(signal.SIGTERM)
    assert cancellation.event.is_set()
    cancellation.check()
    assert raised.value.message == "Cancelled"


def lost_as_a_trouble_to_go_on_from() -> None:
    """As by a step that may fail."""
    with contextlib.suppress(DataGuardianError):
        signal.raise_signal(signal.SIGTERM)


def lost_in_a_finalizer() -> None:
    """Python only prints what is raised there."""

    class Closing:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    Closing()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("lose", [lost_as_a_trouble_to_go_on_from, lost_in_a_finalizer])
def test_a_lost_cancelling_comes_again_by_itself(
    cancellation: Cancellation, lose: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.unraisablehook", lambda _: None)
    # On a busy machine it comes again before the next line.
    with pytest.raises(Cancelled):
        come_again(lose)


def come_again(lose: Callable[[], None]) -> None:
    """Lose a cancelling, and wait for it."""
    lose()
    signal.pause()


def test_a_cancelling_that_came_behind_a_shield_comes_by_itself(cancellation: Cancellation) -> None:
    def lost_behind_a_shield() -> None:
        with cancellation.shield():
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGALRM)

    with pytest.raises(Cancelled):
        come_again(lost_behind_a_shield)


def test_a_cancelling_disturbs_no_clean_up_after_it(cancellation: Cancellation) -> None:
    cleaned = []

    def work() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGALRM)
            cleaned.append("finally")

    try:
        work()
    except Cancelled as error:
        signal.raise_signal(signal.SIGALRM)
        kept: DataGuardianError = error
    signal.raise_signal(signal.SIGALRM)
    cleaned.append("kept for later")
    with pytest.raises(Cancelled):
        raise kept
    assert cleaned == ["finally", "kept for later"]


def test_a_cancelling_that_a_thread_noticed_is_not_raised_twice(
    cancellation: Cancellation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dgtui.engine.cancellation._AGAIN_SECONDS", 3600)
    with cancellation.shield():
        signal.raise_signal(signal.SIGTERM)
    try:
        try:
            raise Cancelled("Cancelled", subject="the lane of a storage")
        except Cancelled as error:
            raise StorageError("No more of it") from error
    except StorageError:
        signal.raise_signal(signal.SIGALRM)


def test_a_run_that_has_ended_is_not_cancelled(cancellation: Cancellation) -> None:
    cancellation.end()
    signal.raise_signal(signal.SIGTERM)
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    cancellation.check()


def test_a_signal_ends_a_wait(cancellation: Cancellation) -> None:
    signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGTERM))

    def wait() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        cancellation.wait(3600)

    with pytest.raises(Cancelled):
        wait()


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
