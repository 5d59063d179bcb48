"""Which copies are there now: by the names of the folders, and by looking into those that others may go for.

Whether there is a folder of its name tells what is gone, of a hundred thousand backups at once. Whether it holds a
backup is looked up of what a decision relies on, and of what was not known to be there; of what goes, and of its
other copies, just before it is removed.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import msgspec

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.backups import save_states, storages_with_copies
from dgtui.engine.catalog.catalog import KNOWN_TO_BE_LOST
from dgtui.engine.job_backups import Backups, JobBackups
from dgtui.engine.model import Alike, Backup, CopyStatus, KnownCopy, copies_of, where_text
from dgtui.engine.storages.base import Storage
from dgtui.engine.stored import folder_of, know_marker

_ANSWERS: tuple[CopyStatus, ...] = ("available", "missing")
"""What a storage says of a copy that it can be asked for."""
_LISTED_AT_ONCE = 25
_Found = dict[str, CopyStatus]
"""By execution the states that differ from what was known."""


def _lacks(job: JobBackups, names: frozenset[str] | None, there: Collection[str]) -> bool:
    """Whether names are not yet those of all of a job that is known to be there (`there` has its places)."""
    if names is None:
        return True
    if names.issuperset(job.folders):
        return False
    known = [kind.where in there for kind in job.kinds]
    return any(known[kind] and folder not in names for kind, folder in zip(job.kind_of, job.folders, strict=True))


class Presence:
    """Asks the storages, and tells the catalogue what is not as it knew it."""

    def __init__(self, catalog: Catalog, config: Config, at: datetime) -> None:
        self._catalog = catalog
        self._config = config
        self._at = at
        self._looked_into: set[tuple[str, str]] = set()
        self.names: dict[str, dict[str, frozenset[str]]] = {}
        """By storage and job (by id) what lay there when it was asked."""
        self._silent: set[str] = set()

    def ahead(self, job_ids: Collection[str]) -> Iterator[None]:
        """Ask the storages for the names in the folders of these jobs, some jobs at each step.

        For somebody who waits for the catalogue: what is not found by these names is asked for again.
        """
        for storage in storages_with_copies(self._catalog, self._config.storages):
            adapter = self._config.storage(storage)
            know_marker(self._catalog, adapter)
            rest = iter(job_ids)
            while some := list(islice(rest, _LISTED_AT_ONCE)):
                self._list(storage, adapter, some)
                if storage in self._silent:
                    break
                yield

    def as_they_are(self, known: Backups) -> Backups:
        """Backups with their copies as they are now."""
        places: dict[str, dict[str, KnownCopy]] = defaultdict(dict)
        for where in {kind.where for job in known.jobs for kind in job.kinds}:
            for copy in copies_of(where):
                if not copy.judged and copy.place:
                    places[copy.storage][where] = copy
        return _changed(
            known, {storage: self._found_at(storage, known.jobs, copies) for storage, copies in sorted(places.items())}
        )

    def without_hollow(self, known: Backups, relied_on: Iterable[tuple[str, Sequence[Backup]]]) -> Backups | None:
        """The backups as they are once those that are relied on were looked into; None where nothing is otherwise."""
        found: dict[str, _Found] = {}
        for storage, backups in relied_on:
            new = [one for one in backups if (storage, one.execution_id) not in self._looked_into]
            statuses = self._look_into(storage, new)
            found[storage] = {one: status for one, status in statuses.items() if status != "available"}
            save_states(self._catalog, storage, found[storage], self._at)
        return _changed(known, found) if any(found.values()) else None

    def _found_at(self, storage: str, jobs: Sequence[JobBackups], copies: Mapping[str, KnownCopy]) -> _Found:
        with_copies = (job.of_kinds(lambda kind: kind.where in copies) for job in jobs)
        told, answers = self._told(storage, [job for job in with_copies if len(job)], copies)
        found: _Found = {}
        # As they follow each other in the catalogue, so that each of its pages is written once.
        for one, status in sorted(told, key=lambda each: each[0].sequence):
            known = copies[one.where].status
            if status != known and (status in _ANSWERS or known not in KNOWN_TO_BE_LOST):
                found[one.execution_id] = status
        if answers:
            save_states(self._catalog, storage, found, self._at)
        elif found:
            self._catalog.save_silence(storage, next(iter(found.values())), self._at)
        return found

    def _told(
        self, storage: str, jobs: Sequence[JobBackups], copies: Mapping[str, KnownCopy]
    ) -> tuple[list[tuple[Backup, CopyStatus]], bool]:
        """What a storage says of copies, but of those that are there as they were; and whether it says anything."""
        if storage not in self._config.storages:
            return [(one, "unknown") for job in jobs for one in job], False
        adapter = self._config.storage(storage)
        know_marker(self._catalog, adapter)
        there = {where for where, copy in copies.items() if copy.status == "available"}
        listed = self.names.setdefault(storage, {})
        # What was asked for ahead may have come since.
        again = [job.job_id for job in jobs if _lacks(job, listed.get(job.job_id), there)]
        if again and storage not in self._silent:
            self._list(storage, adapter, again)
        told: list[tuple[Backup, CopyStatus]] = []
        uncertain: list[Backup] = []
        for job in jobs:
            names = listed.get(job.job_id)
            if names is None:
                told += [(one, "unreachable") for one in job]
                continue
            if not names.issuperset(job.folders):
                # Of those that were known to be gone there is nothing to tell, and they may be almost all.
                known = job.of_kinds(lambda kind: copies[kind.where].status != "missing")
                told += [(one, "missing") for one in known.selected([folder not in names for folder in known.folders])]
            elsewhere = job.of_kinds(lambda kind: kind.where not in there)
            uncertain += elsewhere.selected([folder in names for folder in elsewhere.folders])
        statuses = self._look_into(storage, uncertain)
        return [*told, *((one, statuses[one.execution_id]) for one in uncertain)], bool(listed)

    def _list(self, storage: str, adapter: Storage[Any], job_ids: Sequence[str]) -> None:
        """Ask for the names in the folders of these jobs; what cannot be told, is not told of any more."""
        listed, told = self.names.setdefault(storage, {}), adapter.folders(job_ids)
        for job_id in job_ids:
            listed.pop(job_id, None)
            if (names := told.get(job_id)) is not None:
                listed[job_id] = names
        if len(told) < len(job_ids):
            self._silent.add(storage)

    def _look_into(self, storage: str, backups: Sequence[Backup]) -> _Found:
        """The states of copies by what is in their folders."""
        if not backups:
            return {}
        self._looked_into |= {(storage, one.execution_id) for one in backups}
        adapter = self._config.storage(storage)
        know_marker(self._catalog, adapter)
        places = {one.execution_id: folder_of(one) for one in backups}
        statuses = adapter.copy_statuses(list(places.values()))
        return {execution_id: statuses[place] for execution_id, place in places.items()}


def _changed(known: Backups, found: Mapping[str, _Found]) -> Backups:
    """The backups with the states that were found."""
    changed: dict[str, dict[str, CopyStatus]] = defaultdict(dict)
    for storage, states in found.items():
        for execution_id, status in states.items():
            changed[execution_id][storage] = status
    return Backups([_with(job, changed) for job in known.jobs]) if changed else known


def _with(job: JobBackups, changed: Mapping[str, Mapping[str, CopyStatus]]) -> JobBackups:
    places = [place for place, one in enumerate(job.execution_ids) if one in changed]
    if not places:
        return job
    kinds, kind_of = list(job.kinds), list(job.kind_of)
    made: dict[tuple[int, tuple[tuple[str, CopyStatus], ...]], int] = {}
    for place in places:
        states = changed[job.execution_ids[place]]
        what = kind_of[place], tuple(states.items())
        if what not in made:
            made[what] = len(kinds)
            kinds.append(_in_states(kinds[kind_of[place]], states))
        kind_of[place] = made[what]
    return job.like(kinds, kind_of)


def _in_states(kind: Alike, states: Mapping[str, CopyStatus]) -> Alike:
    copies = (
        msgspec.structs.replace(copy, status=states[copy.storage]) if copy.storage in states else copy
        for copy in copies_of(kind.where)
    )
    return msgspec.structs.replace(kind, where=where_text(copies))
