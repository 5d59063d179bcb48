"""How a source answers the smallest question that can be put to it."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from dgtui.engine.errors import ServerTimeout
from dgtui.engine.model import Record
from dgtui.engine.threads import Timer

_FIGURE_SECONDS = 2.0


class HealthAnswer(Record, frozen=True):
    """What a source said of itself when it was asked whether it is well."""

    latency_seconds: float
    """Connecting and the smallest question, without the figures."""
    product: str = ""
    """Product and version as people say it."""
    version: str = ""
    uptime_seconds: int | None = None
    connection_count: int | None = None
    """Connections to it, besides ours."""
    size_bytes: int | None = None
    disk_free_bytes: int | None = None
    """Room on the disk where it lies, where that can be had."""
    disk_total_bytes: int | None = None


class TimeLimit:
    """The time a check, or a connection, may take; it cuts a connection off where nothing else ends a wait.

    A frozen server accepts connections and answers none of them, nor does any time limit of its own end a statement.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.fired = False
        self._started = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._started

    @property
    def left(self) -> float:
        """Seconds that are left, never less than a moment."""
        return max(0.05, self.seconds - self.elapsed)

    @property
    def for_figures(self) -> float:
        """Seconds that the figures beside the answer may take."""
        return min(_FIGURE_SECONDS, self.left)

    def cutting(self, cut: Callable[[], None]) -> "_Cutter":
        """For a block: call `cut` from another thread once the time is up."""
        return _Cutter(self, cut)

    def exceeded(self, server: str, setting: str = "check_timeout") -> ServerTimeout:
        """The error for a server that did not answer in the time that a setting gives."""
        return ServerTimeout(
            f"{server} does not answer: nothing within {self.seconds:g} s",
            subject=server,
            hint=f"Is it overloaded, frozen or behind a firewall? `{setting}` of the datasource waits longer",
        )


class _Cutter:
    def __init__(self, limit: TimeLimit, cut: Callable[[], None]) -> None:
        self._limit = limit
        self._cut = cut
        self._timer = Timer(limit.left, self._fire)
        self._timer.daemon = True

    def _fire(self) -> None:
        self._limit.fired = True
        self._cut()

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
