"""Ages and spans as screens show them."""

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dgtui.engine.glance import DatasourceCheck

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
    seconds = check.latency_seconds
    return f"{seconds * 1000:.0f} ms" if seconds < 10 else f"{seconds:.0f} s"
