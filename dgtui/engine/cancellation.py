"""Cancelling a worker: a signal raises `Cancelled` in its main thread, except where it must not be disturbed.

Whoever cancels a run sends `CANCEL`. The signals that a machine sends which goes down, or a service manager, end a run
as well, but nobody wanted that: it is told as `Stopped`, and is news.
"""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

from dgtui.engine.errors import Cancelled, DataGuardianError, Stopped

CANCEL = signal.SIGUSR1
STOPPED_HINT = "Did the machine go down, or did somebody end the process? Nothing was kept"
"""What is told first of a run that nobody cancelled; then what to do about it."""


class Cancellation:
    """Whether somebody asked this process to stop; threads look at `event`, the main thread gets `Cancelled`."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self._first: int | None = None
        """The signal that came first."""
        self._shields = 0
        self._raised = False

    def install(self) -> None:
        """Listen to CANCEL, SIGTERM and SIGINT; a closed terminal (SIGHUP) does not stop a worker."""
        for number in (CANCEL, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def check(self) -> None:
        """Raise Cancelled where somebody asked for it while a shield was up."""
        if self.event.is_set() and not self._shields and not self._raised:
            self._raised = True
            raise Cancelled("Cancelled", hint="Nothing was kept; start it again when it suits")

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
            self.check()
