"""Which copies are there now: by the names of the folders, and by looking into those that others may go for.

Whether there is a folder of its name tells what is gone, of a hundred thousand backups at once. Whether it holds a
backup is looked up of what a decision relies on, and of what was not known to be there; of what goes, and of its
other copies, just before it is removed.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.catalog import KNOWN_TO_BE_LOST
from dgtui.engine.model import Backup, Copy, CopyStatus, KnownCopy, copies_of, where_text
from dgtui.engine.stored import folder_of, know_marker

_ANSWERS: tuple[CopyStatus, ...] = ("available", "missing")
"""What a storage says of a copy that it can be asked for."""
_Found = dict[str, CopyStatus]
"""By execution the states that differ from what was known."""


class Presence:
    """Asks the storages, and tells the catalogue what is not as it knew it."""

    def __init__(self, catalog: Catalog, config: Config, at: datetime) -> None:
        self._catalog = catalog
        self._config = config
        self._at = at
        self._looked_into: set[tuple[str, str]] = set()

    def as_they_are(self, known: Sequence[Backup]) -> list[Backup]:
        """Backups with their copies as they are now."""
        wheres = {one.where for one in known}
        places: dict[str, dict[str, KnownCopy]] = defaultdict(dict)
        for where in wheres:
            for copy in copies_of(where):
                if not copy.judged and copy.place:
                    places[copy.storage][where] = copy
        found: dict[str, _Found] = {}
        for storage, copies in sorted(places.items()):
            asked = [one for one in known if one.where in copies]
            found[storage] = self._found_at(storage, asked, copies)
        return _changed(known, found)

    def without_hollow(
        self, known: Sequence[Backup], relied_on: Iterable[tuple[str, Sequence[Backup]]]
    ) -> list[Backup] | None:
        """The backups as they are once those that are relied on were looked into; None where nothing is otherwise."""
        found: dict[str, _Found] = {}
        for storage, backups in relied_on:
            new = [one for one in backups if (storage, one.execution_id) not in self._looked_into]
            statuses = self._look_into(storage, new)
            found[storage] = {one: status for one, status in statuses.items() if status != "available"}
            self._save(storage, [one for one in new if one.execution_id in found[storage]], found[storage])
        return _changed(known, found) if any(found.values()) else None

    def _found_at(self, storage: str, asked: Sequence[Backup], copies: Mapping[str, KnownCopy]) -> _Found:
        there = {where for where, copy in copies.items() if copy.status == "available"}
        told, answers = self._told(storage, asked, there)
        found: _Found = {}
        # What was known to be there, and of which nothing else is told, is there.
        for one in [one for one in asked if one.execution_id in told] if told else ():
            status, known = told.get(one.execution_id, "available"), copies[one.where].status
            if status != known and (status in _ANSWERS or known not in KNOWN_TO_BE_LOST):
                found[one.execution_id] = status
        if answers:
            self._save(storage, [one for one in asked if one.execution_id in found], found)
        elif found:
            self._catalog.save_silence(storage, next(iter(found.values())), self._at)
        return found

    def _told(self, storage: str, asked: Sequence[Backup], there: set[str]) -> tuple[_Found, bool]:
        """What a storage says of copies but "available", and whether it says anything; `there` were so before."""
        if storage not in self._config.storages:
            return {one.execution_id: "unknown" for one in asked}, False
        adapter = self._config.storage(storage)
        know_marker(self._catalog, adapter)
        by_job: dict[str, list[Backup]] = defaultdict(list)
        for one in asked:
            by_job[one.job_id].append(one)
        folders = adapter.folders(by_job.keys())
        told: _Found = {}
        uncertain: list[Backup] = []
        for job_id, backups in by_job.items():
            names = folders.get(job_id)
            if names is None:
                told |= {one.execution_id: "unreachable" for one in backups}
                continue
            for one in [one for one in backups if one.folder not in names or one.where not in there]:
                if one.folder in names:
                    uncertain.append(one)
                else:
                    told[one.execution_id] = "missing"
        return told | self._look_into(storage, uncertain), bool(folders)

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

    def _save(self, storage: str, changed: Sequence[Backup], found: _Found) -> None:
        self._catalog.save_copies(
            {
                one.execution_id: Copy(
                    storage=storage,
                    status=found[one.execution_id],
                    path=next(one.path(copy) for copy in one.copies if copy.storage == storage),
                    checked_at=self._at,
                )
                for one in changed
            }
        )


def _changed(known: Sequence[Backup], found: Mapping[str, _Found]) -> list[Backup]:
    """The backups with the states that were found."""
    changed: dict[str, dict[str, CopyStatus]] = defaultdict(dict)
    for storage, states in found.items():
        for execution_id, status in states.items():
            changed[execution_id][storage] = status
    if not changed:
        return list(known)
    return [_with(one, changed[one.execution_id]) if one.execution_id in changed else one for one in known]


def _with(one: Backup, states: Mapping[str, CopyStatus]) -> Backup:
    copies = (
        msgspec.structs.replace(copy, status=states[copy.storage]) if copy.storage in states else copy
        for copy in one.copies
    )
    return msgspec.structs.replace(one, where=where_text(copies))
