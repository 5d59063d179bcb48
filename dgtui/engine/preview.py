"""What a restore would do to its target, told before anything is started."""

import os
from pathlib import Path
from typing import Any, Literal

from dgtui.config import Config
from dgtui.engine.datasources.base import Datasource, TargetState
from dgtui.engine.errors import ConfigError
from dgtui.engine.model import Execution, Record

RestoreWay = Literal["fresh", "swap", "swap or import", "import"]
"""How the new content comes to its place: there is nothing to replace; a rename; an import after a safety copy.

`swap or import` where only the archive's own content decides.
"""

_SWAP = "loaded beside it and compared, then swapped in by a rename; the former content is kept"
_IMPORT = (
    "loaded beside it and compared, then, after a safety copy, imported in its own place; "
    "whoever reads or writes meanwhile sees a partly filled database"
)
_WAYS: dict[RestoreWay, str] = {
    "fresh": "",
    "swap": _SWAP,
    "swap or import": f"{_SWAP}. Where the backup holds more than tables: {_IMPORT}",
    "import": _IMPORT,
}


class RestorePreview(Record, frozen=True):
    """The target of a restore as it is now."""

    datasource: str
    label: str
    """Kind of the datasource, for people."""
    target: str
    """The database, file or folder that would be restored into."""
    exists: bool
    object_count: int = 0
    size_bytes: int | None = None
    client_count: int = 0
    way: RestoreWay = "swap"
    obstacles: tuple[str, ...] = ()
    """What in the target keeps it from being swapped."""

    @property
    def replaces(self) -> bool:
        """Whether the target holds data that a restore would replace."""
        return self.object_count > 0

    @property
    def way_text(self) -> str:
        """How its content is replaced, and what others see meanwhile, for people; empty where nothing is."""
        text = _WAYS[self.way] if self.replaces else ""
        return f"{text} (no swap: {'; '.join(self.obstacles)})" if text and self.obstacles else text


def preview_restore(
    config: Config, execution: Execution, *, storage: str | None, datasource: str | None, database: str | None
) -> RestorePreview:
    """Look at the target, changing nothing. Raises ConfigError, and what the datasource raises when it is asked."""
    places = [copy.storage for copy in execution.copies if copy.path]
    if storage is not None and storage not in places:
        raise ConfigError(
            f"There is no copy of this backup at {storage}",
            subject=storage,
            hint=f"It is at {', '.join(places) or 'no storage'}",
        )
    name = datasource or execution.datasource
    adapter = config.datasource(name)
    if adapter.kind != execution.datasource_type:
        raise ConfigError(
            f"A backup of kind {execution.datasource_type} cannot be restored into {name}, which is {adapter.kind}",
            subject=name,
            hint=f"Choose a datasource of kind {execution.datasource_type} with --to",
        )
    target = database or adapter.database
    if Path(adapter.database).expanduser().is_absolute():
        # What lives in the file system is named from where the person stands; the worker stands elsewhere.
        target = os.path.abspath(Path(target).expanduser())  # noqa: PTH100  # links stay as they are named
    state = adapter.target_state(target)
    obstacles = () if state.empty else adapter.swap_obstacles(target)
    return RestorePreview(
        datasource=name,
        label=adapter.label,
        target=target,
        exists=state.exists,
        object_count=len(state.objects),
        size_bytes=state.size_bytes,
        client_count=len(state.clients),
        way=_way(adapter, state, obstacles),
        obstacles=obstacles,
    )


def _way(adapter: Datasource[Any], state: TargetState, obstacles: tuple[str, ...]) -> RestoreWay:
    if state.empty:
        return "fresh"
    if obstacles:
        return "import"
    return "swap" if adapter.swaps_everything else "swap or import"
