"""Backups over years for tests of retention, and what a plan says of them."""

import zoneinfo
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from dgtui.engine.model import Backup, CopyStatus, KnownCopy, where_text
from dgtui.engine.retention import JobRules, RetentionPlan, Situation, decide, expected_by_history
from dgtui.engine.retention_settings import RetentionSettings

START = datetime(2023, 1, 1, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)
ZURICH = zoneinfo.ZoneInfo("Europe/Zurich")


def copy_at(storage: str, status: CopyStatus, path: str) -> KnownCopy:
    """A copy in some state."""
    return KnownCopy(storage=storage, status=status, judged=status == "corrupt", place=path)


def with_copies(one: Backup, *copies: KnownCopy) -> Backup:
    """The same backup elsewhere."""
    return msgspec.structs.replace(one, where=where_text(copies))


def backup(number: int, taken: datetime, *storages: str, size: int = 100, status: CopyStatus = "available") -> Backup:
    """A good backup with copies at these storages, else at `disk`."""
    copies = (copy_at(name, "available", f"/{name}/{number}") for name in storages or ("disk",))
    return Backup(
        execution_id=f"e{number}",
        job_id="job",
        job="nightly",
        datasource="shop",
        status="completed",
        backup_type="full",
        started_at=taken,
        compressed_size_bytes=size,
        folder=f"{taken:%Y-%m-%d_%H%M%S}",
        purpose="backup",
        protected_until=None,
        pin=None,
        where=where_text(copies),
        sequence=number,
    )


def history(count: int, *, start: datetime = START, step: timedelta = DAY) -> list[Backup]:
    """Backups one after the other."""
    return [backup(number, start + number * step) for number in range(count)]


def situation(
    backups: Sequence[Backup],
    rules: RetentionSettings | None,
    *,
    now: datetime | None = None,
    zone: zoneinfo.ZoneInfo | None = None,
    storages: Sequence[str] = ("disk",),
) -> Situation:
    """What `decide` is asked; an hour after the newest backup where nothing else is said."""
    moment = now or max((one.started_at for one in backups), default=START) + timedelta(hours=1)
    job = (
        None
        if rules is None
        else JobRules(rules, zone or zoneinfo.ZoneInfo("UTC"), expected_by_history(one.started_at for one in backups))
    )
    known: Mapping[tuple[str, str], JobRules] = {} if job is None else {("job", name): job for name in storages}
    return Situation(now=moment, backups=backups, rules=known)


def changed(asked: Situation, **changes: object) -> RetentionPlan:
    """The plan for a situation that differs in something."""
    values = {name: getattr(asked, name) for name in asked.__dataclass_fields__}
    return decide(Situation(**{**values, **changes}))


def kept(plan: RetentionPlan, storage: str = "disk") -> list[int]:
    """The numbers of the backups that stay at a storage."""
    return sorted(int(one.execution_id[1:]) for one in plan.kept if one.storage == storage)


def holds(plan: RetentionPlan, number: int, storage: str = "disk") -> set[str]:
    """What protects a backup."""
    return {hold.kind for one in plan.of(f"e{number}") if one.storage == storage for hold in one.holds}
