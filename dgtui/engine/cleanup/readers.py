"""The backups that runs under way read: nothing of them is removed."""

import time

import msgspec

from dgtui.engine.file_errors import explained
from dgtui.engine.orders import decode_order
from dgtui.engine.run_follower import RunFollower
from dgtui.engine.runs import RunPaths

_YOUNG_SECONDS = 5.0
"""Between the making of its file and the taking of its lock a run looks like one that ended."""


class Readers:
    """Tells which executions are read, again and again at little cost: a state folder has thousands of ended runs."""

    def __init__(self, paths: RunPaths) -> None:
        self._paths = paths
        self._known: set[str] = set()
        self._reads: dict[str, tuple[str, RunFollower]] = {}
        """What each run reads that lives, or may be about to."""
        self._looked_at = 0
        self._changed_at = 0
        """When a file was added last, as it was seen then."""

    def executions(self) -> frozenset[str]:
        """The executions that are read now. Raises StorageError."""
        self._find()
        return frozenset(
            read
            for run_id, (read, follower) in self._reads.items()
            if self._paths.is_alive(run_id) and not _has_ended(follower)
        )

    def _find(self) -> None:
        """Look for new runs, but only where a file was added since, or perhaps at the very moment of the last look."""
        with explained(self._paths.runs, "look at"):
            changed_at = self._paths.runs.stat().st_mtime_ns
        # Where the clock was set back, what is new is dated before the last look: the moment has to be the same too.
        if changed_at == self._changed_at and changed_at + _YOUNG_SECONDS * 1e9 < self._looked_at:
            return
        first, self._looked_at, self._changed_at = not self._looked_at, time.time_ns(), changed_at
        for run_id in self._paths.with_locks() - self._known:
            self._known.add(run_id)
            if first and not self._paths.is_alive(run_id) and not self._is_young(run_id):
                continue
            if read := self._read_by(run_id):
                self._reads[run_id] = read, RunFollower(self._paths, run_id)

    def _is_young(self, run_id: str) -> bool:
        try:
            return abs(time.time() - self._paths.lock(run_id).stat().st_mtime) < _YOUNG_SECONDS
        except FileNotFoundError:
            return False

    def _read_by(self, run_id: str) -> str:
        try:
            order = decode_order(self._paths.request(run_id).read_bytes())
        except (OSError, msgspec.DecodeError):
            return ""
        return str(getattr(order, "execution_id", ""))


def _has_ended(follower: RunFollower) -> bool:
    """Whether a run said its last message: its worker tidies up then, but reads nothing any more."""
    if follower.has_news():
        follower.poll()
    return follower.snapshot.told_its_end
