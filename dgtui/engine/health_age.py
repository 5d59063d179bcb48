"""How long what a check found holds: what nobody has checked since says nothing about now."""

from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from dgtui.config import Config
from dgtui.engine.health_model import HealthState, Watched

_INTERVALS = 1.5
"""The moments of two checks lie up to so many intervals apart."""
_STORAGE_SECONDS = 30.0


def interval_of(config: Config, subject: Watched) -> int:
    """Seconds between two checks."""
    settings = config.datasources.get(subject.name) if subject.kind == "datasource" else None
    return (settings.check_interval if settings is not None else None) or config.guardian.health_interval


def limit_of(config: Config, subject: Watched) -> float:
    """Seconds that a check may take."""
    settings = config.datasources.get(subject.name) if subject.kind == "datasource" else None
    return float(settings.check_timeout) if settings is not None else _STORAGE_SECONDS


def is_outdated(config: Config, state: HealthState, moment: datetime) -> bool:
    """Whether something was checked, but not for longer than it should be."""
    if state.checked_at is None:
        return False
    # The next check may be waiting for an answer all the while that it may.
    longest = _INTERVALS * interval_of(config, state.subject) + limit_of(config, state.subject)
    return moment - state.checked_at > timedelta(seconds=longest)


def state_at(config: Config, state: HealthState, moment: datetime, *, full: Path | None = None) -> HealthState:
    """How something stands at a moment: `unknown` where what is known of it is outdated, with what was known.

    `full` is the state folder where its disk is full, so that no check can be written down.
    """
    if not is_outdated(config, state, moment):
        return state
    since = f"since {state.checked_at:%Y-%m-%d %H:%M} UTC"
    then = f"{state.status}: {state.message}" if state.message else state.status
    why, hint = f"Nobody has checked it {since}", "Is the daemon running? dgtui daemon --status"
    if full is not None:
        why = f"No check is written down {since}, and none can be: the disk of the state folder is full"
        hint = f"Make room there: df -h {full}"
    return msgspec.structs.replace(
        state,
        status="unknown",
        result=None,
        message=f"{why}; it was {then}",
        hint=hint,
    )
