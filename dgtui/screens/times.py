"""Ages and spans as screens show them."""

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dgtui.engine.glance import DatasourceCheck
    from dgtui.engine.health_model import HealthState
    from dgtui.wording.terminal import Look

_STEPS = ((86400, "d"), (3600, "h"), (60, "min"))


def age_text(moment: datetime, now: datetime) -> str:
    """`just now`, `5 min ago`, `6 h ago`, `9 d ago`; what lies ahead is told as such."""
    seconds = (now - moment).total_seconds()
    text = span_text(abs(seconds))
    if not text:
        return "just now"
    return f"in {text}" if seconds < 0 else f"{text} ago"


def span_text(seconds: float) -> str:
    """`5 min`, `31 h`, `9 d`; empty below a minute."""
    for size, unit in _STEPS:
        if seconds >= (2 * size if unit == "d" else size):
            return f"{int(seconds // size)} {unit}"
    return ""


def latency_text(check: "DatasourceCheck | None") -> str:
    """How long a look took; a dash where it did not succeed."""
    if check is None or check.status != "ok":
        return "-"
    return seconds_text(check.latency_seconds)


def moment_text(moment: datetime, now: datetime) -> str:
    """`14:05` today, `tomorrow 03:00`, `Sun 04:30` within a week, else `12 Oct 03:00`, in the machine's own time."""
    local, today = moment.astimezone(), now.astimezone().date()
    days = (local.date() - today).days
    if days == 0:
        return f"{local:%H:%M}"
    if days == 1:
        return f"tomorrow {local:%H:%M}"
    return f"{local:%a %H:%M}" if 1 < days < 7 else f"{local.day} {local:%b %H:%M}"


def until_text(moment: datetime, now: datetime) -> str:
    """`in 2 h`, `in 5 min`, `now`: how far ahead something is."""
    seconds = (moment - now).total_seconds()
    if seconds <= 0:
        return "now"
    return f"in {span_text(seconds) or 'a minute'}"


def seconds_text(seconds: float | None) -> str:
    """`12 ms`, `12 s`; a dash where nothing answered."""
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.0f} ms" if seconds < 10 else f"{seconds:.0f} s"


def checked_text(state: "HealthState", now: datetime, look: "Look") -> str:
    """`1 min ago`; `timeout ×3` where it does not answer; a dash where it was never asked."""
    if state.checked_at is None or state.result is None:
        return "-"
    if state.result == "ok":
        return age_text(state.checked_at, now)
    times = f" {look.glyph('×', 'x')}{state.failures}" if state.failures > 1 else ""
    return f"{state.result.replace('_', ' ')}{times}"
