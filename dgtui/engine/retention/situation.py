"""What a decision about backups has to know, and which of them bear on which."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from functools import cached_property

from dgtui.engine.job_backups import JobBackups, by_job
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

    @cached_property
    def jobs(self) -> Sequence[JobBackups]:
        """The backups by job."""
        return by_job(self.backups)


def concerned(
    situation: Situation, storage: str, here: Sequence[JobBackups], chosen: Sequence[JobBackups]
) -> Sequence[JobBackups]:
    """What the verdicts on the chosen ones depend on: where nothing binds jobs together, their own jobs."""
    if here is chosen or storage in situation.room or situation.needs:
        return here
    jobs = {job.job_id for job in chosen}
    # A safety copy goes only where its datasource has a backup, of whatever job.
    datasources = {kind.datasource for job in chosen for kind in job.kinds if kind.purpose == "safety"}
    return _filled(
        job if job.job_id in jobs else job.of_kinds(lambda kind: kind.datasource in datasources) for job in here
    )


def places_of(situation: Situation) -> dict[str, Sequence[JobBackups]]:
    """What lies, or may lie, at each storage."""
    storages = {storage for job in situation.jobs for kind in job.kinds for storage in lies_at(kind.where)}
    return {storage: _filled(_at(storage, job) for job in situation.jobs) for storage in storages}


def _at(storage: str, job: JobBackups) -> JobBackups:
    return job.of_kinds(lambda kind: storage in lies_at(kind.where))


def _filled(jobs: Iterable[JobBackups]) -> Sequence[JobBackups]:
    return [job for job in jobs if len(job)]


def lies_at(where: str) -> frozenset[str]:
    """The storages where backups with these copies lie, or may lie."""
    # What never came to be there has no path, and what is missing is known to be: nothing is in doubt.
    return frozenset(copy.storage for copy in copies_of(where) if copy.place and copy.status != "missing")


def doubts_of(where: str) -> Sequence[str]:
    """The storages whose copies are in doubt."""
    there = (copy for copy in copies_of(where) if copy.place)
    return [copy.storage for copy in there if copy.status not in ("available", "missing")]


def with_needed(needs: Mapping[str, frozenset[str]], ids: Iterable[str]) -> frozenset[str]:
    """Executions, and all that those need."""
    found: set[str] = set()
    open_ids = list(ids)
    while open_ids:
        if (one := open_ids.pop()) not in found:
            found.add(one)
            open_ids += needs.get(one, frozenset())
    return frozenset(found)
