"""Undo: whether and how a restore can be taken back, and swapping in again what it replaced."""

from typing import Literal

import msgspec

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.datasources.base import TargetState
from dgtui.engine.errors import DataGuardianError, RestoreError
from dgtui.engine.messages import now
from dgtui.engine.model import ENDED, RESTORABLE, Execution, Record, Restore
from dgtui.engine.restore_swap import Replacement
from dgtui.engine.restore_task import TargetTask, started_restore
from dgtui.engine.settling import forget_kept, forget_leftovers, settle_earlier

UndoWay = Literal["kept", "safety"]
"""By swapping in what was kept, or by restoring the safety backup."""


class UndoChoice(Record, frozen=True):
    """Whether a restore can be taken back, how, and why not."""

    restore_id: str
    way: UndoWay | None
    """None where it cannot."""
    text: str
    """What will be done, or why nothing can be, for people."""
    kept_as: str | None = None
    execution_id: str | None = None
    """The safety backup of what was there before, where it can be restored."""
    later: int = 0
    """How many restores into the same target came after it; what they brought is replaced too."""

    @property
    def possible(self) -> bool:
        """Whether it can be taken back."""
        return self.way is not None


def undo_choice(catalog: Catalog, config: Config, restore: Restore) -> UndoChoice:
    """Look whether a restore can be undone, and how; asks the datasource, changes nothing."""
    if reason := _forbidden(catalog, config, restore):
        return UndoChoice(restore_id=restore.restore_id, way=None, text=reason)
    safety = _safety_of(catalog, restore)
    lost = ""
    if restore.kept_as is not None:
        try:
            there = config.datasource(restore.datasource).target_state(restore.kept_as).exists
        except DataGuardianError as error:
            return UndoChoice(restore_id=restore.restore_id, way=None, text=f"{restore.datasource}: {error.message}")
        if there:
            return _by_kept(catalog, restore, restore.kept_as, safety)
        lost = f"{restore.kept_as} is not there any more"
    if safety is not None:
        return UndoChoice(
            restore_id=restore.restore_id,
            way="safety",
            text=f"The safety backup {safety.execution_id[:8]} is restored into {restore.target}",
            execution_id=safety.execution_id,
            later=_later(catalog, restore),
        )
    return UndoChoice(restore_id=restore.restore_id, way=None, text=_nothing_left(restore, lost))


def _by_kept(catalog: Catalog, restore: Restore, kept_as: str, safety: Execution | None) -> UndoChoice:
    return UndoChoice(
        restore_id=restore.restore_id,
        way="kept",
        text=f"{kept_as}, the former content, takes the place of {restore.target}, which is kept in its turn",
        kept_as=kept_as,
        execution_id=safety.execution_id if safety is not None else None,
        later=_later(catalog, restore),
    )


def _forbidden(catalog: Catalog, config: Config, restore: Restore) -> str:
    if restore.status not in ENDED:
        return "It is still under way"
    if restore.placing is not None and restore.placing.mark is not None:
        return f"Which content is in place is not known yet; settle it: dgtui cleanup-restore {restore.restore_id[:8]}"
    if restore.status != "completed" and not restore.partly_filled:
        return f"It ended {restore.status} and changed nothing in {restore.target}"
    if restore.datasource not in config.datasources:
        return f"The datasource {restore.datasource} is not configured any more"
    by = _undone_by(catalog, restore)
    return f"It was undone already, by {by.restore_id[:8]}; that one can be undone" if by is not None else ""


def _nothing_left(restore: Restore, lost: str) -> str:
    if lost or restore.dropped_at is not None:
        return f"{lost or 'What it replaced was dropped'}, and there is no safety backup of it"
    if restore.part_kept_as is not None:
        return f"There is no safety backup; the part that was replaced lies in {restore.part_kept_as}"
    if restore.safety_execution_id is not None:
        return f"Its safety backup {restore.safety_execution_id[:8]} is not there any more"
    return f"{restore.target} held nothing before, so there is nothing to put back; remove it by hand if it is unwanted"


def _safety_of(catalog: Catalog, restore: Restore) -> Execution | None:
    found = catalog.execution(restore.safety_execution_id) if restore.safety_execution_id is not None else None
    if found is None or found.status not in RESTORABLE:
        return None
    return found if any(copy.path and copy.status not in ("missing", "corrupt") for copy in found.copies) else None


def _undone_by(catalog: Catalog, restore: Restore) -> Restore | None:
    """The restore that took it back and was not taken back itself."""
    for other in catalog.restores():
        if other.undo_of == restore.restore_id and other.status == "completed":
            return other if _undone_by(catalog, other) is None else None
    return None


def _later(catalog: Catalog, restore: Restore) -> int:
    count = 0
    for other in catalog.restores():
        if other.restore_id == restore.restore_id:
            return count
        same = (other.datasource, other.target) == (restore.datasource, restore.target)
        count += same and (other.status == "completed" or other.partly_filled)
    return count


class UndoRun:
    """Swaps in what a restore kept. `execute` returns the finished record, or raises with the target as it was."""

    def __init__(self, task: TargetTask) -> None:
        self._task = task
        self._replacement = Replacement(task, started_restore(task.order))

    @property
    def record(self) -> Restore:
        """The record of the undo, as far as it is known."""
        return self._replacement.record

    def execute(self) -> Restore:
        """Look, save what is there where that is wanted, swap."""
        task, order = self._task, self._task.order
        assert order.kept_as is not None
        assert order.undo_of is not None
        task.run.phase("validate")
        settle_earlier(task.catalog, task.target, self.record, task.run)
        state = self._checked(order.kept_as)
        if order.safety and not state.empty:
            self._replacement.save_former_content()
        self._replacement.swap(order.kept_as, state, disposable=False)
        forget_kept(task.catalog, order.undo_of)
        self._replacement.drop_what_nobody_keeps()
        forget_leftovers(task.catalog, self.record)
        task.run.phase("record")
        return msgspec.structs.replace(self.record, status="completed", finished_at=now(), placing=None)

    def _checked(self, kept_as: str) -> TargetState:
        task, database = self._task, self._task.order.database
        kept = task.target.target_state(kept_as)
        if not kept.exists:
            raise RestoreError(
                f"{kept_as} is not there any more; {database} is as it was",
                subject=kept_as,
                hint="Undo again: the safety backup is taken then, where there is one",
            )
        state = task.target.target_state(database)
        task.run.log(f"{kept_as} holds {len(kept.objects)} objects, {database} {len(state.objects)}")
        return state
