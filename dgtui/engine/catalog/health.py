"""Health in the catalogue: every check for a while, the edges of outages for long, and how each thing stands now."""

from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from dgtui.engine.catalog.connection import Connection
from dgtui.engine.catalog.database import Database, time_text
from dgtui.engine.catalog.health_rows import CHECK_COLUMNS, check_columns, decoded_check
from dgtui.engine.catalog.health_thinning import thin_checks
from dgtui.engine.catalog.statements import Sql, all_of, equal, rows_at_most
from dgtui.engine.health_model import (
    HealthCheck,
    HealthEvent,
    HealthState,
    Watched,
    WatchedKind,
)

_USUAL_CHECKS = 288

Judge = Callable[[HealthState, Sequence[float]], tuple[HealthState, tuple[HealthEvent, ...]]]
"""Makes of the state before a check, and the latencies up to then, the state after it and what is to be told."""

_OF_SUBJECT = "subject_kind = :subject_kind AND subject = :subject"
_KNOWN = f"SELECT record, untold FROM health_states WHERE {_OF_SUBJECT}"
_UNTOLD = f"SELECT untold FROM health_states WHERE {_OF_SUBJECT}"
_LEAVE_UNTOLD = f"UPDATE health_states SET untold = :untold WHERE {_OF_SUBJECT}"
_ANSWERS = f"""
    SELECT latency_seconds, result FROM health_checks
    WHERE {_OF_SUBJECT}
    ORDER BY checked_at DESC LIMIT {_USUAL_CHECKS}
"""


class HealthRecords:
    """The checks and states of everything that is watched."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._latencies: dict[Watched, deque[float]] = {}
        """Of what was recorded here, so that its last answers are not read anew for each one."""

    def record(self, checks: Sequence[tuple[HealthCheck, Judge]]) -> list[HealthState]:
        """Store checks, and with them the states and the events that follow, all at once. Raises CatalogError."""
        states = []
        with self._database.exclusive() as connection:
            for check, judge in checks:
                former, waiting = _known(connection, check.subject)
                state, events = judge(former, self._latencies_of(connection, check.subject))
                connection.insert("health_checks", check_columns(check))
                _save(connection, state, [*waiting, *events])
                states.append(state)
        for check, _ in checks:
            if check.good and check.latency_seconds is not None:
                self._latencies[check.subject].append(check.latency_seconds)
        return states

    def _latencies_of(self, connection: Connection, subject: Watched) -> Sequence[float]:
        """How long the last answers took, the oldest first."""
        if subject not in self._latencies:
            found = connection.execute(_ANSWERS, _named(subject))
            answers = [latency for latency, result in found if result == "ok" and latency is not None]
            self._latencies[subject] = deque(reversed(answers), maxlen=_USUAL_CHECKS)
        return self._latencies[subject]

    def untold(self) -> list[HealthEvent]:
        """The events that nobody was told of yet, the oldest first of each object."""
        with self._database.transaction() as connection:
            texts = connection.scalars("SELECT untold FROM health_states WHERE untold != '[]'")
        return [event for text in texts for event in msgspec.json.decode(text, type=list[HealthEvent])]

    def mark_told(self, events: Sequence[HealthEvent]) -> None:
        """Forget events that were told; those that came meanwhile stay."""
        with self._database.exclusive() as connection:
            for subject in {event.subject for event in events}:
                text = connection.scalar(_UNTOLD, _named(subject)) or "[]"
                left = [event for event in msgspec.json.decode(text, type=list[HealthEvent]) if event not in events]
                connection.execute(_LEAVE_UNTOLD, {"untold": msgspec.json.encode(left).decode(), **_named(subject)})

    def states(self, kind: WatchedKind | None = None) -> dict[Watched, HealthState]:
        """How everything that was ever checked stands."""
        chosen = equal(subject_kind=kind)
        with self._database.transaction() as connection:
            texts = connection.scalars(f"SELECT record FROM health_states {chosen.where}", chosen.values)
        found = [msgspec.json.decode(text, type=HealthState) for text in texts]
        return {state.subject: state for state in found}

    def checks_told(self) -> dict[tuple[str, str], datetime | None]:
        """By kind and name, when each thing was checked last; None where people are still to be told what it found."""
        with self._database.transaction() as connection:
            rows = connection.execute("SELECT record, untold FROM health_states").fetchall()
        found = [(msgspec.json.decode(record, type=HealthState), untold) for record, untold in rows]
        return {
            (state.subject.kind, state.subject.name): state.checked_at if untold == "[]" else None
            for state, untold in found
        }

    def history(
        self, subject: Watched | None = None, *, kind: WatchedKind | None = None, limit: int | None = None
    ) -> list[HealthCheck]:
        """Checks, the newest first."""
        chosen = Sql(_OF_SUBJECT, _named(subject)) if subject is not None else equal(subject_kind=kind)
        query = f"""
            SELECT {CHECK_COLUMNS} FROM health_checks {chosen.where}
            ORDER BY checked_at DESC, sequence DESC LIMIT :limit
        """
        with self._database.transaction() as connection:
            rows = connection.execute(query, {**chosen.values, "limit": rows_at_most(limit)})
            return [decoded_check(row) for row in rows]

    def watched_since(self, subject: Watched, at: datetime) -> datetime | None:
        """Since when something is watched without having been switched off meanwhile; None where it is not yet."""
        with self._database.transaction() as connection:
            state, _ = _known(connection, subject)
        if state.checked_at is None:
            return None
        # Where the clock was set back, what is ahead says nothing.
        is_known = state.watched_since is not None and state.watched_since <= at
        return state.watched_since if is_known else self.first_check(subject)

    def first_check(self, subject: Watched) -> datetime | None:
        """When something was checked for the first time, as far as that is still known."""
        query = f"SELECT min(checked_at) FROM health_checks WHERE {_OF_SUBJECT}"
        with self._database.transaction() as connection:
            text = connection.scalar(query, _named(subject))
        return datetime.fromisoformat(text) if text is not None else None

    def latencies_since(
        self, kind: WatchedKind, since: datetime, *, name: str | None = None
    ) -> dict[str, list[tuple[datetime, float | None]]]:
        """By name: when each check was, the oldest first, and how long its answer took; None where it failed."""
        recent = Sql("checked_at >= :since", {"since": time_text(since)})
        chosen = all_of(recent, equal(subject_kind=kind, subject=name))
        query = f"""
            SELECT subject, checked_at, latency_seconds, result FROM health_checks WHERE {chosen.text}
            ORDER BY checked_at
        """
        found: dict[str, list[tuple[datetime, float | None]]] = {}
        with self._database.transaction() as connection:
            for subject, at, latency, result in connection.execute(query, chosen.values):
                moment = datetime.fromisoformat(at)
                found.setdefault(subject, []).append((moment, latency if result == "ok" else None))
        return found

    def forget(self, subjects: Sequence[Watched]) -> None:
        """Remove the states of what is not configured any more; its history goes with its age."""
        for subject in subjects:
            self._latencies.pop(subject, None)
        with self._database.exclusive() as connection:
            for subject in subjects:
                connection.execute(f"DELETE FROM health_states WHERE {_OF_SUBJECT}", _named(subject))

    def thin(self, now: datetime) -> int:
        """Remove old checks by their age; how many."""
        # What other programs have recorded meanwhile counts from here on.
        self._latencies.clear()
        return thin_checks(self._database, now)


def _named(subject: Watched) -> dict[str, str]:
    return {"subject_kind": subject.kind, "subject": subject.name}


def _known(connection: Connection, subject: Watched) -> tuple[HealthState, list[HealthEvent]]:
    """How something stood last, and what nobody was told of it yet."""
    row = connection.execute(_KNOWN, _named(subject)).fetchone()
    if row is None:
        return HealthState(subject=subject), []
    return msgspec.json.decode(row[0], type=HealthState), msgspec.json.decode(row[1], type=list[HealthEvent])


def _save(connection: Connection, state: HealthState, untold: Sequence[HealthEvent]) -> None:
    values = {
        **_named(state.subject),
        "status": state.status,
        "record": msgspec.json.encode(state).decode(),
        "untold": msgspec.json.encode(untold).decode(),
    }
    connection.upsert("health_states", values, key="subject_kind, subject")
