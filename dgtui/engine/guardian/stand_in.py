"""Checking health while no daemon does: whoever has the program open stands in for it."""

import threading
from collections.abc import Callable
from datetime import datetime

from dgtui.engine.errors import JobBusy
from dgtui.engine.guardian.status import daemon_lock_path
from dgtui.engine.health import HealthWorker
from dgtui.engine.health.worker import Surroundings
from dgtui.engine.locks import Lock, lock_holder, take_lock
from dgtui.engine.messages import now
from dgtui.engine.runs import RunPaths

_LOOK_SECONDS = 5.0


class StandIn:
    """Checks what is due as long as no daemon runs, and nobody else stands in for it already: a lock tells."""

    def __init__(self, surroundings: Surroundings, paths: RunPaths, *, clock: Callable[[], datetime] = now) -> None:
        self._surroundings = surroundings
        self._paths = paths
        self._clock = clock
        self._lock: Lock | None = None
        self._worker: HealthWorker | None = None

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
