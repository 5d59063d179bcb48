"""Checking health and recording dead runs while no daemon does: whoever has the program open stands in for it."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from dgtui.engine.errors import JobBusy
from dgtui.engine.guardian.status import daemon_lock_path
from dgtui.engine.health import HealthWorker
from dgtui.engine.health.worker import Surroundings
from dgtui.engine.locks import Lock, lock_holder, take_lock
from dgtui.engine.messages import now
from dgtui.engine.runs import RunPaths

_LOOK_SECONDS = 5.0
_SETTLE_EVERY = timedelta(minutes=1)


class StandIn:
    """Checks what is due as long as no daemon runs, and nobody else stands in for it already: a lock tells."""

    def __init__(
        self,
        surroundings: Surroundings,
        paths: RunPaths,
        *,
        settle: Callable[[], object] = lambda: None,
        clock: Callable[[], datetime] = now,
    ) -> None:
        """`settle` records what became of runs whose worker is gone; it was done once when the program began."""
        self._surroundings = surroundings
        self._paths = paths
        self._clock = clock
        self._lock: Lock | None = None
        self._worker: HealthWorker | None = None
        self._settle = settle
        self._settled_at: datetime | None = None

    def keep(self, stopping: threading.Event) -> None:
        """Go on until told to stop. Raises CatalogError, StorageError."""
        try:
            while not stopping.is_set():
                stopping.wait(self.step(stopping))
        finally:
            self.leave()

    def step(self, stopping: threading.Event) -> float:
        """Check what is due, where it is ours to do; seconds until the next look."""
        worker = self._working()
        if worker is None:
            return _LOOK_SECONDS
        worker.run(stopping)
        moment = self._clock()
        self._settled_at = self._settled_at or moment
        if abs(moment - self._settled_at) >= _SETTLE_EVERY:
            self._settled_at = moment
            self._settle()
        due = worker.next_due(moment)
        return min(max((due - moment).total_seconds(), 0.05), _LOOK_SECONDS) if due is not None else _LOOK_SECONDS

    def leave(self) -> None:
        """Let somebody else do it."""
        self._worker = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _working(self) -> HealthWorker | None:
        if lock_holder(daemon_lock_path(self._paths)) is not None:
            self.leave()
            return None
        if self._worker is None:
            try:
                self._lock = take_lock(self._paths.locks / "health.lock", purpose="health", patience_seconds=0)
            except JobBusy:
                return None
            # Made only now: it begins with what others have checked.
            self._worker = HealthWorker(self._surroundings, clock=self._clock)
        return self._worker
