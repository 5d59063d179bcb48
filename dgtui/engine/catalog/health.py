"""Health in the catalogue: every check for a while, the edges of outages for long, and how each thing stands now."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from dgtui.engine.catalog.database import Database, time_text
from dgtui.engine.catalog.tables import meta, metadata
from dgtui.engine.health_model import (
    Concern,
    Figures,
    HealthCheck,
    HealthEvent,
    HealthState,
    Watched,
    WatchedKind,
)

health_checks = sa.Table(
    "health_checks",
    metadata,
    sa.Column("sequence", sa.Integer, primary_key=True),
    sa.Column("subject_kind", sa.String, nullable=False),
    sa.Column("subject", sa.String, nullable=False),
    sa.Column("checked_at", sa.String, nullable=False),
    sa.Column("result", sa.String, nullable=False),
    sa.Column("latency_seconds", sa.Float),
    sa.Column("message", sa.String, nullable=False, server_default=""),
    sa.Column("hint", sa.String, nullable=False, server_default=""),
    sa.Column("concerns", sa.String),
    sa.Column("figures", sa.String),
    sa.Index("health_checks_of_subject", "subject_kind", "subject", "checked_at"),
    sa.Index("health_checks_by_time", "checked_at"),
)

health_states = sa.Table(
    "health_states",
    metadata,
    sa.Column("subject_kind", sa.String, primary_key=True),
    sa.Column("subject", sa.String, primary_key=True),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("record", sa.String, nullable=False),
    # Events are kept here, in the same transaction as the state, until they are told.
    sa.Column("untold", sa.String, nullable=False, server_default="[]"),
)

_ALL_FOR = timedelta(days=2)
_HOURLY_FOR = timedelta(days=30)
_DAILY_FOR = timedelta(days=366)
_MOST_PIECES = 60
"""Of one thinning: what is left is for the next."""
_USUAL_CHECKS = 288

Judge = Callable[[HealthState, Sequence[float]], tuple[HealthState, tuple[HealthEvent, ...]]]
"""Makes of the state before a check, and the latencies up to then, the state after it and what is to be told."""

_THIN = sa.text(
    """
    DELETE FROM health_checks WHERE sequence IN (
        SELECT sequence FROM (
            SELECT sequence, checked_at, result,
                   ROW_NUMBER() OVER (
                       PARTITION BY subject_kind, subject, substr(checked_at, 1, :digits) ORDER BY checked_at, sequence
                   ) AS place,
                   LAG(result, 1, result) OVER neighbours AS before,
                   LEAD(result, 1, result) OVER neighbours AS after
            FROM health_checks
            WHERE checked_at >= :from_margin AND checked_at < :to_margin
            WINDOW neighbours AS (PARTITION BY subject_kind, subject ORDER BY checked_at, sequence)
        ) AS placed
        WHERE place > 1 AND checked_at >= :from_time AND checked_at < :to_time
          AND (before = 'ok') = (result = 'ok') AND (after = 'ok') = (result = 'ok')
    )
    """
)
"""Keeps the first check of each hour (or day), and both sides of every change between good and failed."""


_OF_SUBJECT = (
    health_checks.c.subject_kind == sa.bindparam("of_kind"),
    health_checks.c.subject == sa.bindparam("of_name"),
)
_STATE_OF_SUBJECT = (
    health_states.c.subject_kind == sa.bindparam("of_kind"),
    health_states.c.subject == sa.bindparam("of_name"),
)
# Each check runs all of these: put together once, they take half the time.
_ADD = sa.insert(health_checks)
_KNOWN = sa.select(health_states.c.record, health_states.c.untold).where(*_STATE_OF_SUBJECT)
_CHANGE = (
    sa.update(health_states)
    .where(*_STATE_OF_SUBJECT)
    .values({name: sa.bindparam(name) for name in ("status", "record", "untold")})
)
_BEGIN = sa.insert(health_states)
_ANSWERS = (
    sa.select(health_checks.c.latency_seconds, health_checks.c.result)
    .where(*_OF_SUBJECT)
    .order_by(health_checks.c.checked_at.desc())
    .limit(_USUAL_CHECKS)
)


class _Level(msgspec.Struct, frozen=True):
    """How checks of an age are thinned."""

    key: str
    age: timedelta
    digits: int
    """Of a time as text: what checks that are one have in common."""
    step: timedelta
    margin: timedelta
    """Where the neighbours of the first and the last check of a piece are looked for."""


_LEVELS = (
    _Level("health_hourly_until", _ALL_FOR, len("2025-02-13T06"), timedelta(hours=6), timedelta(hours=1)),
    _Level("health_daily_until", _HOURLY_FOR, len("2025-02-13"), timedelta(days=4), timedelta(days=1)),
)


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
                connection.execute(_ADD, _columns(check))
                _save(connection, state, [*waiting, *events])
                states.append(state)
        for check, _ in checks:
            if check.good and check.latency_seconds is not None:
                self._latencies[check.subject].append(check.latency_seconds)
        return states

    def _latencies_of(self, connection: sa.Connection, subject: Watched) -> Sequence[float]:
        """How long the last answers took, the oldest first."""
        if subject not in self._latencies:
            found = connection.execute(_ANSWERS, _named(subject)).all()
            answers = [latency for latency, result in found if result == "ok" and latency is not None]
            self._latencies[subject] = deque(reversed(answers), maxlen=_USUAL_CHECKS)
        return self._latencies[subject]

    def untold(self) -> list[HealthEvent]:
        """The events that nobody was told of yet, the oldest first of each object."""
        query = sa.select(health_states.c.untold).where(health_states.c.untold != "[]")
        with self._database.transaction() as connection:
            texts = connection.scalars(query).all()
        return [event for text in texts for event in msgspec.json.decode(text, type=list[HealthEvent])]

    def mark_told(self, events: Sequence[HealthEvent]) -> None:
        """Forget events that were told; those that came meanwhile stay."""
        with self._database.exclusive() as connection:
            for subject in {event.subject for event in events}:
                text = connection.scalar(sa.select(health_states.c.untold).where(*_is(health_states, subject))) or "[]"
                left = [event for event in msgspec.json.decode(text, type=list[HealthEvent]) if event not in events]
                connection.execute(
                    sa.update(health_states)
                    .where(*_is(health_states, subject))
                    .values(untold=msgspec.json.encode(left).decode())
                )

    def states(self, kind: WatchedKind | None = None) -> dict[Watched, HealthState]:
        """How everything that was ever checked stands."""
        query = sa.select(health_states.c.record)
        if kind is not None:
            query = query.where(health_states.c.subject_kind == kind)
        with self._database.transaction() as connection:
            found = [msgspec.json.decode(text, type=HealthState) for text in connection.scalars(query)]
        return {state.subject: state for state in found}

    def history(
        self, subject: Watched | None = None, *, kind: WatchedKind | None = None, limit: int | None = None
    ) -> list[HealthCheck]:
        """Checks, the newest first."""
        query = sa.select(health_checks).order_by(health_checks.c.checked_at.desc(), health_checks.c.sequence.desc())
        if subject is not None:
            query = query.where(*_is(health_checks, subject))
        elif kind is not None:
            query = query.where(health_checks.c.subject_kind == kind)
        with self._database.transaction() as connection:
            return [_decoded(row) for row in connection.execute(query.limit(limit)).mappings()]

    def first_check(self, subject: Watched) -> datetime | None:
        """When something was checked for the first time, as far as that is still known."""
        query = sa.select(sa.func.min(health_checks.c.checked_at)).where(*_is(health_checks, subject))
        with self._database.transaction() as connection:
            text = connection.scalar(query)
        return datetime.fromisoformat(text) if text is not None else None

    def latencies_since(
        self, kind: WatchedKind, since: datetime, *, name: str | None = None
    ) -> dict[str, list[tuple[datetime, float | None]]]:
        """By name: when each check was, the oldest first, and how long its answer took; None where it failed."""
        query = sa.select(
            health_checks.c.subject, health_checks.c.checked_at, health_checks.c.latency_seconds, health_checks.c.result
        ).where(health_checks.c.subject_kind == kind, health_checks.c.checked_at >= time_text(since))
        if name is not None:
            query = query.where(health_checks.c.subject == name)
        found: dict[str, list[tuple[datetime, float | None]]] = {}
        with self._database.transaction() as connection:
            for subject, at, latency, result in connection.execute(query.order_by(health_checks.c.checked_at)):
                moment = datetime.fromisoformat(at)
                found.setdefault(subject, []).append((moment, latency if result == "ok" else None))
        return found

    def forget(self, subjects: Sequence[Watched]) -> None:
        """Remove the states of what is not configured any more; its history goes with its age."""
        for subject in subjects:
            self._latencies.pop(subject, None)
        with self._database.exclusive() as connection:
            for subject in subjects:
                connection.execute(sa.delete(health_states).where(*_is(health_states, subject)))

    def thin(self, now: datetime) -> int:
        """Remove old checks by their age; how many.

        All are kept for two days, then one an hour for thirty days, then one a day for a year, and for as long both
        ends of every outage. It works in pieces, so that nobody waits long for the catalogue.
        """
        # What other programs have recorded meanwhile counts from here on.
        self._latencies.clear()
        with self._database.exclusive() as connection:
            too_old = health_checks.c.checked_at < time_text(now - _DAILY_FOR)
            removed = connection.execute(sa.delete(health_checks).where(too_old)).rowcount
        for level in _LEVELS:
            for start, end in self._pieces(level, now):
                removed += self._thin_piece(level, start, end)
        return removed

    def _pieces(self, level: _Level, now: datetime) -> Iterator[tuple[datetime, datetime]]:
        last = _floor(now - level.age, level.step)
        for _ in range(_MOST_PIECES):
            with self._database.transaction() as connection:
                done = connection.scalar(sa.select(meta.c.value).where(meta.c.key == level.key)) or ""
                oldest = connection.scalar(
                    sa.select(sa.func.min(health_checks.c.checked_at)).where(health_checks.c.checked_at >= done)
                )
            if oldest is None:
                return
            start = _floor(datetime.fromisoformat(oldest), level.step)
            if start >= last:
                return
            yield start, start + level.step

    def _thin_piece(self, level: _Level, start: datetime, end: datetime) -> int:
        times = {
            "from_time": time_text(start),
            "to_time": time_text(end),
            "from_margin": time_text(start - level.margin),
            "to_margin": time_text(end + level.margin),
        }
        done = insert(meta).values(key=level.key, value=time_text(end))
        with self._database.exclusive() as connection:
            removed = connection.execute(_THIN, {"digits": level.digits, **times}).rowcount
            connection.execute(done.on_conflict_do_update(index_elements=["key"], set_={"value": time_text(end)}))
        return removed


def _floor(moment: datetime, step: timedelta) -> datetime:
    seconds = step.total_seconds()
    return datetime.fromtimestamp(moment.timestamp() // seconds * seconds, UTC)


def _is(table: sa.Table, subject: Watched) -> tuple[sa.ColumnElement[bool], ...]:
    return table.c.subject_kind == subject.kind, table.c.subject == subject.name


def _named(subject: Watched) -> dict[str, str]:
    return {"of_kind": subject.kind, "of_name": subject.name}


def _known(connection: sa.Connection, subject: Watched) -> tuple[HealthState, list[HealthEvent]]:
    """How something stood last, and what nobody was told of it yet."""
    row = connection.execute(_KNOWN, _named(subject)).first()
    if row is None:
        return HealthState(subject=subject), []
    return msgspec.json.decode(row[0], type=HealthState), msgspec.json.decode(row[1], type=list[HealthEvent])


def _save(connection: sa.Connection, state: HealthState, untold: Sequence[HealthEvent]) -> None:
    values = {
        "status": state.status,
        "record": msgspec.json.encode(state).decode(),
        "untold": msgspec.json.encode(untold).decode(),
    }
    if not connection.execute(_CHANGE, {**_named(state.subject), **values}).rowcount:
        subject = state.subject
        connection.execute(_BEGIN, {"subject_kind": subject.kind, "subject": subject.name, **values})


def _columns(check: HealthCheck) -> dict[str, Any]:
    figures = {name: value for name, value in msgspec.to_builtins(check.figures).items() if value not in (None, "")}
    return {
        "subject_kind": check.subject.kind,
        "subject": check.subject.name,
        "checked_at": time_text(check.checked_at),
        "result": check.result,
        "latency_seconds": check.latency_seconds,
        "message": check.message,
        "hint": check.hint,
        "concerns": msgspec.json.encode(check.concerns).decode() if check.concerns else None,
        "figures": msgspec.json.encode(figures).decode() if figures else None,
    }


def _decoded(row: sa.RowMapping) -> HealthCheck:
    return HealthCheck(
        subject=Watched(kind=row["subject_kind"], name=row["subject"]),
        checked_at=datetime.fromisoformat(row["checked_at"]),
        result=row["result"],
        latency_seconds=row["latency_seconds"],
        message=row["message"],
        hint=row["hint"],
        concerns=tuple(msgspec.json.decode(row["concerns"] or "[]", type=list[Concern])),
        figures=msgspec.json.decode(row["figures"] or "{}", type=Figures),
    )
