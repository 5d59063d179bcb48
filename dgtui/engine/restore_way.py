"""How a restore brings new content to its place, and what that means for whoever writes there meanwhile."""

from typing import Any, Literal

from dgtui.engine.datasources.base import Datasource
from dgtui.engine.datasources.loading import TargetState
from dgtui.engine.model import Record

RestoreWay = Literal["fresh", "swap", "swap or import", "import", "rows", "part", "beside"]
"""How the new content comes to its place: there is nothing to replace; a rename; an import after a safety backup;
rows alone go into the tables that are there; what was chosen alone is exchanged, or put beside what is there.

`swap or import` where only the archive's own content decides.
"""

_SWAP = "loaded beside it and compared, then swapped in by {rename}; the former content is kept"
_BETWEEN = "what is written between that backup and the exchange is kept nowhere"
_LATE_ROWS = "rows that are written between that backup and the exchange are kept as a script"
_INSIDE = (
    "loaded into it under other names and compared, for its user may make no database beside it; then, after a safety "
    "backup, swapped in by {rename}; the former content is kept in that backup, and the rows of its tables, with all "
    "that is written until the exchange, in it under names of our own too"
)
_ROWS = "rows are loaded into its tables, all of them or none"
_ROWS_IN_COPY = (
    "rows are loaded into the tables of a copy of it, which is then swapped in by {rename}; the former content is kept"
)
_ROWS_KEPT = "; the former rows, with all that is written until they are replaced, are kept beside it"
_ROWS_WRITERS = "whoever writes to these tables waits until it is done"
_NEED_OVERWRITE = "tables that already hold rows need --overwrite"
_IMPORT = "loaded beside it and compared, then, after a safety backup, imported in its own place"
_IMPORT_WRITERS = (
    "whoever reads or writes during the import sees a partly filled database, and so does everybody after a kill or "
    "power cut in it, until dgtui starts again"
)


class ChosenWay(Record, frozen=True):
    """The way that a restore will take into one target."""

    kind: RestoreWay
    text: str = ""
    """What is done, for people; empty where nothing is replaced."""
    writers: str = ""
    """What happens to those who read and write meanwhile, for people; empty where nothing is replaced."""
    obstacles: tuple[str, ...] = ()
    """What in the target keeps it from being swapped."""
    fillable: bool = False
    """Whether a target that cannot be swapped can be filled in its own place, where that is asked for."""

    @property
    def sentence(self) -> str:
        """Both, for people; empty where nothing is replaced."""
        if not self.text:
            return ""
        reasons = f" (no swap: {'; '.join(self.obstacles)})" if self.obstacles else ""
        return f"{self.text}; {self.writers}{reasons}"


def rows_way(target: Datasource[Any], database: str, state: TargetState, *, safety: bool) -> ChosenWay:
    """The way of rows alone, into the tables that are there."""
    if target.keeps_former_data:
        text = _ROWS_IN_COPY.format(rename=target.swap_words)
        return ChosenWay(kind="rows", text=f"{text}; {_NEED_OVERWRITE}", writers=target.writers_at_swap)
    safety = safety and not state.empty
    kept = not state.empty and target.keeps_former_rows(database)
    text = f"{'after a safety backup ' if safety else ''}{_ROWS}{_ROWS_KEPT if kept else ''}; {_NEED_OVERWRITE}"
    between = "" if kept else _between(target, safety=safety)
    return ChosenWay(kind="rows", text=text, writers=f"{_ROWS_WRITERS}{between}")


def way_of(target: Datasource[Any], database: str, state: TargetState, *, in_place: bool) -> ChosenWay:
    """The way into a database, file or folder in this state. Raises what the datasource raises when it is asked."""
    if state.empty:
        return ChosenWay(kind="fresh")
    obstacles = target.swap_obstacles(database)
    if obstacles:
        text = _IMPORT if in_place else f"nothing is done without --in-place; with it: {_IMPORT}"
        return ChosenWay(kind="import", text=text, writers=_IMPORT_WRITERS, obstacles=obstacles, fillable=True)
    if not target.keeps_former(database):
        text = _INSIDE.format(rename=target.swap_words)
        return ChosenWay(kind="swap", text=text, writers=target.writers_at_swap)
    swap = _SWAP.format(rename=target.swap_words)
    if target.swaps_everything:
        return ChosenWay(kind="swap", text=swap, writers=target.writers_at_swap)
    if not in_place:
        text = f"{swap}. Where the backup holds what that would not carry over, nothing is changed"
        return ChosenWay(kind="swap", text=text, writers=target.writers_at_swap, fillable=True)
    return ChosenWay(
        kind="swap or import",
        fillable=True,
        text=f"{swap}. Where the backup holds what that would not carry over: {_IMPORT}",
        writers=f"at a swap {target.writers_at_swap}; at an import {_IMPORT_WRITERS}",
    )


def part_way(target: Datasource[Any], state: TargetState, *, safety: bool) -> ChosenWay:
    """The way of chosen tables, files or folders, or of a whole tree that is merged, into what is there."""
    if state.empty:
        return ChosenWay(kind="fresh")
    then = "then, after a safety backup," if safety else "then"
    text = f"loaded beside it and compared, {then} only what was chosen is exchanged"
    between = "" if target.keeps_former_part else _between(target, safety=safety)
    return ChosenWay(kind="part", text=text, writers=f"{target.part_words}{between}")


def _between(target: Datasource[Any], *, safety: bool) -> str:
    """What becomes of what is written from the safety backup on, where nothing of the target is kept beside it."""
    if not safety:
        return ""
    return f"; {_LATE_ROWS if target.keeps_late_rows else _BETWEEN}"


def beside_way(target: Datasource[Any], table: str, name: str) -> ChosenWay:
    """The way of one table that is put beside what is there under another name."""
    return ChosenWay(
        kind="beside",
        text=f"{table} is loaded beside it and compared, then put into it as {name}; nothing that is there is replaced",
        writers=target.beside_words,
    )
