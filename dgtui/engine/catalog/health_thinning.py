"""Old checks of health are thinned out by their age, in pieces, so that nobody waits long for the catalogue.

All are kept for two days, then one an hour for thirty days, then one a day for a year, and for as long both ends of
every outage.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec

from dgtui.engine.catalog.database import Database, time_text

_ALL_FOR = timedelta(days=2)
_HOURLY_FOR = timedelta(days=30)
_DAILY_FOR = timedelta(days=366)
_MOST_PIECES = 60
"""Of one thinning: what is left is for the next."""
_THIN = """
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
"""Keeps the first check of each hour (or day), and both sides of every change between good and failed."""


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


def thin_checks(database: Database, now: datetime) -> int:
    """Remove old checks by their age; how many."""
    with database.exclusive() as connection:
        too_old = {"before": time_text(now - _DAILY_FOR)}
        removed = connection.execute("DELETE FROM health_checks WHERE checked_at < :before", too_old).rowcount
    for level in _LEVELS:
        for start, end in _pieces(database, level, now):
            removed += _thin_piece(database, level, start, end)
    return removed


def _pieces(database: Database, level: _Level, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    last = _floor(now - level.age, level.step)
    for _ in range(_MOST_PIECES):
        with database.transaction() as connection:
            done = connection.scalar("SELECT value FROM meta WHERE key = :key", {"key": level.key}) or ""
            left = "SELECT min(checked_at) FROM health_checks WHERE checked_at >= :done"
            oldest = connection.scalar(left, {"done": done})
        if oldest is None:
            return
        start = _floor(datetime.fromisoformat(oldest), level.step)
        if start >= last:
            return
        yield start, start + level.step


def _thin_piece(database: Database, level: _Level, start: datetime, end: datetime) -> int:
    times = {
        "from_time": time_text(start),
        "to_time": time_text(end),
        "from_margin": time_text(start - level.margin),
        "to_margin": time_text(end + level.margin),
    }
    with database.exclusive() as connection:
        removed = connection.execute(_THIN, {"digits": level.digits, **times}).rowcount
        connection.upsert("meta", {"key": level.key, "value": time_text(end)}, key="key")
    return removed


def _floor(moment: datetime, step: timedelta) -> datetime:
    seconds = step.total_seconds()
    return datetime.fromtimestamp(moment.timestamp() // seconds * seconds, UTC)
