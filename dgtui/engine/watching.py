"""Watches every run of this machine, whoever started it, at little cost: for screens that sample twice a second."""

import contextlib
import time
from collections.abc import Callable

from dgtui.engine.messages import now
from dgtui.engine.model import Record
from dgtui.engine.run_follower import RunFollower, RunSnapshot
from dgtui.engine.runs import RunInfo, RunPaths

_SETTLING_SECONDS = 3.0


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
        self._look_until = 0.0
        self._known: set[str] = set()
        self._undecided: dict[str, float] = {}
        """When each was seen first of those that may begin, or never did."""
        self._followed: dict[str, tuple[RunInfo, RunFollower]] = {}
        self._made_at = now()

    def sample(self) -> tuple[WatchedRun, ...]:
        """All runs under way, and those that ended since the last call, this once, with their outcome."""
        self._find()
        for _, follower in self._followed.values():
            follower.poll()
        runs = tuple(
            WatchedRun(info=info, snapshot=follower.snapshot)
            for info, follower in self._followed.values()
            if not self._never_began(follower.snapshot)
        )
        for run_id in self._followed.keys() - {run.info.run_id for run in runs}:
            del self._followed[run_id]
        for run in runs:
            if run.snapshot.ended:
                del self._followed[run.info.run_id]
        return runs

    def _find(self) -> None:
        """Look for new runs, but only where a file was added: an old state folder holds thousands of ended ones."""
        moment = time.monotonic()
        changed_at = self._paths.runs.stat().st_mtime_ns
        first = self._folder_changed_at is None
        if changed_at != self._folder_changed_at:
            # The clock of a disk stands still for milliseconds or seconds: what is added meanwhile changes nothing.
            self._look_until = moment + _SETTLING_SECONDS
        elif moment > self._look_until and not self._undecided:
            return
        self._folder_changed_at = changed_at
        names = self._paths.with_locks()
        for run_id in sorted(names - self._known):
            if self._take_up(run_id, moment, first=first):
                self._undecided.pop(run_id, None)
                self._known.add(run_id)

    def _take_up(self, run_id: str, moment: float, *, first: bool) -> bool:
        """Follow a run that is under way or ended since this watches; False where that cannot be told yet."""
        alive = self._paths.is_alive(run_id)
        if first and not alive and not self._is_young(run_id):
            return True
        follower = RunFollower(self._paths, run_id)
        ended = not alive and _ended(follower)
        if first and ended and (follower.snapshot.ended_at or self._made_at) < self._made_at:
            return True
        info = self._describe(run_id)
        # Between the making of its file and the taking of its lock a run looks like one that died.
        settled = moment - self._undecided.setdefault(run_id, moment) >= _SETTLING_SECONDS
        if not settled and (info is None or not (alive or ended)):
            return False
        if info is not None and (alive or ended or self._was_started(run_id)):
            self._followed[run_id] = (info, follower)
        return True

    def _never_began(self, snapshot: RunSnapshot) -> bool:
        """Whether it was given up before it had a worker, of which whoever started it tells."""
        # Where nothing was said before its death, that is when it began too.
        said_nothing = snapshot.started_at == snapshot.ended_at
        return snapshot.died and said_nothing and not self._was_started(snapshot.run_id)

    def _was_started(self, run_id: str) -> bool:
        """Whether it had a worker, whose number stands in its lock file: one that never said a word is told of too."""
        with contextlib.suppress(FileNotFoundError):
            return self._paths.lock(run_id).stat().st_size > 0
        return False

    def _is_young(self, run_id: str) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return abs(time.time() - self._paths.lock(run_id).stat().st_mtime) < _SETTLING_SECONDS
        return False


def _ended(follower: RunFollower) -> bool:
    """Whether a run said its last message; a run too short to be seen alive is told of all the same."""
    follower.poll()
    return follower.snapshot.told_its_end
