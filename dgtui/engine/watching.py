"""Watches every run of this machine, whoever started it, at little cost: for screens that sample twice a second."""

import contextlib
import time
from collections.abc import Callable

from dgtui.engine.messages import now
from dgtui.engine.model import Record
from dgtui.engine.run_follower import RunFollower, RunSnapshot
from dgtui.engine.runs import RunInfo, RunPaths

_YOUNG_SECONDS = 3.0


class WatchedRun(Record, frozen=True):
    """A run and how it stands."""

    info: RunInfo
    snapshot: RunSnapshot


class RunWatch:
    """Finds runs as they begin and follows them until their last message. One thread at a time calls it."""

    def __init__(self, paths: RunPaths, describe: Callable[[str], RunInfo | None]) -> None:
        """`describe` tells what a run was asked to do."""
        self._paths = paths
        self._describe = describe
        self._folder_changed_at: int | None = None
        self._known: set[str] = set()
        self._followed: dict[str, tuple[RunInfo, RunFollower]] = {}
        self._made_at = now()

    def sample(self) -> tuple[WatchedRun, ...]:
        """All runs under way, and those that ended since the last call, this once, with their outcome."""
        self._find()
        for _, follower in self._followed.values():
            follower.poll()
        runs = tuple(WatchedRun(info=info, snapshot=follower.snapshot) for info, follower in self._followed.values())
        for run in runs:
            if run.snapshot.ended:
                del self._followed[run.info.run_id]
        return runs

    def _find(self) -> None:
        """Look for new runs, but only where a file was added: an old state folder holds thousands of ended ones."""
        changed_at = self._paths.runs.stat().st_mtime_ns
        if changed_at == self._folder_changed_at:
            return
        first, self._folder_changed_at = self._folder_changed_at is None, changed_at
        names = {path.stem for path in self._paths.runs.glob("*.lock")}
        for run_id in sorted(names - self._known):
            alive, young = self._paths.is_alive(run_id), self._is_young(run_id)
            follower = RunFollower(self._paths, run_id)
            info = self._describe(run_id) if alive or young else None
            if info is not None and (alive or self._ended_meanwhile(follower, first=first)):
                self._followed[run_id] = (info, follower)
            elif young and not (first and _ended(follower)):
                # Between the making of its file and the taking of its lock a run looks like one that ended.
                self._folder_changed_at = -1
                continue
            self._known.add(run_id)

    def _ended_meanwhile(self, follower: RunFollower, *, first: bool) -> bool:
        """Whether a run ended since this watches; what is found at the first look may have ended long before."""
        return _ended(follower) and (not first or (follower.snapshot.ended_at or self._made_at) >= self._made_at)

    def _is_young(self, run_id: str) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return abs(time.time() - self._paths.lock(run_id).stat().st_mtime) < _YOUNG_SECONDS
        return False


def _ended(follower: RunFollower) -> bool:
    """Whether a run said its last message; a run too short to be seen alive is told of all the same."""
    follower.poll()
    return follower.snapshot.ended and not follower.snapshot.died
