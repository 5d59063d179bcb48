"""Cancelling a worker: a signal raises `Cancelled` in its main thread, except where it must not be disturbed.

Whoever cancels a run sends `CANCEL`. The signals that a machine sends which goes down, or a service manager, end a run
as well, but nobody wanted that: it is told as `Stopped`, and is news.
"""

import contextlib
import signal
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from types import FrameType

from dgtui.engine.errors import Cancelled, DataGuardianError, Stopped

CANCEL = signal.SIGUSR1
ENDING_SIGNALS = (CANCEL, signal.SIGTERM, signal.SIGINT)
"""What asks a worker to end."""
STOPPED_HINT = "Did the machine go down, or did somebody end the process? Nothing was kept"
"""What is told first of a run that nobody cancelled; then what to do about it."""
_AGAIN_SECONDS = 0.25


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Start a worker that gets no signal to end before it listens: it would die of it, and look like a crash."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


class Cancellation:
    """Whether somebody asked this process to stop; threads look at `event`, the main thread gets `Cancelled`.

    It gets it from `begin` on, and again where the first was lost: taken for a trouble that one goes on from, or raised
    where Python drops errors, as in a finalizer.
    """

    def __init__(self) -> None:
        self.event = threading.Event()
        self._first: int | None = None
        """The signal that came first."""
        self._shields = 1
        """How many pieces of work must not be disturbed now; the first lasts until `begin`."""
        self._raised: weakref.ref[Cancelled] | None = None
        self._ended = False

    def install(self) -> None:
        """Listen to CANCEL, SIGTERM and SIGINT; a closed terminal (SIGHUP) does not stop a worker."""
        for number in ENDING_SIGNALS:
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGALRM, lambda *_: self.check())
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS)

    def begin(self) -> None:
        """Raise `Cancelled` from now on, also for what came before: whoever calls can record that the run ended."""
        self._shields -= 1
        self.check()

    def check(self) -> None:
        """Raise Cancelled where somebody asked for it and it is not on its way already."""
        if self.event.is_set() and not self._shields and not self._ended and not self._on_its_way():
            cancelled = Cancelled("Cancelled", hint="Nothing was kept; start it again when it suits")
            self._raised = weakref.ref(cancelled)
            try:
                raise cancelled
            finally:
                # Else it would be held by this frame, which it holds itself, and never seem lost.
                del cancelled

    def _on_its_way(self) -> bool:
        """Whether an error that was raised for it still lives, or one that a thread raised is being handled."""
        if self._raised is not None and self._raised() is not None:
            return True
        error: BaseException | None = sys.exc_info()[1]
        while error is not None and not isinstance(error, Cancelled):
            error = error.__cause__ or error.__context__
        return error is not None

    def end(self) -> None:
        """Raise nothing any more: the run knows how it ended."""
        self._ended = True
        signal.setitimer(signal.ITIMER_REAL, 0)

    def explained(self, error: DataGuardianError) -> DataGuardianError:
        """The error that ended a run: `Stopped` in place of `Cancelled` where nobody asked for it."""
        if not isinstance(error, Cancelled) or self._first in (None, CANCEL):
            return error
        name = signal.Signals(self._first).name
        return Stopped(
            f"Stopped by signal {self._first} ({name})",
            subject=error.subject,
            hint=f"{STOPPED_HINT}; start it again",
        )

    def wait(self, seconds: float) -> None:
        """Let time pass in the main thread. Raises Cancelled."""
        # Not `event.wait`: a signal that comes while it holds the event's lock would wait for that lock for ever.
        self.check()
        time.sleep(seconds)

    @contextlib.contextmanager
    def shield(self) -> Iterator[None]:
        """Keep cancelling away from a short piece of work that must be whole: a commit, a clean-up, a swap."""
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1

    def too_late(self) -> None:
        """Keep cancelling away for good: what was ordered is done, and the rest is only tidying up."""
        self._shields += 1

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._first is None:
            self._first = number
            self.event.set()
            if not self._ended:
                signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS, _AGAIN_SECONDS)
            self.check()
