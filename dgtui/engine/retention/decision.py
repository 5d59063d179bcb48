"""What stays and what goes, decided from nothing but what is handed in: preview and deletion are this function.

Of the backups of a job, and of all of them, what can be said at once is said at once: there may be a hundred thousand.
"""

import heapq
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from itertools import chain, compress
from operator import attrgetter

from dgtui.engine.job_backups import JobBackups
from dgtui.engine.model import Alike, Backup
from dgtui.engine.retention.calendar import newest_of_each, rule_counts
from dgtui.engine.retention.situation import JobRules, Situation, doubts_of
from dgtui.engine.retention.verdicts import Hold, HoldKind, KeepRule, Limit


class Decision:
    """The decision for one storage."""

    def __init__(self, situation: Situation, storage: str, here: Sequence[JobBackups]) -> None:
        """`here` lies there, or may."""
        self.situation = situation
        self.storage = storage
        self.here = here
        self.kept_by: dict[str, list[KeepRule]] = {}
        self.goes: dict[str, Limit] = {}
        self._holds: dict[str, list[Hold]] = {}
        self._kept: dict[str, Backup] = {}
        """What rules keep, and the newest of jobs that have rules."""
        self._over: list[Backup] = []
        """Safety copies whose time is over."""
        self._needed: dict[str, Limit] = {}
        """What would go if nothing needed it."""
        self.jobs: Mapping[str, JobBackups] = {
            whole.job_id: whole for job in here if len(whole := job.of_kinds(self._counts))
        }
        """Whole backups by job, without safety copies: what the rules count."""
        self._decide()

    def _counts(self, kind: Alike) -> bool:
        return kind.purpose != "safety" and self._is_sure(kind)

    def _is_sure(self, kind: Alike) -> bool:
        return self.storage not in doubts_of(kind.where)

    def _decide(self) -> None:
        self._protect()
        for job_id, backups in self.jobs.items():
            newest = self._protect_newest(backups.orders)
            if (job := self.rules(job_id)) is not None:
                self._kept |= newest | self._count(job, backups.orders)
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
        for job_id in [job.job_id for job in self.here]:
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
        situation = self.situation
        for one in self._special():
            if one.pin is not None:
                self._holds[one.execution_id] = [Hold(kind="pinned", detail=one.pin), *self._of_job(one)]
            if one.purpose == "safety":
                self._protect_safety(one)
            if one.execution_id in situation.in_use:
                self._hold(one, "in_use")
            if one.execution_id in situation.ways_back:
                self._hold(one, "way_back", situation.ways_back[one.execution_id])
            self._protect_doubtful(one)

    def _special(self) -> Iterator[Backup]:
        """What anything but rules may protect."""
        named: Collection[str] = self.situation.in_use | self.situation.ways_back.keys()
        for job in self.here:
            marked = [
                kind.pin is not None or kind.purpose == "safety" or bool(doubts_of(kind.where)) for kind in job.kinds
            ]
            if any(marked):
                yield from job.selected(
                    [marked[kind] or one in named for kind, one in zip(job.kind_of, job.execution_ids, strict=True)]
                )
            elif named:
                yield from job.selected([one in named for one in job.execution_ids])

    def _protect_safety(self, one: Backup) -> None:
        until = one.protected_until
        if until is None or until > self.situation.now:
            self._hold(one, "safety")
        elif one.datasource not in self._datasources:
            self._hold(one, "newest")

    @cached_property
    def _datasources(self) -> frozenset[str]:
        """Those with a whole backup here."""
        return frozenset(kind.datasource for job in self.jobs.values() for kind in job.kinds)

    def _newest_of(self, datasource: str) -> Backup:
        """The newest whole one of a datasource that has one."""
        own = (job.of_kinds(lambda kind: kind.datasource == datasource) for job in self.jobs.values())
        return max((job.backup(-1) for job in own if len(job)), key=attrgetter("sequence"))

    def _protect_doubtful(self, one: Backup) -> None:
        doubts = doubts_of(one.where)
        if self.storage in doubts:
            self._hold(one, "in_doubt", next(copy.status for copy in one.copies if copy.storage == self.storage))
        for storage in doubts:
            if storage != self.storage:
                self._hold(one, "copy_in_doubt", storage)

    def _protect_newest(self, orders: Sequence[JobBackups]) -> dict[str, Backup]:
        """The newest whole backup of each kind, and the newest proven one, in both orders."""
        newest: dict[str, Backup] = {}
        proven: dict[str, Backup] = {}
        known = self.situation.proven
        for ordered in orders:
            newest |= {ordered.execution_ids[place]: ordered.backup(place) for place in _newest_of_types(ordered)}
            places = range(len(ordered) - 1, -1, -1) if known else ()
            newest_proven = next((place for place in places if ordered.execution_ids[place] in known), None)
            if newest_proven is not None:
                proven[ordered.execution_ids[newest_proven]] = ordered.backup(newest_proven)
        for one in newest.values():
            self._hold(one, "newest")
        for one in proven.values():
            self._hold(one, "newest_proven")
        return newest | proven

    # What the rules say

    def _count(self, job: JobRules, orders: Sequence[JobBackups]) -> dict[str, Backup]:
        found: dict[str, Backup] = {}
        for rule, period, count in rule_counts(job.rules):
            kept = {
                ordered.execution_ids[place]: (ordered, place)
                for number, ordered in enumerate(orders)
                for place in newest_of_each(ordered.taken, period, count, job.zone, by_time=not number)
            }
            for execution_id, (ordered, place) in kept.items():
                self.kept_by.setdefault(execution_id, []).append(rule)
                if execution_id not in found:
                    found[execution_id] = ordered.backup(place)
        return found

    def _let_go(self, job_id: str, backups: JobBackups) -> None:
        job = self.rules(job_id)
        if job is None or self._standing[job_id]:
            return
        holds = self._holds
        if job.counts:
            self.goes |= dict.fromkeys(set(backups.execution_ids).difference(holds, self.kept_by), "not_kept")
        if job.rules.max_age is not None:
            now, oldest = self.situation.now, timedelta(seconds=job.rules.max_age)
            for one, taken in zip(backups.execution_ids, backups.taken, strict=True):
                if one not in holds and now - taken > oldest:
                    self.goes[one] = "max_age"

    def _let_safety_go(self) -> None:
        safety = (job.of_kinds(lambda kind: kind.purpose == "safety") for job in self.here)
        self._over = [one for job in safety for one in job if one.execution_id not in self._holds]
        self.goes |= {one.execution_id: "safety_over" for one in self._over}

    def _keep_needed(self) -> None:
        """What a backup that stays needs stays too, and what that needs."""
        if not self.situation.needs:
            return
        # In the order of all jobs together: of several that need one, the same is named whichever jobs they are of.
        every = sorted((one for job in self.here for one in job), key=attrgetter("sequence"))
        by_id = {one.execution_id: one for one in every}
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
                self._shrink([backups], job.rules.max_total_size)
        if (room := self.situation.room.get(self.storage)) is not None:
            self._shrink([job.of_kinds(self._is_sure) for job in self.here], room)

    def _shrink(self, jobs: Sequence[JobBackups], room: int) -> None:
        """Let the oldest go, until the rest fits or all that is left is protected."""
        excess = sum(map(self._size_left, jobs)) - room
        if excess <= 0:
            return
        free = [self._free(job) for job in jobs]
        ids = list(chain.from_iterable(job.execution_ids for job in free))
        sizes = list(chain.from_iterable(job.sizes for job in free))
        order = _oldest_first(free)
        for place in self._in_turn([ids[place] for place in order], order) if self.situation.needs else order:
            self.goes[ids[place]] = "max_total_size"
            excess -= sizes[place] or 0
            if excess <= 0:
                return

    def _size_left(self, job: JobBackups) -> int:
        goes = self.goes
        return sum(filter(None, compress(job.sizes, [one not in goes for one in job.execution_ids])))

    def _free(self, job: JobBackups) -> JobBackups:
        """What may go of a job."""
        if self._standing[job.job_id]:
            job = job.of_kinds(lambda kind: kind.purpose == "safety")
        goes, holds = self.goes, self._holds
        return job.selected([one not in goes and one not in holds for one in job.execution_ids])

    def _in_turn(self, oldest_first: Sequence[str], order: Sequence[int]) -> Iterator[int]:
        """What may go, the oldest first of what nothing needs that is left: what was let go is gone when it goes on."""
        places = {one: place for place, one in enumerate(oldest_first)}
        users = self._users()
        # Sorted already, and so a heap.
        to_look_at = list(range(len(oldest_first)))
        while to_look_at:
            place = heapq.heappop(to_look_at)
            one = oldest_first[place]
            if one in self.goes or users[one]:
                continue
            yield order[place]
            # What only this one needed may go now, although it was passed over.
            for needed in self.situation.needs.get(one, frozenset()):
                users[needed] -= 1
                if not users[needed] and needed in places:
                    heapq.heappush(to_look_at, places[needed])

    def _users(self) -> Counter[str]:
        """How many that stay need each one."""
        needs = self.situation.needs
        if not needs:
            return Counter()
        staying = (one for job in self.here for one in job.execution_ids if one not in self.goes)
        return Counter(needed for user in staying for needed in needs.get(user, frozenset()))


def _oldest_first(jobs: Sequence[JobBackups]) -> Sequence[int]:
    """The places of the backups of jobs, of one after the other, in the order of their times."""
    sequences = list(chain.from_iterable(job.sequences for job in jobs))
    order = sorted(range(len(sequences)), key=sequences.__getitem__)
    # That is their order already, but for clocks that were set back, and sorting makes use of it.
    order.sort(key=list(chain.from_iterable(job.taken for job in jobs)).__getitem__)
    return order


def _newest_of_types(ordered: JobBackups) -> Iterable[int]:
    """The place of the newest of each type."""
    types = [kind.backup_type for kind in ordered.kinds]
    found: dict[str, int] = {}
    for place in range(len(ordered) - 1, -1, -1):
        found.setdefault(types[ordered.kind_of[place]], place)
        if len(found) == len(set(types)):
            break
    return found.values()


def size_of(one: Backup) -> int:
    """What goes free when it goes."""
    return one.compressed_size_bytes or 0
