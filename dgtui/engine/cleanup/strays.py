"""Folders at a storage that are no backup of the catalogue: leftovers of broken runs, and what nobody knows."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import PurePath
from typing import Any, Literal

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.retention import RetentionTable
from dgtui.engine.errors import StorageError
from dgtui.engine.model import Record
from dgtui.engine.runs import RunPaths
from dgtui.engine.storages.base import FolderRef, KnownFolders, Leftover, Orphan, Storage
from dgtui.engine.stored import know_marker


class Stray(Record, frozen=True):
    """A folder at a storage that is no backup of the catalogue."""

    storage: str
    kind: Literal["leftover", "orphan", "unknown backup"]
    """Of a run or removal that broke off; without a manifest; a backup that `dgtui scan` would read in."""
    path: str
    bytes: int = 0
    changed_at: datetime | None = None
    removable_at: datetime | None = None
    """When its time of grace is over; None for what is never removed by itself."""
    owner: str = ""
    """The run that is writing it."""

    def may_go(self, now: datetime) -> bool:
        """Whether it is removed now."""
        return not self.owner and self.removable_at is not None and self.removable_at <= now


class Strays:
    """The strays of one storage, and how to remove them."""

    def __init__(
        self,
        catalog: Catalog,
        config: Config,
        paths: RunPaths,
        storage: str,
        *,
        known: KnownFolders | None = None,
        names: KnownFolders | None = None,
    ) -> None:
        """`known` and `names` are the folders of the catalogue and of the storage where they were asked for already.

        Raises ConfigError, StorageError.
        """
        self._storage: Storage[Any] = config.storage(storage)
        know_marker(catalog, self._storage)
        state = self._storage.examine()
        if state.status != "available":
            raise StorageError(state.message, subject=storage, hint=state.hint)
        self._known = RetentionTable(catalog).known_folders() if known is None else known
        # How long nothing may have changed in them: another machine's run may own them.
        self._leftovers_grace = timedelta(seconds=config.guardian.leftovers_grace)
        self._orphans_grace = timedelta(seconds=config.guardian.orphans_grace)
        self._catalog, self._paths = catalog, paths
        self._things: dict[str, Leftover | Orphan] = {}
        self.found: list[Stray] = []
        self.unread: StorageError | None = None
        """Why some folders could not be looked into."""
        if self._storage.marker_id() is not None:
            self._look(names)

    @cached_property
    def _owners(self) -> frozenset[str]:
        """The executions that living runs write; asked for once something unfinished was found."""
        return _owners(self._catalog, self._paths)

    def ref(self, stray: Stray) -> FolderRef:
        """The folder of one that was found; of a leftover, which has the name of no backup, an empty one."""
        thing = self._things[stray.path]
        return thing.ref if isinstance(thing, Orphan) else FolderRef(job_id="", folder="")

    def remove(self, stray: Stray) -> int:
        """Remove one that was found; the bytes freed. Raises StorageError."""
        thing = self._things[stray.path]
        if isinstance(thing, Leftover):
            self._storage.remove_leftover(thing)
        else:
            self._storage.remove_orphan(thing)
        return stray.bytes

    def _look(self, names: KnownFolders | None) -> None:
        try:
            self._take(self._storage.strangers(self._known, names))
        except StorageError as error:
            # What could be looked into is cleaned up all the same.
            self.unread = error
        self.found.sort(key=lambda stray: (PurePath(stray.path).name.lstrip("."), stray.path))

    def _take(self, strangers: Iterable[Leftover | Orphan | FolderRef]) -> None:
        # A folder without a manifest that the catalogue knows is a damaged backup: perhaps all that is left of it.
        for one in strangers:
            if isinstance(one, Leftover):
                owner = one.execution_id if one.execution_id in self._owners else ""
                self._add("leftover", one, self._leftovers_grace, owner)
            elif isinstance(one, Orphan):
                self._add("orphan", one, self._orphans_grace, "")
            else:
                self.found.append(
                    Stray(storage=self._storage.name, kind="unknown backup", path=self._storage.path(one))
                )

    def _add(self, kind: Literal["leftover", "orphan"], thing: Leftover | Orphan, grace: timedelta, owner: str) -> None:
        self._things[thing.path] = thing
        self.found.append(
            Stray(
                storage=self._storage.name,
                kind=kind,
                path=thing.path,
                bytes=thing.bytes,
                changed_at=thing.changed_at,
                removable_at=thing.changed_at + grace,
                owner=owner,
            )
        )


def find_strays(catalog: Catalog, config: Config, paths: RunPaths, storage: str) -> list[Stray]:
    """The folders at a storage that are no backups of the catalogue. Raises ConfigError, StorageError."""
    strays = Strays(catalog, config, paths, storage)
    if strays.unread is not None:
        raise strays.unread
    return strays.found


def _owners(catalog: Catalog, paths: RunPaths) -> frozenset[str]:
    """The executions that living runs write, also those that are safety copies of a restore."""
    living = set(paths.living())
    unfinished = {one.execution_id for one in catalog.unfinished()}
    safety = {
        one.safety_execution_id
        for one in catalog.restores()
        if one.restore_id in living and one.safety_execution_id is not None
    }
    return frozenset(living | unfinished | safety)
