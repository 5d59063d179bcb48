"""What was decided, as it is told: the sums of what goes at once, each verdict where somebody asks for it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from itertools import chain, compress
from operator import attrgetter, itemgetter

from dgtui.engine.job_backups import JobBackups, in_order
from dgtui.engine.model import OWN_FOLDERS, Alike, Backup, Record, copies_of
from dgtui.engine.retention.calendar import rule_counts
from dgtui.engine.retention.decision import Decision, size_of
from dgtui.engine.retention.expiry import Outlook
from dgtui.engine.retention.situation import Situation, concerned, places_of
from dgtui.engine.retention.verdicts import Expiry, HoldKind, Limit, Verdict


class Going(Record, frozen=True):
    """What goes from a storage of one job for one reason."""

    job: str
    storage: str
    removed_by: Limit
    count: int
    bytes: int
    oldest: datetime
    newest: datetime


class RetentionPlan:
    """The verdicts on all backups that were looked at."""

    def __init__(self, made_at: datetime, parts: "Sequence[_Part]") -> None:
        self.made_at = made_at
        self._parts = parts

    @cached_property
    def verdicts(self) -> tuple[Verdict, ...]:
        """On each backup at each of its storages."""
        return tuple(verdict for part in self._parts for verdict in part.verdicts(part.told))

    @cached_property
    def removals(self) -> tuple[Verdict, ...]:
        """What goes, the oldest first."""
        going = chain.from_iterable(part.removals(job) for part in self._parts for job in part.going)
        # Of one moment they stay in the order of their storages.
        return tuple(sorted(going, key=attrgetter("taken_at")))

    @cached_property
    def kept(self) -> tuple[Verdict, ...]:
        """What stays."""
        return tuple(verdict for part in self._parts for verdict in part.verdicts(part.staying))

    @property
    def freed_bytes(self) -> int:
        """What the removals free."""
        return sum(one.bytes for one in self.going)

    @cached_property
    def going(self) -> tuple[Going, ...]:
        """What goes, summed up."""
        return tuple(one for part in self._parts for one in part.summed_up())

    @property
    def relied_on(self) -> "Iterable[tuple[str, list[Backup]]]":
        """By storage the backups that others may go for, because these stay."""
        return ((part.decision.storage, part.decision.relied_on) for part in self._parts if part.lets_go)

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


def decide(
    situation: Situation, told: Callable[[Alike], bool] | None = None, *, only: str | None = None
) -> RetentionPlan:
    """The verdict on each backup at each of its storages.

    With `told` on those of such kinds, with `only` on the one with this id, decided as among all.
    """
    places = places_of(situation)
    parts: list[_Part] = []
    for storage in sorted(places):
        here = places[storage]
        chosen = here if told is None else [some for job in here if len(some := job.of_kinds(told))]
        if only is not None:
            chosen = [one for job in chosen if len(one := job.only(only))]
        if chosen:
            parts.append(_Part(Decision(situation, storage, concerned(situation, storage, here, chosen)), chosen))
    return RetentionPlan(situation.now, parts)


class _Part:
    """What is told of the decision for one storage."""

    def __init__(self, decision: Decision, told: Sequence[JobBackups]) -> None:
        self.decision = decision
        self.told = told
        self._outlooks: dict[str, Outlook | None] = {}

    @property
    def lets_go(self) -> bool:
        goes = self.decision.goes
        return any(one in goes for job in self.told for one in job.execution_ids)

    @property
    def going(self) -> Sequence[JobBackups]:
        goes = self.decision.goes
        return [job.selected([one in goes for one in job.execution_ids]) for job in self.told]

    @property
    def staying(self) -> Sequence[JobBackups]:
        return [self._staying(job) for job in self.told]

    def _staying(self, job: JobBackups) -> JobBackups:
        goes = self.decision.goes
        return job.selected([one not in goes for one in job.execution_ids])

    def summed_up(self) -> Iterator[Going]:
        going = []
        for job in self.told:
            limits = list(map(self.decision.goes.get, job.execution_ids))
            if any(limits):
                first = next(compress(job.sequences, limits))
                going.append((first, job, limits))
        for _, job, limits in sorted(going, key=itemgetter(0)):
            for removed_by in dict.fromkeys(limit for limit in limits if limit is not None):
                selectors = [limit == removed_by for limit in limits]
                taken = list(compress(job.taken, selectors))
                yield Going(
                    job=job.kinds[next(compress(job.kind_of, selectors))].job,
                    storage=self.decision.storage,
                    removed_by=removed_by,
                    count=len(taken),
                    bytes=sum(filter(None, compress(job.sizes, selectors))),
                    oldest=min(taken),
                    newest=max(taken),
                )

    def removals(self, going: JobBackups) -> Iterator[Verdict]:
        """The verdicts on what goes of a job, of which there may be a hundred thousand; nothing holds any of it."""
        decision, kept_by = self.decision, self.decision.kept_by
        places = [
            next(copy.place for copy in copies_of(kind.where) if copy.storage == decision.storage)
            for kind in going.kinds
        ]
        columns = (going.kind_of, going.execution_ids, going.taken, going.sizes, going.folders)
        for number, one, taken, size, folder in zip(*columns, strict=True):
            kind = going.kinds[number]
            yield Verdict(
                execution_id=one,
                job_id=kind.job_id,
                job=kind.job,
                datasource=kind.datasource,
                storage=decision.storage,
                folder=folder or "",
                path=places[number].replace(OWN_FOLDERS, f"{kind.job_id}/{folder}"),
                taken_at=taken,
                bytes=size or 0,
                removed_by=decision.goes[one],
                kept_by=tuple(kept_by[one]) if one in kept_by else (),
                holds=(),
                expires_at=decision.situation.now,
                expiry="known",
            )

    def verdicts(self, told: Iterable[JobBackups]) -> Iterable[Verdict]:
        return map(self._verdict, in_order(told))

    def _verdict(self, one: Backup) -> Verdict:
        decision = self.decision
        expires_at, expiry = self._expiry(one)
        return Verdict(
            execution_id=one.execution_id,
            job_id=one.job_id,
            job=one.job,
            datasource=one.datasource,
            storage=decision.storage,
            folder=one.folder or "",
            path=next(one.path(copy) for copy in one.copies if copy.storage == decision.storage),
            taken_at=one.started_at,
            bytes=size_of(one),
            removed_by=decision.goes.get(one.execution_id),
            kept_by=tuple(decision.kept_by.get(one.execution_id, ())),
            holds=tuple(decision.holds(one)),
            expires_at=expires_at,
            expiry=expiry,
        )

    def _outlook(self, job_id: str) -> Outlook | None:
        """What becomes of a job's backups; None where it has no rules, or none that is whole."""
        if job_id not in self._outlooks:
            decision, job = self.decision, self.decision.rules(job_id)
            backups = decision.jobs.get(job_id)
            self._outlooks[job_id] = (
                None
                if job is None or backups is None
                else Outlook(self._staying(backups), job.rules, job.zone, job.next_backup, decision.situation.now)
            )
        return self._outlooks[job_id]

    def _expiry(self, one: Backup) -> tuple[datetime | None, Expiry]:
        decision = self.decision
        if one.execution_id in decision.goes:
            return decision.situation.now, "known"
        kinds: set[HoldKind] = {hold.kind for hold in decision.holds(one)}
        if kinds & {"pinned", "no_rule"}:
            return None, "never"
        if "safety" in kinds and kinds == {"safety"} and one.protected_until is not None:
            return one.protected_until, "known"
        outlook = self._outlook(one.job_id)
        if outlook is None or kinds - {"newest"}:
            return None, "unknown"
        return self._end_by_rules(one, outlook, newest="newest" in kinds)

    def _end_by_rules(self, one: Backup, outlook: Outlook, *, newest: bool) -> tuple[datetime | None, Expiry]:
        rules, decision = outlook.rules, self.decision
        limited = rules.max_total_size is not None or decision.storage in decision.situation.room
        kept_by = decision.kept_by.get(one.execution_id, ())
        end = outlook.end(one.execution_id, kept_by)
        counts = any(True for _ in rule_counts(rules))
        if rules.max_age is not None:
            too_old = one.started_at + timedelta(seconds=rules.max_age)
            end = too_old if end is None else min(end, too_old)
            limited = limited or (counts and outlook.end(one.execution_id, kept_by) is None)
        elif not counts:
            return None, "unknown" if limited else "never"
        if newest:
            coming = outlook.next_backup(decision.situation.now)
            end = None if end is None or coming is None else max(end, coming)
        if end is None:
            return None, "unknown"
        return end, "at_latest" if limited else "known"
