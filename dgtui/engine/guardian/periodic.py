"""The rule of duties that look again and again."""

from datetime import datetime, timedelta


class Periodic:
    """Is due so long after it looked last; at once where it never did, or where the clock was set back."""

    every: timedelta

    def __init__(self) -> None:
        self._looked_at: datetime | None = None

    def next_due(self, now: datetime) -> datetime | None:
        """When to look again."""
        if self._looked_at is None or self._looked_at > now:
            return now
        return self._looked_at + self.every
