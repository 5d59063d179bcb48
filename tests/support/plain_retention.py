"""Retention decided of one backup after the other, as plainly as can be: what the fast decision has to equal."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from functools import cached_property

from dgtui.engine.job_backups import by_job
from dgtui.engine.model import Backup, KnownCopy
from dgtui.engine.retention.calendar import Key, Period, local_time, rule_counts
from dgtui.engine.retention.expiry import Outlook
from dgtui.engine.retention.situation import JobRules, Situation
from dgtui.engine.retention.verdicts import Expiry, Hold, HoldKind, KeepRule, Limit, Verdict

Placed = tuple[Backup, KnownCopy]
"""A backup, and its copy at the storage that is talked of."""


def plain_verdicts(situation: Situation) -> list[Verdict]:
    """The verdict on each backup at each of its storages."""
    places, doubts = _places_of(situation)
    verdicts: list[Verdict] = []
    for storage in sorted(places):
        verdicts += _Decision(situation, storage, places[storage], doubts).verdicts()
    return verdicts


def _places_of(situation: Situation) -> tuple[dict[str, list[Placed]], dict[str, list[str]]]:
    places: dict[str, list[Placed]] = defaultdict(list)
    doubts: dict[str, list[str]] = defaultdict(list)
    for one in situation.backups:
        for copy in one.copies:
            if not one.path(copy) or copy.status == "missing":
                continue
            places[copy.storage].append((one, copy))
            if copy.status != "available":
                doubts[one.execution_id].append(copy.storage)
    return places, doubts


def _both_orders(backups: Sequence[Backup]) -> Sequence[Sequence[Backup]]:
    """By their times and by the catalogue's sequence, the newest first."""
    return (
        sorted(backups, key=lambda one: (one.started_at, one.sequence), reverse=True),
        sorted(backups, key=lambda one: one.sequence, reverse=True),
    )


def _newest_of_each(
    newest_first: Sequence[Backup], period: Period | None, count: int, zone: tzinfo | None
) -> Sequence[Backup]:
    found: dict[Key, Backup] = {}
    for one in newest_first:
        found.setdefault((one.sequence,) if period is None else period.key(local_time(one.started_at, zone)), one)
    return list(found.values())[:count]


class _Decision:
    """The decision for one storage."""

    def __init__(
        self, situation: Situation, storage: str, here: Sequence[Placed], doubts: Mapping[str, Sequence[str]]
    ) -> None:
        self._situation = situation
        self._storage = storage
        self._here = here
        self._doubts = doubts
        self._holds: dict[str, list[Hold]] = defaultdict(list)
        self._kept_by: dict[str, list[KeepRule]] = defaultdict(list)
        self._goes: dict[str, Limit] = {}
        self._needed: dict[str, Limit] = {}
        """What would go if nothing needed it."""
        self._jobs: dict[str, list[Backup]] = defaultdict(list)
        """Whole backups by job, without safety copies: what the rules count."""
        for one, _ in here:
            if one.purpose != "safety" and self._is_sure(one):
                self._jobs[one.job_id].append(one)

    def verdicts(self) -> list[Verdict]:
        for one, copy in self._here:
            self._protect(one, copy)
        for job_id, backups in self._jobs.items():
            orders = _both_orders(backups)
            self._protect_newest(orders)
            self._count(self._rules(job_id), orders)
        for one, _ in self._here:
            self._let_go(one)
        self._keep_needed()
        self._make_room()
        self._release_needed()
        outlooks = {job_id: self._outlook(job_id, backups) for job_id, backups in self._jobs.items()}
        return [self._verdict(one, copy, outlooks.get(one.job_id)) for one, copy in self._here]

    @cached_property
    def _datasources(self) -> frozenset[str]:
        """Those with a whole backup here."""
        return frozenset(one.datasource for backups in self._jobs.values() for one in backups)

    @cached_property
    def _standing(self) -> dict[str, HoldKind | None]:
        """By job what protects all of its backups."""
        standing: dict[str, HoldKind | None] = {}
        for job_id in {one.job_id for one, _ in self._here}:
            if self._rules(job_id) is None:
                standing[job_id] = "no_rule"
            else:
                failed = (job_id, self._storage) in self._situation.failed_uploads
                standing[job_id] = "upload_failed" if failed else None
        return standing

    def _is_sure(self, one: Backup) -> bool:
        return one.execution_id not in self._doubts or self._storage not in self._doubts[one.execution_id]

    def _rules(self, job_id: str) -> JobRules | None:
        return self._situation.rules.get((job_id, self._storage))

    # What is protected

    def _hold(self, one: Backup, kind: HoldKind, detail: str = "") -> None:
        self._holds[one.execution_id].append(Hold(kind=kind, detail=detail))

    def _protect(self, one: Backup, mine: KnownCopy) -> None:
        situation, execution_id = self._situation, one.execution_id
        if one.pin is not None:
            self._hold(one, "pinned", one.pin)
        if one.purpose == "safety":
            self._protect_safety(one)
        elif (kind := self._standing[one.job_id]) is not None:
            self._hold(one, kind, self._storage if kind == "upload_failed" else "")
        if execution_id in situation.in_use:
            self._hold(one, "in_use")
        if execution_id in situation.ways_back:
            self._hold(one, "way_back", situation.ways_back[execution_id])
        if execution_id not in self._doubts:
            return
        if not self._is_sure(one):
            self._hold(one, "in_doubt", mine.status)
        for storage in self._doubts[execution_id]:
            if storage != self._storage:
                self._hold(one, "copy_in_doubt", storage)

    def _protect_safety(self, one: Backup) -> None:
        until = one.protected_until
        if until is None or until > self._situation.now:
            self._hold(one, "safety")
        elif one.datasource not in self._datasources:
            self._hold(one, "newest")

    def _protect_newest(self, orders: Sequence[Sequence[Backup]]) -> None:
        """The newest whole backup of each kind, and the newest proven one, in both orders."""
        newest: dict[str, Backup] = {}
        proven: dict[str, Backup] = {}
        for ordered in orders:
            kinds: set[str] = set()
            for one in ordered:
                if one.backup_type not in kinds:
                    kinds.add(one.backup_type)
                    newest[one.execution_id] = one
            known = self._situation.proven
            newest_proven = next((one for one in ordered if one.execution_id in known), None) if known else None
            if newest_proven is not None:
                proven[newest_proven.execution_id] = newest_proven
        for one in newest.values():
            self._hold(one, "newest")
        for one in proven.values():
            self._hold(one, "newest_proven")

    # What the rules say

    def _count(self, job: JobRules | None, orders: Sequence[Sequence[Backup]]) -> None:
        if job is None:
            return
        for rule, period, count in rule_counts(job.rules):
            kept = {one.execution_id for ordered in orders for one in _newest_of_each(ordered, period, count, job.zone)}
            for execution_id in kept:
                self._kept_by[execution_id].append(rule)

    def _let_go(self, one: Backup) -> None:
        if one.execution_id not in self._holds and (limit := self._limit_of(one)) is not None:
            self._goes[one.execution_id] = limit

    def _limit_of(self, one: Backup) -> Limit | None:
        if one.purpose == "safety":
            return "safety_over"
        job = self._rules(one.job_id)
        if job is None:
            return None
        if job.rules.max_age is not None and self._situation.now - one.started_at > timedelta(
            seconds=job.rules.max_age
        ):
            return "max_age"
        return "not_kept" if job.counts and one.execution_id not in self._kept_by else None

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
                del self._holds[execution_id]

    def _make_room(self) -> None:
        for job_id, backups in self._jobs.items():
            job = self._rules(job_id)
            if job is not None and job.rules.max_total_size is not None:
                self._shrink(backups, job.rules.max_total_size)
        if (room := self._situation.room.get(self._storage)) is not None:
            self._shrink([one for one, _ in self._here if self._is_sure(one)], room)

    def _shrink(self, backups: Sequence[Backup], room: int) -> None:
        """Let the oldest go, until the rest fits or all that is left is protected."""
        left = [one for one in backups if one.execution_id not in self._goes]
        total = sum(_size(one) for one in left)
        if total <= room:
            return
        oldest_first = _both_orders(left)[0][::-1]
        places = {one.execution_id: place for place, one in enumerate(oldest_first)} if self._situation.needs else {}
        users = self._users()
        # Sorted already, and so a heap.
        to_look_at = list(range(len(oldest_first)))
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

    def _may_go(self, one: Backup) -> bool:
        return one.execution_id not in self._goes and one.execution_id not in self._holds

    def _users(self) -> Counter[str]:
        """How many that stay need each one."""
        needs = self._situation.needs
        if not needs:
            return Counter()
        staying = (one.execution_id for one, _ in self._here if one.execution_id not in self._goes)
        return Counter(needed for user in staying for needed in needs.get(user, frozenset()))

    # What is said of it

    def _outlook(self, job_id: str, backups: Sequence[Backup]) -> Outlook | None:
        job = self._rules(job_id)
        if job is None:
            return None
        staying = [one for one in backups if one.execution_id not in self._goes]
        if not staying:
            return None
        return Outlook(by_job(staying)[0], job.rules, job.zone, job.next_backup, self._situation.now)

    def _verdict(self, one: Backup, copy: KnownCopy, outlook: Outlook | None) -> Verdict:
        removed_by = self._goes.get(one.execution_id)
        expires_at, expiry = self._expiry(one, outlook)
        return Verdict(
            execution_id=one.execution_id,
            job_id=one.job_id,
            job=one.job,
            datasource=one.datasource,
            storage=self._storage,
            folder=one.folder or "",
            path=one.path(copy),
            taken_at=one.started_at,
            bytes=_size(one),
            removed_by=removed_by,
            kept_by=tuple(self._kept_by.get(one.execution_id, ())),
            holds=tuple(self._holds.get(one.execution_id, ())),
            expires_at=expires_at,
            expiry=expiry,
        )

    def _expiry(self, one: Backup, outlook: Outlook | None) -> tuple[datetime | None, Expiry]:
        if one.execution_id in self._goes:
            return self._situation.now, "known"
        kinds: set[HoldKind] = {hold.kind for hold in self._holds.get(one.execution_id, ())}
        if kinds & {"pinned", "no_rule"}:
            return None, "never"
        if "safety" in kinds and kinds == {"safety"} and one.protected_until is not None:
            return one.protected_until, "known"
        if outlook is None or kinds - {"newest"}:
            return None, "unknown"
        return self._end_by_rules(one, outlook, newest="newest" in kinds)

    def _end_by_rules(self, one: Backup, outlook: Outlook, *, newest: bool) -> tuple[datetime | None, Expiry]:
        rules = outlook.rules
        limited = rules.max_total_size is not None or self._storage in self._situation.room
        kept_by = self._kept_by.get(one.execution_id, ())
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


def _size(one: Backup) -> int:
    return one.compressed_size_bytes or 0
