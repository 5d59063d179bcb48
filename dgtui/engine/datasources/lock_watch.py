"""Telling of a wait for locks of others while it lasts, and ending it where the run is cancelled."""

import contextlib
import time
from abc import abstractmethod
from typing import Generic, NamedTuple, TypeVar

from dgtui.engine.datasources.side_watch import SideWatch
from dgtui.engine.errors import Cancelled
from dgtui.engine.reporting import Reporter

_LOOK_EVERY_SECONDS = 1.0
_LOOK_AT_LAST_EVERY_SECONDS = 4.0
"""At a statement that takes long and waits for nothing."""
_LET_GO_SECONDS = 5.0
_Side = TypeVar("_Side")


class Wait(NamedTuple):
    """A wait for a lock."""

    lock: str
    """What is locked."""
    holders: tuple[object, ...]
    """What tells those who hold it from others."""
    told: str
    """Who they are, for people."""


class LockWatch(SideWatch, Generic[_Side]):
    """For a block that may wait for locks: says for whom it waits, and that it goes on.

    Where the run is cancelled meanwhile, the statement that waits is ended as if it had waited for too long, and the
    block ends with Cancelled, unless it was done all the same.
    """

    def __init__(self, reporter: Reporter) -> None:
        super().__init__("lock watch")
        self._reporter = reporter
        self._told: Wait | None = None
        self._since = 0.0

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._ended.set()
        # What comes next may need the other connection's place.
        self._thread.join(_LET_GO_SECONDS)
        if error is not None:
            super().__exit__(kind, error, trace)
            return
        # It may have been granted in the moment of ending it: what is done is not called cancelled.
        self._tell(None)

    @abstractmethod
    def _busy(self) -> bool:
        """Whether a statement is under way."""

    def _interruptible(self) -> bool:
        """Whether the statement may be ended: not once what was ordered is done."""
        return True

    @abstractmethod
    def _side(self) -> contextlib.AbstractContextManager[_Side | None]:
        """Another connection; None where there can be none."""

    @abstractmethod
    def _look(self, side: _Side) -> Wait | None:
        """For what is waited, and for whom; None where for nothing."""

    @abstractmethod
    def _interrupt(self, side: _Side) -> None:
        """End the statement that waits."""

    def _watch(self) -> None:
        pause = _LOOK_EVERY_SECONDS
        while not self._ended.wait(pause):
            if not self._busy():
                pause = _LOOK_EVERY_SECONDS
                continue
            # Open no longer than needed: connections may be few.
            with self._side() as side:
                waited = side is not None and self._seen_through(side)
            pause = _LOOK_EVERY_SECONDS if waited else min(pause * 2, _LOOK_AT_LAST_EVERY_SECONDS)

    def _seen_through(self, side: _Side) -> bool:
        """Look until nothing is waited for; whether something was."""
        waited = False
        while self._look_on(side):
            waited = True
            if self._ended.wait(_LOOK_EVERY_SECONDS):
                break
        return waited

    def _look_on(self, side: _Side) -> bool:
        wait = self._look(side)
        if self._ended.is_set():
            return False
        self._tell(wait)
        if wait is not None and self._interruptible() and self._reporter.cancelled():
            self._error = Cancelled("Cancelled")
            self._interrupt(side)
        return wait is not None

    def _tell(self, wait: Wait | None) -> None:
        before, self._told = self._told, wait
        if wait is not None:
            if before is None:
                self._since = time.monotonic()
            # What they do may change with each look.
            if before is None or before[:2] != wait[:2]:
                self._reporter.log(f"Waiting for a lock on {wait.lock}, {wait.told}", level="warning")
        elif before is not None:
            self._reporter.log(f"It goes on, after {time.monotonic() - self._since:.0f} s of waiting")
