"""A thread with a short queue of work, so that what may block never blocks the one who hands out the work."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable

from dgtui.engine.errors import Cancelled
from dgtui.engine.threads import Thread

Work = Callable[[], object]

_LOOK_AROUND_SECONDS = 0.2
"""How soon somebody who waits notices that everything was cancelled."""
_STOP_SECONDS = 1.0


class Stalled(Exception):
    """A lane has not finished any work for the longest time that was allowed."""


class Lane:
    """Does the work it is given, in order, in a thread of its own; stops at the first error.

    The thread is a daemon: work that hangs in the system (a dead network drive) can only be left behind.
    """

    def __init__(self, name: str, *, depth: int, idle_timeout: float, cancelled: threading.Event) -> None:
        """`depth` is how much work may wait, `idle_timeout` how many seconds a piece of it may take."""
        self._queue: queue.Queue[Work | None] = queue.Queue(depth)
        self._idle_timeout = idle_timeout
        self._cancelled = cancelled
        self._submitted = 0
        self._done = 0
        self._error: BaseException | None = None
        self._stopping = False
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Work) -> None:
        """Hand out a piece of work, waiting for room. Raises the error of earlier work, Stalled and Cancelled."""
        self._put(work)
        self._submitted += 1

    @property
    def is_idle(self) -> bool:
        """Whether all work that was handed out is done."""
        return self._done == self._submitted

    def finish(self) -> None:
        """Wait for all work. Raises as `submit` does."""
        self._put(None)
        self._wait(self._ended_within)
        self._raise_error()

    def stop(self) -> None:
        """Forget the work that waits, and end the thread where it does not hang; never raises."""
        self._stopping = True
        self._forget()
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(None)
        self._thread.join(_STOP_SECONDS)

    def _put(self, work: Work | None) -> None:
        self._raise_error()
        try:
            self._queue.put_nowait(work)
        except queue.Full:
            self._wait(lambda seconds: self._put_within(work, seconds))
        self._raise_error()

    def _ended_within(self, seconds: float) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _put_within(self, work: Work | None, seconds: float) -> bool:
        try:
            self._queue.put(work, timeout=seconds)
        except queue.Full:
            return False
        return True

    def _wait(self, arrived: Callable[[float], bool]) -> None:
        done, deadline = self._done, time.monotonic() + self._idle_timeout
        while not arrived(min(_LOOK_AROUND_SECONDS, self._idle_timeout)):
            if self._cancelled.is_set():
                raise Cancelled("Cancelled", hint="Nothing was kept; start it again when it suits")
            if self._done != done:
                done, deadline = self._done, time.monotonic() + self._idle_timeout
            elif time.monotonic() > deadline:
                raise Stalled

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (work := self._queue.get()) is not None and not self._stopping:
            try:
                work()
            except BaseException as error:  # noqa: BLE001  # raised again where the work is handed out
                self._error = error
                self._forget()
                return
            self._done += 1

    def _forget(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._queue.get_nowait()
