"""How a storage fills: a straight line through the least room of each recent day.

It follows the file system and not the sum of the backups: what else is written there fills it as well, and what
retention removes makes room.
"""

import math
import statistics
from collections.abc import Sequence

from dgtui.engine.catalog.figures import SpaceSample
from dgtui.engine.figures.model import Outlook

_FEWEST_DAYS = 5
_DAY = 86400.0
_TOO_FAR = 3650.0
_CLEAR = 2.0
"""How many times larger than its own uncertainty the slope has to be."""


def outlook(samples: Sequence[SpaceSample]) -> Outlook:
    """Growth per day and days until full, from a sample of each day, the oldest first."""
    # Where the disk was made larger or another one mounted, what was before tells nothing.
    recent = [sample for sample in samples if sample.total_bytes == samples[-1].total_bytes]
    if len(recent) < _FEWEST_DAYS:
        note = f"too little history: {len(recent)} of {_FEWEST_DAYS} days"
        return Outlook(growth_bytes_per_day=None, days_until_full=None, note=note)
    start = recent[0].at
    days_since = [(sample.at - start).total_seconds() / _DAY for sample in recent]
    used = [float(sample.total_bytes - sample.free_bytes) for sample in recent]
    slope, intercept = statistics.linear_regression(days_since, used)
    growth = round(slope)
    if slope <= 0:
        return Outlook(growth_bytes_per_day=growth, days_until_full=None, note="not filling")
    if slope < _CLEAR * _uncertainty(days_since, used, slope, intercept):
        return Outlook(growth_bytes_per_day=growth, days_until_full=None, note="too uneven to tell")
    days = recent[-1].free_bytes / slope
    if days > _TOO_FAR:
        return Outlook(growth_bytes_per_day=growth, days_until_full=None, note="not within ten years")
    return Outlook(growth_bytes_per_day=growth, days_until_full=days, note="")


def _uncertainty(places: Sequence[float], values: Sequence[float], slope: float, intercept: float) -> float:
    """The standard error of a slope."""
    middle = statistics.fmean(places)
    spread = sum((place - middle) ** 2 for place in places)
    missed = sum((value - intercept - slope * place) ** 2 for place, value in zip(places, values, strict=True))
    return math.sqrt(missed / (len(places) - 2) / spread)
