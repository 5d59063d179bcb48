"""How long what a check found holds: what nobody has checked since says nothing about now."""

from datetime import datetime, timedelta

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


def state_at(config: Config, state: HealthState, moment: datetime) -> HealthState:
    """How something stands at a moment: `unknown` where what is known of it is outdated, with what was known."""
    if not is_outdated(config, state, moment):
        return state
    then = f"{state.status}: {state.message}" if state.message else state.status
    return msgspec.structs.replace(
        state,
        status="unknown",
        result=None,
        message=f"Nobody has checked it since {state.checked_at:%Y-%m-%d %H:%M} UTC; it was {then}",
        hint="Is the daemon running? dgtui daemon --status",
    )
