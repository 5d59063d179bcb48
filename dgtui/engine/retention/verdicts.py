"""What retention says of each backup at each storage."""

from datetime import datetime
from typing import Literal

from dgtui.engine.model import Record

KeepRule = Literal["last", "hourly", "daily", "weekly", "monthly", "yearly"]
Limit = Literal["not_kept", "max_age", "max_total_size", "safety_over"]
"""Why a backup goes: no rule keeps it, it is too old, the room is used up, or its time as a safety copy is over."""
Rule = KeepRule | Limit
HoldKind = Literal[
    "no_rule",
    "newest",
    "newest_proven",
    "pinned",
    "safety",
    "needed",
    "in_doubt",
    "copy_in_doubt",
    "upload_failed",
    "in_use",
    "way_back",
]
Expiry = Literal["known", "at_latest", "never", "unknown"]
"""Whether the day on which a backup goes is known, is a bound, will never come, or cannot be known."""


class Hold(Record, frozen=True, gc=False):
    """What keeps a backup whatever the rules say."""

    kind: HoldKind
    detail: str = ""
    """Which copy is in doubt, why it is pinned, what needs it, the restore whose only way back it is."""


class Verdict(Record, frozen=True, gc=False):
    """Whether a backup stays at a storage, and why."""

    execution_id: str
    job_id: str
    job: str
    datasource: str
    storage: str
    folder: str
    path: str
    taken_at: datetime
    bytes: int
    """What goes free when it goes."""
    removed_by: Limit | None = None
    """The rule by which it goes; None where it stays."""
    kept_by: tuple[KeepRule, ...] = ()
    """The rules that keep it."""
    holds: tuple[Hold, ...] = ()
    expires_at: datetime | None = None
    """When it would go if backups go on coming."""
    expiry: Expiry = "unknown"

    @property
    def stays(self) -> bool:
        """Whether nothing happens to it."""
        return self.removed_by is None
