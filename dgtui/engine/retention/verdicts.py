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


class RetentionPlan(Record, frozen=True):
    """The verdicts on all backups that were looked at."""

    made_at: datetime
    verdicts: tuple[Verdict, ...] = ()

    @property
    def removals(self) -> tuple[Verdict, ...]:
        """What goes, the oldest first."""
        return tuple(
            sorted((one for one in self.verdicts if not one.stays), key=lambda one: (one.taken_at, one.storage))
        )

    @property
    def kept(self) -> tuple[Verdict, ...]:
        """What stays."""
        return tuple(one for one in self.verdicts if one.stays)

    @property
    def freed_bytes(self) -> int:
        """What the removals free."""
        return sum(one.bytes for one in self.removals)

    def of(self, execution_id: str) -> tuple[Verdict, ...]:
        """The verdicts on one backup, one for each of its storages."""
        return tuple(one for one in self.verdicts if one.execution_id == execution_id)

    def expiries(self) -> dict[str, datetime | None]:
        """When each backup goes from its last storage; None where that is never or cannot be known."""
        found: dict[str, datetime | None] = {}
        for one in self.verdicts:
            moment = one.expires_at if one.expiry in ("known", "at_latest") else None
            if one.execution_id in found:
                former = found[one.execution_id]
                moment = None if moment is None or former is None else max(moment, former)
            found[one.execution_id] = moment
        return found
