"""Folders that DataGuardian itself lives by: no restore may move them away, for the backups would go with them."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from dgtui.config import Config
from dgtui.engine.datasources.base import Datasource
from dgtui.engine.datasources.loading import Selection
from dgtui.engine.datasources.places import unshown
from dgtui.engine.errors import RestoreError, StorageError
from dgtui.engine.storages.deadline import with_deadline

_LOOK_SECONDS = 5.0


def own_places(config: Config, state: Path) -> Iterator[tuple[str, Path]]:
    """Every storage of this machine and the state folder: what each is called, and where it really lies."""
    yield "the state folder", _real(state)
    for name in config.storages:
        root = config.storage(name).root
        if root.startswith("/"):
            yield f"the storage {name}", _real(Path(root))


def refuse_own_places(
    config: Config, state: Path, target: Datasource[Any], database: str, selection: Selection, *, merge: bool
) -> None:
    """Raise RestoreError where the target is, holds or lies in a folder of our own.

    What is replaced is moved aside and dropped some days later: a storage in it would be gone with all its backups.
    """
    if target.settings.on_server:
        return
    path = _real(Path(os.path.abspath(database)))  # noqa: PTH100  # the same look as the restore's own
    replaced = [path / _relative(name) for name in selection.tables] or ([] if merge else [path])
    for what, place in own_places(config, state):
        if path == place or path.is_relative_to(place):
            raise _refused(f"{path} {'is' if path == place else 'lies in'} {what}", path)
        for folder in replaced:
            if place == folder or place.is_relative_to(folder):
                raise _refused(f"{what} lies in {folder} ({place}), and would be moved away with it", path)
            if folder.is_relative_to(place):
                raise _refused(f"{folder} lies in {what}", path)


def own_members(places: Iterable[tuple[str, Path]], database: str, loaded: str) -> Iterator[tuple[str, Path]]:
    """What a merge of the tree at `loaded` would put into a folder of our own: what that is, and what it would take.

    A catalogue of another day would know nothing of the backups since, the safety backup of this restore among them.
    """
    path = Path(os.path.abspath(database))  # noqa: PTH100  # links in it were refused
    for what, place in places:
        if place.is_relative_to(path):
            member = Path(loaded) / place.relative_to(path)
            if os.path.lexists(member):
                yield what, member


def _relative(name: str) -> str:
    return os.path.normpath(os.fsdecode(unshown(name)).strip("/"))


def _refused(why: str, path: Path) -> RestoreError:
    return RestoreError(
        f"{why}; nothing was changed",
        subject=str(path),
        hint="Restore into another folder with --into, and move from there what you need",
    )


def _real(path: Path) -> Path:
    """Without links; as it is written where its disk does not answer."""
    try:
        return with_deadline(path.resolve, _LOOK_SECONDS, subject=str(path))
    except (OSError, RuntimeError, StorageError):  # a loop of links is a RuntimeError to pathlib
        return path
