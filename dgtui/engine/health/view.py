"""How everything stands, for commands and screens."""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from dgtui.engine.catalog.database import is_without_room
from dgtui.engine.catalog.health import HealthRecords
from dgtui.engine.health.agenda import watched_of
from dgtui.engine.health.last_run import with_last_run
from dgtui.engine.health.worker import HealthWorker, Surroundings
from dgtui.engine.health_age import is_outdated, state_at
from dgtui.engine.health_model import HealthCheck, HealthState, Watched, WatchedKind
from dgtui.engine.messages import now

Series = tuple[float | None, ...]
"""Latencies in equal pieces of time, the oldest first: the longest of each; None where nothing answered."""


class Health:
    """The states, the history and the latencies of what is configured."""

    def __init__(self, surroundings: Surroundings, *, clock: Callable[[], datetime] = now) -> None:
        self._surroundings = surroundings
        self._clock = clock
        self._records = HealthRecords(surroundings.catalog)

    def watched(self, kind: WatchedKind | None = None) -> list[Watched]:
        """What is configured and switched on, in the order of the configuration."""
        return [one for one in watched_of(self._surroundings.config) if kind in (None, one.kind)]

    def states(self, kind: WatchedKind | None = None) -> dict[Watched, HealthState]:
        """How all of it stands; what was never checked, or not for longer than it should be, is `unknown`."""
        known, moment, config = self._records.states(kind), self._clock(), self._surroundings.config
        place = self._surroundings.catalog.path
        full = place.parent if is_without_room(place) else None
        states = (known.get(one, HealthState(subject=one)) for one in self.watched(kind))
        return self._after_last_runs({one.subject: state_at(config, one, moment, full=full) for one in states})

    def _after_last_runs(self, states: dict[Watched, HealthState]) -> dict[Watched, HealthState]:
        jobs = [one.name for one in states if one.kind == "job"]
        last = self._surroundings.catalog.last_runs_gone_wrong(jobs) if jobs else {}
        told = {one: with_last_run(states[one], last.get(one.name)) for one in states if one.kind == "job"}
        return {**states, **told}

    def history(
        self, subject: Watched | None = None, *, kind: WatchedKind | None = None, limit: int | None = None
    ) -> list[HealthCheck]:
        """Checks, the newest first; also of what is not configured any more."""
        return self._records.history(subject, kind=kind, limit=limit)

    def latencies(
        self,
        kind: WatchedKind = "datasource",
        *,
        name: str | None = None,
        span: timedelta = timedelta(hours=24),
        pieces: int = 24,
    ) -> dict[str, Series]:
        """For each name, or only for one, its latencies up to now."""
        end = self._clock()
        found = self._records.latencies_since(kind, end - span, name=name)
        return {name: _in_pieces(checks, end - span, span / pieces, pieces) for name, checks in found.items()}

    def overdue(self) -> list[Watched]:
        """What was never checked, or not for longer than it should be: what is known of it says little about now."""
        moment, known = self._clock(), self._records.states()
        config = self._surroundings.config
        return [
            one
            for one in watched_of(config)
            if (state := known.get(one)) is None or state.checked_at is None or is_outdated(config, state, moment)
        ]

    def check_now(self, subjects: Sequence[Watched], stopping: threading.Event | None = None) -> list[HealthState]:
        """Check these at once and wait for the answers; how they stand then. Raises CatalogError."""
        worker = HealthWorker(self._surroundings, clock=self._clock)
        worker.check(subjects, stopping or threading.Event())
        known = self._records.states()
        states = {subject: known.get(subject, HealthState(subject=subject)) for subject in subjects}
        return list(self._after_last_runs(states).values())


def _in_pieces(
    checks: Sequence[tuple[datetime, float | None]], start: datetime, piece: timedelta, count: int
) -> Series:
    series: list[float | None] = [None] * count
    for moment, latency in checks:
        place = min(int((moment - start) / piece), count - 1)
        if latency is not None and place >= 0:
            series[place] = max(series[place] or 0.0, latency)
    return tuple(series)
