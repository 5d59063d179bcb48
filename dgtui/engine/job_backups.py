"""The backups of jobs column by column: of a hundred thousand it takes long to make an object each."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from itertools import compress
from operator import attrgetter, le
from typing import overload

from dgtui.engine.model import Alike, Backup


@dataclass(frozen=True)
class JobBackups:
    """Backups of one job, in the order of the catalogue."""

    job_id: str
    kinds: Sequence[Alike]
    """What they are like; each is what at least one of them is like."""
    kind_of: Sequence[int]
    """Which of these each is like."""
    execution_ids: Sequence[str]
    taken: Sequence[datetime]
    sizes: Sequence[int | None]
    folders: Sequence[str | None]
    sequences: Sequence[int]

    def __len__(self) -> int:
        return len(self.execution_ids)

    def __iter__(self) -> Iterator[Backup]:
        return map(self.backup, range(len(self)))

    def backup(self, place: int) -> Backup:
        """The one at a place."""
        kind = self.kinds[self.kind_of[place]]
        return Backup(
            execution_id=self.execution_ids[place],
            job_id=kind.job_id,
            job=kind.job,
            datasource=kind.datasource,
            status=kind.status,
            backup_type=kind.backup_type,
            started_at=self.taken[place],
            compressed_size_bytes=self.sizes[place],
            folder=self.folders[place],
            purpose=kind.purpose,
            protected_until=kind.protected_until,
            pin=kind.pin,
            sequence=self.sequences[place],
            where=kind.where,
        )

    @cached_property
    def orders(self) -> "Sequence[JobBackups]":
        """By their times and, where that is another order, by the catalogue's sequence; the newest last."""
        if all(map(le, self.taken, self.taken[1:])):
            return (self,)
        return self.at(sorted(range(len(self)), key=self.taken.__getitem__)), self

    def of_kinds(self, wanted: Callable[[Alike], bool]) -> "JobBackups":
        """Those that are like what is wanted; itself where all are."""
        chosen = [wanted(kind) for kind in self.kinds]
        if all(chosen):
            return self
        if not any(chosen):
            return self.selected(())
        return self.selected([chosen[kind] for kind in self.kind_of])

    def only(self, execution_id: str) -> "JobBackups":
        """The one with an id, or none."""
        return self.selected([one == execution_id for one in self.execution_ids])

    def selected(self, selectors: Sequence[bool]) -> "JobBackups":
        """Those that are selected, place by place."""
        chosen = replace(
            self,
            kind_of=list(compress(self.kind_of, selectors)),
            execution_ids=list(compress(self.execution_ids, selectors)),
            taken=list(compress(self.taken, selectors)),
            sizes=list(compress(self.sizes, selectors)),
            folders=list(compress(self.folders, selectors)),
            sequences=list(compress(self.sequences, selectors)),
        )
        return chosen.like(self.kinds, chosen.kind_of)

    def at(self, places: Sequence[int]) -> "JobBackups":
        """All of them in another order."""
        return JobBackups(
            job_id=self.job_id,
            kinds=self.kinds,
            kind_of=[self.kind_of[place] for place in places],
            execution_ids=[self.execution_ids[place] for place in places],
            taken=[self.taken[place] for place in places],
            sizes=[self.sizes[place] for place in places],
            folders=[self.folders[place] for place in places],
            sequences=[self.sequences[place] for place in places],
        )

    def like(self, kinds: Sequence[Alike], kind_of: Sequence[int]) -> "JobBackups":
        """The same, each like one of these kinds."""
        used = sorted(set(kind_of))
        if len(used) == len(kinds):
            return replace(self, kinds=kinds, kind_of=kind_of)
        new = {former: place for place, former in enumerate(used)}
        return replace(self, kinds=[kinds[kind] for kind in used], kind_of=[new[kind] for kind in kind_of])


class Backups(Sequence[Backup]):
    """Backups of many jobs in the order of the catalogue, of which each becomes an object where somebody wants it."""

    def __init__(self, jobs: Sequence[JobBackups]) -> None:
        self.jobs = jobs

    @cached_property
    def _each(self) -> list[Backup]:
        return in_order(self.jobs)

    def __len__(self) -> int:
        return sum(map(len, self.jobs))

    @overload
    def __getitem__(self, place: int) -> Backup: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Backup]: ...

    def __getitem__(self, place: int | slice) -> Backup | Sequence[Backup]:
        return self._each[place]


def in_order(jobs: Iterable[JobBackups]) -> list[Backup]:
    """Backups of many jobs, in the order of the catalogue."""
    return sorted((one for job in jobs for one in job), key=attrgetter("sequence"))


def by_job(backups: Sequence[Backup]) -> Sequence[JobBackups]:
    """Backups column by column."""
    if isinstance(backups, Backups):
        return backups.jobs
    of_jobs: dict[str, list[Backup]] = {}
    for one in backups:
        of_jobs.setdefault(one.job_id, []).append(one)
    return [_columns(job_id, sorted(some, key=attrgetter("sequence"))) for job_id, some in of_jobs.items()]


def _columns(job_id: str, backups: Sequence[Backup]) -> JobBackups:
    kinds: dict[Alike, int] = {}
    return JobBackups(
        job_id=job_id,
        kind_of=[kinds.setdefault(_kind(one), len(kinds)) for one in backups],
        kinds=tuple(kinds),
        execution_ids=[one.execution_id for one in backups],
        taken=[one.started_at for one in backups],
        sizes=[one.compressed_size_bytes for one in backups],
        folders=[one.folder for one in backups],
        sequences=[one.sequence for one in backups],
    )


def _kind(one: Backup) -> Alike:
    return Alike(**{name: getattr(one, name) for name in Alike.__struct_fields__})
