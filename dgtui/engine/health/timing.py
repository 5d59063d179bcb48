"""When something is checked: each at its own moment of the interval, so that not everything is asked at once."""

import zlib
from datetime import UTC, datetime, timedelta

from dgtui.engine.health_model import Watched

_FIRST_SPREAD_SECONDS = 30
_MOMENTS = 30
"""Into so many moments an interval is divided: what shares one is asked and stored together, between them is rest."""


def due_at(subject: Watched, interval: int, *, last: datetime | None, started: datetime, now: datetime) -> datetime:
    """When something is to be checked next.

    Its moment within the interval follows from its name. What is due when the worker starts is spread over half a
    minute; a clock that was set back does not put anything off for longer than an interval.
    """
    phase = zlib.crc32(f"{subject.kind} {subject.name}".encode()) % _MOMENTS * interval / _MOMENTS
    soonest = started + timedelta(seconds=phase / interval * min(interval, _FIRST_SPREAD_SECONDS))
    if last is None:
        return soonest
    # At least half an interval after the last time, then at its own moment.
    earliest = min(last, now).timestamp() + interval / 2
    moment = datetime.fromtimestamp(earliest + (phase - earliest) % interval, UTC)
    return max(moment, soonest) if moment < started else moment
