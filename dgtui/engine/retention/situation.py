"""What a decision about backups has to know, and which of them bear on which."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from functools import cached_property

from dgtui.engine.model import Backup, copies_of
from dgtui.engine.retention.calendar import rule_counts
from dgtui.engine.retention.expiry import NextBackup
from dgtui.engine.retention_settings import RetentionSettings


@dataclass(frozen=True)
class JobRules:
    """The rules of one job at one storage."""

    rules: RetentionSettings
    zone: tzinfo | None
    """Whose calendar counts; the system's where it is None."""
    next_backup: NextBackup

    @cached_property
    def counts(self) -> bool:
        """Whether any of them says what is kept: without one everything within the limits is."""
        return any(True for _ in rule_counts(self.rules))


@dataclass(frozen=True)
class Situation:
    """All that a decision needs to know."""

    now: datetime
    backups: Sequence[Backup]
    """Completed and partial executions in the catalogue's order, with their copies in the states they were found in."""
    rules: Mapping[tuple[str, str], JobRules]
    """By the ids of jobs and the names of storages; where there are none, everything stays."""
    room: Mapping[str, int] = field(default_factory=dict)
    """Bytes that all jobs together may take at a storage."""
    proven: frozenset[str] = frozenset()
    """Executions that were restored with success."""
    needs: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Of an incremental backup: the executions without which it is worth nothing."""
    in_use: frozenset[str] = frozenset()
    """Executions that a run under way reads."""
    ways_back: Mapping[str, str] = field(default_factory=dict)
    """Executions that alone can bring a target back to a whole state, with the restores that left it otherwise."""
    failed_uploads: frozenset[tuple[str, str]] = frozenset()
    """Jobs (by id) and storages whose last upload failed."""


def concerned(situation: Situation, storage: str, here: Sequence[Backup], chosen: Sequence[Backup]) -> Sequence[Backup]:
    """What the verdicts on the chosen ones depend on: where nothing binds jobs together, their own jobs."""
    if here is chosen or storage in situation.room or situation.needs:
        return here
    jobs = {one.job_id for one in chosen}
    # A safety copy goes only where its datasource has a backup, of whatever job.
    datasources = {one.datasource for one in chosen if one.purpose == "safety"}
    return [one for one in here if one.job_id in jobs or one.datasource in datasources]


def places_of(situation: Situation) -> tuple[dict[str, Sequence[Backup]], dict[str, tuple[str, ...]]]:
    """What lies, or may lie, at each storage; and by execution the storages whose copies are in doubt."""
    backups = situation.backups
    places: dict[str, set[str]] = {}
    doubtful: dict[str, tuple[str, ...]] = {}
    for where in {one.where for one in backups}:
        # What never came to be there has no path, and what is missing is known to be: nothing is in doubt.
        there = [copy for copy in copies_of(where) if copy.place and copy.status != "missing"]
        for copy in there:
            places.setdefault(copy.storage, set()).add(where)
        if doubts := tuple(copy.storage for copy in there if copy.status != "available"):
            doubtful[where] = doubts
    return (
        {storage: [one for one in backups if one.where in wheres] for storage, wheres in places.items()},
        {one.execution_id: doubtful[one.where] for one in backups if one.where in doubtful} if doubtful else {},
    )


def with_needed(needs: Mapping[str, frozenset[str]], ids: Iterable[str]) -> frozenset[str]:
    """Executions, and all that those need."""
    found: set[str] = set()
    open_ids = list(ids)
    while open_ids:
        if (one := open_ids.pop()) not in found:
            found.add(one)
            open_ids += needs.get(one, frozenset())
    return frozenset(found)
