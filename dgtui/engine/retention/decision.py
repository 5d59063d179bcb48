"""What stays and what goes, decided from nothing but what is handed in: preview and deletion are this function.

Of the backups of a job, and of all of them, what can be said at once is said at once: there may be a hundred thousand.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from operator import attrgetter

from dgtui.engine.model import Backup
from dgtui.engine.retention.calendar import both_orders, newest_of_each, rule_counts
from dgtui.engine.retention.situation import JobRules, Situation
from dgtui.engine.retention.verdicts import Hold, HoldKind, KeepRule, Limit


class Decision:
    """The decision for one storage."""

    def __init__(
        self, situation: Situation, storage: str, here: Sequence[Backup], doubts: Mapping[str, Sequence[str]]
    ) -> None:
        """`here` lies there, or may; `doubts` are those of places_of."""
        self.situation = situation
        self.storage = storage
        self.here = here
        self.kept_by: dict[str, list[KeepRule]] = {}
        self.goes: dict[str, Limit] = {}
        self._holds: dict[str, list[Hold]] = {}
        self._doubts = doubts
        self._unsure = {execution_id for execution_id, storages in doubts.items() if storage in storages}
        self._kept: dict[str, Backup] = {}
        """What rules keep, and the newest of jobs that have rules."""
        self._over: list[Backup] = []
        """Safety copies whose time is over."""
        self._needed: dict[str, Limit] = {}
        """What would go if nothing needed it."""
        self.jobs: dict[str, list[Backup]] = defaultdict(list)
        """Whole backups by job, without safety copies: what the rules count."""
        for one in here:
            if one.purpose != "safety" and one.execution_id not in self._unsure:
                self.jobs[one.job_id].append(one)
        self._decide()

    def _decide(self) -> None:
        self._protect()
        for job_id, backups in self.jobs.items():
            orders = both_orders(backups)
            newest = self._protect_newest(orders)
            if (job := self.rules(job_id)) is not None:
                self._kept |= newest | self._count(job, orders)
            self._let_go(job_id, backups)
        self._let_safety_go()
        self._keep_needed()
        self._make_room()
        self._release_needed()

    def rules(self, job_id: str) -> JobRules | None:
        """The rules of a job here."""
        return self.situation.rules.get((job_id, self.storage))

    def holds(self, one: Backup) -> Sequence[Hold]:
        """What keeps a backup whatever the rules say."""
        found = self._holds.get(one.execution_id)
        return self._of_job(one) if found is None else found

    @property
    def relied_on(self) -> list[Backup]:
        """The backups that others go for: what rules keep, the newest of jobs with rules and of datasources."""
        found = [one for one in self._kept.values() if one.execution_id not in self.goes]
        return found + [self._newest_of(datasource) for datasource in {one.datasource for one in self._over}]

    # What is protected

    def _of_job(self, one: Backup) -> Sequence[Hold]:
        """What protects all backups of its job."""
        return () if one.purpose == "safety" else self._standing[one.job_id]

    @cached_property
    def _standing(self) -> dict[str, tuple[Hold, ...]]:
        standing: dict[str, tuple[Hold, ...]] = {}
        for job_id in {one.job_id for one in self.here}:
            if self.rules(job_id) is None:
                standing[job_id] = (Hold(kind="no_rule"),)
            elif (job_id, self.storage) in self.situation.failed_uploads:
                standing[job_id] = (Hold(kind="upload_failed", detail=self.storage),)
            else:
                standing[job_id] = ()
        return standing

    def _hold(self, one: Backup, kind: HoldKind, detail: str = "") -> None:
        if one.execution_id not in self._holds:
            self._holds[one.execution_id] = list(self._of_job(one))
        self._holds[one.execution_id].append(Hold(kind=kind, detail=detail))

    def _protect(self) -> None:
        situation, doubts = self.situation, self._doubts
        named: Collection[str] = situation.in_use | situation.ways_back.keys() | doubts.keys()
        for one in [
            one for one in self.here if one.pin is not None or one.execution_id in named or one.purpose == "safety"
        ]:
            if one.pin is not None:
                self._holds[one.execution_id] = [Hold(kind="pinned", detail=one.pin), *self._of_job(one)]
            if one.purpose == "safety":
                self._protect_safety(one)
            if one.execution_id in situation.in_use:
                self._hold(one, "in_use")
            if one.execution_id in situation.ways_back:
                self._hold(one, "way_back", situation.ways_back[one.execution_id])
            if one.execution_id in doubts:
                self._protect_doubtful(one)

    def _protect_safety(self, one: Backup) -> None:
        until = one.protected_until
        if until is None or until > self.situation.now:
            self._hold(one, "safety")
        elif one.datasource not in self._datasources:
            self._hold(one, "newest")

    @cached_property
    def _datasources(self) -> frozenset[str]:
        """Those with a whole backup here."""
        return frozenset(one.datasource for backups in self.jobs.values() for one in backups)

    def _newest_of(self, datasource: str) -> Backup:
        """The newest whole one of a datasource that has one."""
        own = (one for backups in self.jobs.values() for one in backups if one.datasource == datasource)
        return max(own, key=attrgetter("sequence"))

    def _protect_doubtful(self, one: Backup) -> None:
        if one.execution_id in self._unsure:
            self._hold(one, "in_doubt", next(copy.status for copy in one.copies if copy.storage == self.storage))
        for storage in self._doubts[one.execution_id]:
            if storage != self.storage:
                self._hold(one, "copy_in_doubt", storage)

    def _protect_newest(self, orders: Sequence[Sequence[Backup]]) -> dict[str, Backup]:
        """The newest whole backup of each kind, and the newest proven one, in both orders."""
        newest: dict[str, Backup] = {}
        proven: dict[str, Backup] = {}
        for ordered in orders:
            # The first of each is the last that is written down of those that come from the end.
            of_kinds = {one.backup_type: one for one in reversed(ordered)}
            newest |= {one.execution_id: one for one in of_kinds.values()}
            known = self.situation.proven
            newest_proven = next((one for one in ordered if one.execution_id in known), None) if known else None
            if newest_proven is not None:
                proven[newest_proven.execution_id] = newest_proven
        for one in newest.values():
            self._hold(one, "newest")
        for one in proven.values():
            self._hold(one, "newest_proven")
        return newest | proven

    # What the rules say

    def _count(self, job: JobRules, orders: Sequence[Sequence[Backup]]) -> dict[str, Backup]:
        found: dict[str, Backup] = {}
        for rule, period, count in rule_counts(job.rules):
            kept = {
                one.execution_id: one
                for place, ordered in enumerate(orders)
                for one in newest_of_each(ordered, period, count, job.zone, by_time=not place)
            }
            for execution_id in kept:
                self.kept_by.setdefault(execution_id, []).append(rule)
            found |= kept
        return found

    def _let_go(self, job_id: str, backups: Sequence[Backup]) -> None:
        job = self.rules(job_id)
        if job is None or self._standing[job_id]:
            return
        free = {one.execution_id for one in backups} - self._holds.keys()
        if job.counts:
            self.goes |= dict.fromkeys(free - self.kept_by.keys(), "not_kept")
        if job.rules.max_age is not None:
            now, oldest = self.situation.now, timedelta(seconds=job.rules.max_age)
            too_old = {one.execution_id for one in backups if now - one.started_at > oldest}
            self.goes |= dict.fromkeys(free & too_old, "max_age")

    def _let_safety_go(self) -> None:
        self._over = [one for one in self.here if one.purpose == "safety" and one.execution_id not in self._holds]
        self.goes |= {one.execution_id: "safety_over" for one in self._over}

    def _keep_needed(self) -> None:
        """What a backup that stays needs stays too, and what that needs."""
        if not self.situation.needs:
            return
        by_id = {one.execution_id: one for one in self.here}
        staying = [execution_id for execution_id in by_id if execution_id not in self.goes]
        while staying:
            for needed in self.situation.needs.get(user := staying.pop(), frozenset()):
                if needed in self.goes:
                    self._needed[needed] = self.goes.pop(needed)
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
                self.goes[execution_id] = self._needed.pop(execution_id)
                del self._holds[execution_id]

    def _make_room(self) -> None:
        for job_id, backups in self.jobs.items():
            job = self.rules(job_id)
            if job is not None and job.rules.max_total_size is not None:
                self._shrink(backups, job.rules.max_total_size)
        if (room := self.situation.room.get(self.storage)) is not None:
            self._shrink([one for one in self.here if one.execution_id not in self._unsure], room)

    def _shrink(self, backups: Sequence[Backup], room: int) -> None:
        """Let the oldest go, until the rest fits or all that is left is protected."""
        left = [one for one in backups if one.execution_id not in self.goes]
        excess = sum(map(size_of, left)) - room
        if excess <= 0:
            return
        oldest_first = both_orders(left)[0][::-1]
        for one in self._in_turn(oldest_first) if self.situation.needs else filter(self._may_go, oldest_first):
            self.goes[one.execution_id] = "max_total_size"
            excess -= size_of(one)
            if excess <= 0:
                return

    def _in_turn(self, oldest_first: Sequence[Backup]) -> Iterator[Backup]:
        """What may go, the oldest first of what nothing needs that is left: what was let go is gone when it goes on."""
        places = {one.execution_id: place for place, one in enumerate(oldest_first)}
        users = self._users()
        # Sorted already, and so a heap.
        to_look_at = list(range(len(oldest_first)))
        while to_look_at:
            one = oldest_first[heapq.heappop(to_look_at)]
            if not self._may_go(one) or users[one.execution_id]:
                continue
            yield one
            # What only this one needed may go now, although it was passed over.
            for needed in self.situation.needs.get(one.execution_id, frozenset()):
                users[needed] -= 1
                if not users[needed] and needed in places:
                    heapq.heappush(to_look_at, places[needed])

    def _may_go(self, one: Backup) -> bool:
        return not (one.execution_id in self.goes or one.execution_id in self._holds or self._of_job(one))

    def _users(self) -> Counter[str]:
        """How many that stay need each one."""
        needs = self.situation.needs
        if not needs:
            return Counter()
        staying = (one.execution_id for one in self.here if one.execution_id not in self.goes)
        return Counter(needed for user in staying for needed in needs.get(user, frozenset()))


def size_of(one: Backup) -> int:
    """What goes free when it goes."""
    return one.compressed_size_bytes or 0
