"""What a cleanup has to say of itself."""

from dgtui.engine.cleanup.strays import Stray
from dgtui.engine.model import Problem, Record
from dgtui.engine.retention import RetentionPlan


class Removed(Record, frozen=True):
    """A folder that was removed."""

    storage: str
    job: str
    path: str
    bytes: int
    rule: str
    execution_id: str | None = None


class NotRemoved(Record, frozen=True):
    """What could not be removed, or not be looked at."""

    storage: str
    path: str
    problem: Problem
    job: str = ""


class CleanupReport(Record, frozen=True):
    """What a cleanup did."""

    plan: RetentionPlan
    removed: tuple[Removed, ...] = ()
    not_removed: tuple[NotRemoved, ...] = ()
    strays: tuple[Stray, ...] = ()
    """What else lies at the storages and was left there."""
    notes: tuple[str, ...] = ()
    """What could not be written down of it."""

    @property
    def freed_bytes(self) -> int:
        """The bytes of all that was removed."""
        return sum(one.bytes for one in self.removed)
