"""Notices that the clock was set, or that the machine slept: whoever waits for a moment has to be woken then."""

import time
from collections.abc import Callable
from datetime import datetime

_TOLERANCE_SECONDS = 2.0


class ClockWatch:
    """Compares how far the clock went with how much time went by."""

    def __init__(self, clock: Callable[[], datetime], passed: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._passed = passed
        self._seen = self._ahead()

    def changed(self) -> bool:
        """Whether it leapt since the last call."""
        former, self._seen = self._seen, self._ahead()
        return abs(self._seen - former) > _TOLERANCE_SECONDS

    def _ahead(self) -> float:
        return self._clock().timestamp() - self._passed()
