"""Telling of a wait for locks of others while it lasts, and ending it where the run is cancelled."""

import contextlib
import time
from abc import abstractmethod
from collections.abc import Iterator
from typing import Generic, TypeVar

from dgtui.engine.datasources.side_watch import SideWatch
from dgtui.engine.errors import Cancelled
from dgtui.engine.reporting import Reporter

_LOOK_EVERY_SECONDS = 1.0
_Side = TypeVar("_Side")


class LockWatch(SideWatch, Generic[_Side]):
    """For a block that may wait for locks: says for whom it waits, and that it goes on.

    Where the run is cancelled meanwhile, the statement that waits is ended as if it had waited for too long, and the
    block ends with Cancelled, unless it was done all the same.
    """

    interruptible = True
    """Whether that is done: not once what was ordered is done."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__("lock watch")
        self._reporter = reporter
        self._told = ""
        self._since = 0.0

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            super().__exit__(kind, error, trace)
            return
        # It may have been granted in the moment of ending it: what is done is not called cancelled.
        self._ended.set()
        self._tell("")

    @abstractmethod
    def _busy(self) -> bool:
        """Whether a statement is under way."""

    @abstractmethod
    def _side(self) -> contextlib.AbstractContextManager[_Side | None]:
        """Another connection; None where there can be none."""

    @abstractmethod
    def _look(self, side: _Side) -> str:
        """For what is waited, and for whom; empty where for nothing."""

    @abstractmethod
    def _interrupt(self, side: _Side) -> None:
        """End the statement that waits."""

    def _watch(self) -> None:
        for _ in self._busy_moments():
            with self._side() as side:
                if side is None:
                    return
                self._look_on(side)
                for _ in self._busy_moments():
                    self._look_on(side)
            return

    def _busy_moments(self) -> Iterator[None]:
        while not self._ended.wait(_LOOK_EVERY_SECONDS):
            if self._busy():
                yield
            else:
                self._tell("")

    def _look_on(self, side: _Side) -> None:
        waits = self._look(side)
        if self._ended.is_set():
            return
        self._tell(waits)
        if waits and self.interruptible and self._reporter.cancelled():
            self._error = Cancelled("Cancelled")
            self._interrupt(side)

    def _tell(self, waits: str) -> None:
        before, self._told = self._told, waits
        if waits and not before:
            self._since = time.monotonic()
        if waits and waits != before:
            self._reporter.log(f"Waiting for {waits}", level="warning")
        elif before and not waits:
            self._reporter.log(f"It goes on, after {time.monotonic() - self._since:.0f} s of waiting")
