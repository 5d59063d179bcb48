"""Which backups are all that can bring a target back to a whole state, after a restore that did not."""

from collections.abc import Iterable

from dgtui.engine.catalog import Catalog
from dgtui.engine.restore_model import Restore


def ways_back(catalog: Catalog) -> dict[str, str]:
    """The ids of these backups, each with the id of the restore whose target it brings back.

    Of a restore that left its target partly filled, until something whole is there again; and of one whose swap was
    cut, until somebody could find out which content is in place.
    """
    found: dict[str, str] = {}
    whole: set[tuple[str, str]] = set()
    undone: set[str] = set()
    for restore in catalog.restores():
        place = (restore.datasource, restore.target)
        mended = place in whole or restore.restore_id in undone
        if restore.safety_execution_id is not None and _is_open(restore) and not mended:
            found[restore.safety_execution_id] = restore.restore_id
        if restore.took_effect and not restore.partly_filled:
            if restore.undo_of is not None:
                undone.add(restore.undo_of)
            if restore.part is None:
                whole.add(place)
    return found


def partly_filled(restores: Iterable[Restore], datasource: str, target: str) -> Restore | None:
    """The restore, of all from the newest on, that left a target partly filled, unless it is whole again since."""
    undone: set[str] = set()
    for restore in restores:
        if (restore.datasource, restore.target) != (datasource, target):
            continue
        if restore.partly_filled:
            return None if restore.restore_id in undone else restore
        if restore.took_effect:
            if restore.part is None:
                return None
            undone.add(restore.undo_of or "")
    return None


def _is_open(restore: Restore) -> bool:
    return restore.partly_filled or (restore.placing is not None and restore.placing.mark is not None)
