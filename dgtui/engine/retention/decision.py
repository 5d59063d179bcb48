"""What stays and what goes, decided from nothing but what is handed in: preview and deletion are this function."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from functools import cached_property

from dgtui.engine.model import Copy, Execution
from dgtui.engine.retention.calendar import both_orders, newest_of_each, rule_counts
from dgtui.engine.retention.expiry import NextBackup, Outlook
from dgtui.engine.retention.verdicts import Expiry, Hold, HoldKind, KeepRule, Limit, RetentionPlan, Verdict
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
    backups: Sequence[Execution]
    """Completed and partial executions, with their copies in the states they were found in."""
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
    checked_since: datetime | None = None
    """A state that was found earlier than this is in doubt; None where every known state counts."""


def decide(situation: Situation) -> RetentionPlan:
    """The verdict on each backup at each of its storages."""
    storages = sorted({copy.storage for one in situation.backups for copy in one.copies if copy.path})
    verdicts = [verdict for storage in storages for verdict in _Decision(situation, storage).verdicts()]
    return RetentionPlan(made_at=situation.now, verdicts=tuple(verdicts))


class _Decision:
    """The decision for one storage."""

    def __init__(self, situation: Situation, storage: str) -> None:
        self._situation = situation
        self._storage = storage
        self._here = [(one, copy) for one in situation.backups for copy in one.copies if self._lies_here(copy)]
        self._copies = {one.execution_id: copy for one, copy in self._here}
        self._holds: dict[str, list[Hold]] = defaultdict(list)
        self._kept_by: dict[str, list[KeepRule]] = defaultdict(list)
        self._goes: dict[str, Limit] = {}
        self._needed: dict[str, Limit] = {}
        """What would go if nothing needed it."""
        self._jobs: dict[str, list[Execution]] = defaultdict(list)
        """Whole backups by job, without safety copies: what the rules count."""
        for one, copy in self._here:
            if one.purpose != "safety" and self._is_sure(copy):
                self._jobs[one.job_id].append(one)
        self._datasources = {one.datasource for backups in self._jobs.values() for one in backups}

    def verdicts(self) -> list[Verdict]:
        for one, _ in self._here:
            self._protect(one)
        for job_id, backups in self._jobs.items():
            orders = both_orders(backups)
            self._protect_newest(orders)
            self._count(self._rules(job_id), orders)
        for one, _ in self._here:
            self._let_go(one)
        self._keep_needed()
        self._make_room()
        self._release_needed()
        outlooks = {job_id: self._outlook(job_id, backups) for job_id, backups in self._jobs.items()}
        return [self._verdict(one, copy, outlooks.get(one.job_id)) for one, copy in self._here]

    def _lies_here(self, copy: Copy) -> bool:
        return copy.storage == self._storage and bool(copy.path) and copy.status != "missing"

    def _is_sure(self, copy: Copy) -> bool:
        since = self._situation.checked_since
        fresh = since is None or (copy.checked_at is not None and copy.checked_at >= since)
        return copy.status == "available" and fresh

    def _rules(self, job_id: str) -> JobRules | None:
        return self._situation.rules.get((job_id, self._storage))

    # What is protected

    def _hold(self, one: Execution, kind: HoldKind, detail: str = "") -> None:
        self._holds[one.execution_id].append(Hold(kind=kind, detail=detail))

    def _protect(self, one: Execution) -> None:
        situation, mine = self._situation, self._copies[one.execution_id]
        if one.pin is not None:
            self._hold(one, "pinned", one.pin)
        if one.purpose == "safety":
            self._protect_safety(one)
        elif self._rules(one.job_id) is None:
            self._hold(one, "no_rule")
        elif (one.job_id, self._storage) in situation.failed_uploads:
            self._hold(one, "upload_failed", self._storage)
        if one.execution_id in situation.in_use:
            self._hold(one, "in_use")
        if (restore_id := situation.ways_back.get(one.execution_id)) is not None:
            self._hold(one, "way_back", restore_id)
        if not self._is_sure(mine):
            self._hold(one, "in_doubt", mine.status)
        for copy in one.copies:
            # Without a path it never came to be there, and what is missing is known to be: nothing is in doubt.
            lies_elsewhere = copy.storage != self._storage and copy.path and copy.status != "missing"
            if lies_elsewhere and not self._is_sure(copy):
                self._hold(one, "copy_in_doubt", copy.storage)

    def _protect_safety(self, one: Execution) -> None:
        until = one.protected_until
        if until is None or until > self._situation.now:
            self._hold(one, "safety")
        elif one.datasource not in self._datasources:
            self._hold(one, "newest")

    def _protect_newest(self, orders: Sequence[Sequence[Execution]]) -> None:
        """The newest whole backup of each kind, and the newest proven one, in both orders."""
        newest: dict[str, Execution] = {}
        proven: dict[str, Execution] = {}
        for ordered in orders:
            kinds: set[str] = set()
            for one in ordered:
                if one.backup_type not in kinds:
                    kinds.add(one.backup_type)
                    newest[one.execution_id] = one
            newest_proven = next((one for one in ordered if one.execution_id in self._situation.proven), None)
            if newest_proven is not None:
                proven[newest_proven.execution_id] = newest_proven
        for one in newest.values():
            self._hold(one, "newest")
        for one in proven.values():
            self._hold(one, "newest_proven")

    # What the rules say

    def _count(self, job: JobRules | None, orders: Sequence[Sequence[Execution]]) -> None:
        if job is None:
            return
        for rule, period, count in rule_counts(job.rules):
            kept = {one.execution_id for ordered in orders for one in newest_of_each(ordered, period, count, job.zone)}
            for execution_id in kept:
                self._kept_by[execution_id].append(rule)

    def _let_go(self, one: Execution) -> None:
        limit = self._limit_of(one)
        if limit is not None and not self._holds[one.execution_id]:
            self._goes[one.execution_id] = limit

    def _limit_of(self, one: Execution) -> Limit | None:
        if one.purpose == "safety":
            return "safety_over"
        job = self._rules(one.job_id)
        if job is None:
            return None
        if job.rules.max_age is not None and self._situation.now - one.started_at > timedelta(
            seconds=job.rules.max_age
        ):
            return "max_age"
        return "not_kept" if job.counts and not self._kept_by[one.execution_id] else None

    def _keep_needed(self) -> None:
        """What a backup that stays needs stays too, and what that needs."""
        if not self._situation.needs:
            return
        by_id = {one.execution_id: one for one, _ in self._here}
        staying = [execution_id for execution_id in by_id if execution_id not in self._goes]
        while staying:
            for needed in self._situation.needs.get(user := staying.pop(), frozenset()):
                if needed in self._goes:
                    self._needed[needed] = self._goes.pop(needed)
                    self._hold(by_id[needed], "needed", user)
                    staying.append(needed)

    def _release_needed(self) -> None:
        """Let go, after all, what was only kept for a backup that had to make room."""
        while self._needed:
            users = self._users()
            free = [one for one in self._needed if not users[one]]
            if not free:
                return
            for execution_id in free:
                self._goes[execution_id] = self._needed.pop(execution_id)
                self._holds[execution_id].clear()

    def _make_room(self) -> None:
        for job_id, backups in self._jobs.items():
            job = self._rules(job_id)
            if job is not None and job.rules.max_total_size is not None:
                self._shrink(backups, job.rules.max_total_size)
        if (room := self._situation.room.get(self._storage)) is not None:
            self._shrink([one for one, copy in self._here if self._is_sure(copy)], room)

    def _shrink(self, backups: Sequence[Execution], room: int) -> None:
        """Let the oldest go, until the rest fits or all that is left is protected."""
        left = [one for one in backups if one.execution_id not in self._goes]
        total = sum(_size(one) for one in left)
        if total <= room:
            return
        oldest_first = both_orders(left)[0][::-1]
        places = {one.execution_id: place for place, one in enumerate(oldest_first)}
        users = self._users()
        to_look_at = list(places.values())
        while total > room and to_look_at:
            one = oldest_first[heapq.heappop(to_look_at)]
            if not self._may_go(one) or users[one.execution_id]:
                continue
            self._goes[one.execution_id] = "max_total_size"
            total -= _size(one)
            # What only this one needed may go now, although it was passed over.
            for needed in self._situation.needs.get(one.execution_id, frozenset()):
                users[needed] -= 1
                if not users[needed] and needed in places:
                    heapq.heappush(to_look_at, places[needed])

    def _may_go(self, one: Execution) -> bool:
        return one.execution_id not in self._goes and not self._holds[one.execution_id]

    def _users(self) -> Counter[str]:
        """How many that stay need each one."""
        needs = self._situation.needs
        if not needs:
            return Counter()
        staying = (one.execution_id for one, _ in self._here if one.execution_id not in self._goes)
        return Counter(needed for user in staying for needed in needs.get(user, frozenset()))

    # What is said of it

    def _outlook(self, job_id: str, backups: Sequence[Execution]) -> Outlook | None:
        job = self._rules(job_id)
        if job is None:
            return None
        staying = [one for one in backups if one.execution_id not in self._goes]
        return Outlook(staying, job.rules, job.zone, job.next_backup, self._situation.now)

    def _verdict(self, one: Execution, copy: Copy, outlook: Outlook | None) -> Verdict:
        removed_by = self._goes.get(one.execution_id)
        expires_at, expiry = self._expiry(one, outlook)
        return Verdict(
            execution_id=one.execution_id,
            job_id=one.job_id,
            job=one.job,
            datasource=one.datasource,
            storage=self._storage,
            folder=one.folder or "",
            path=copy.path,
            taken_at=one.started_at,
            bytes=_size(one),
            removed_by=removed_by,
            kept_by=tuple(self._kept_by[one.execution_id]),
            holds=tuple(self._holds[one.execution_id]),
            expires_at=expires_at,
            expiry=expiry,
        )

    def _expiry(self, one: Execution, outlook: Outlook | None) -> tuple[datetime | None, Expiry]:
        if one.execution_id in self._goes:
            return self._situation.now, "known"
        kinds: set[HoldKind] = {hold.kind for hold in self._holds[one.execution_id]}
        if kinds & {"pinned", "no_rule"}:
            return None, "never"
        if "safety" in kinds and kinds == {"safety"} and one.protected_until is not None:
            return one.protected_until, "known"
        if outlook is None or kinds - {"newest"}:
            return None, "unknown"
        return self._end_by_rules(one, outlook, newest="newest" in kinds)

    def _end_by_rules(self, one: Execution, outlook: Outlook, *, newest: bool) -> tuple[datetime | None, Expiry]:
        rules = outlook.rules
        limited = rules.max_total_size is not None or self._storage in self._situation.room
        kept_by = self._kept_by[one.execution_id]
        end = outlook.end(one.execution_id, kept_by)
        counts = any(True for _ in rule_counts(rules))
        if rules.max_age is not None:
            too_old = one.started_at + timedelta(seconds=rules.max_age)
            end = too_old if end is None else min(end, too_old)
            limited = limited or (counts and outlook.end(one.execution_id, kept_by) is None)
        elif not counts:
            return None, "unknown" if limited else "never"
        if newest:
            coming = outlook.next_backup(self._situation.now)
            end = None if end is None or coming is None else max(end, coming)
        if end is None:
            return None, "unknown"
        return end, "at_latest" if limited else "known"


def _size(one: Execution) -> int:
    return one.compressed_size_bytes or 0


def with_needed(needs: Mapping[str, frozenset[str]], ids: Iterable[str]) -> frozenset[str]:
    """Executions, and all that those need."""
    found: set[str] = set()
    open_ids = list(ids)
    while open_ids:
        if (one := open_ids.pop()) not in found:
            found.add(one)
            open_ids += needs.get(one, frozenset())
    return frozenset(found)
