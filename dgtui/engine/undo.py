"""Undo: whether and how a restore can be taken back, and swapping in again what it replaced."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Literal

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.datasources.loading import Selection, TargetState
from dgtui.engine.errors import ConfigError, DataGuardianError, RestoreError
from dgtui.engine.messages import now
from dgtui.engine.model import ENDED, Execution, Record
from dgtui.engine.orders import RestoreOrder
from dgtui.engine.replaced import safety_of
from dgtui.engine.restore_model import Part, PartChange, Placing, Restore, RestoreReport
from dgtui.engine.restore_refusals import cannot_swap
from dgtui.engine.restore_rows import RowsReplacement
from dgtui.engine.restore_task import NEW_SUFFIX, PART_SUFFIX, UndoTask, started_restore
from dgtui.engine.restore_traces import kept_name, undone_by
from dgtui.engine.settling import forget_kept, settle_earlier
from dgtui.engine.settling_import import way_back
from dgtui.engine.sizes import counted
from dgtui.engine.undo_check import check_kept

_NAMES_SHOWN = 5
UndoWay = Literal["kept", "safety"]
"""By swapping in what was kept, or by restoring the safety backup."""


class UndoChoice(Record, frozen=True):
    """Whether a restore can be taken back, how, and why not."""

    restore_id: str
    way: UndoWay | None
    """None where it cannot."""
    text: str
    """What will be done, or why nothing can be, for people."""
    hint: str = ""
    """The next step, where the target could not be asked: it may be possible later."""
    kept_as: str | None = None
    execution_id: str | None = None
    """The safety backup of what was there before, where it can be restored."""
    selection: Selection = Selection()
    """What of the safety backup is restored: only what the restore changed."""
    part: Part | None = None
    """What is put back, where that is not the whole target."""
    obstacle: str = ""
    """Why the target cannot be swapped: then the safety backup can only go back in its own place."""
    grants: tuple[str, ...] = ()
    """The commands that would let it be swapped."""
    later: int = 0
    """How many restores into the same target came after it; what they brought is replaced too."""
    backup_warnings: tuple[str, ...] = ()
    """What the safety backup ended with, where it is restored."""

    @property
    def possible(self) -> bool:
        """Whether it can be taken back."""
        return self.way is not None

    @property
    def refusal(self) -> DataGuardianError:
        """The error for whoever orders what is impossible, or is so for now."""
        kind = RestoreError if self.hint else ConfigError
        message = f"Restore {self.restore_id[:8]} cannot be undone{' now' if self.hint else ''}. {self.text}"
        return kind(message, subject=self.restore_id, hint=self.hint)


def undo_choice(catalog: Catalog, config: Config, restore: Restore) -> UndoChoice:
    """Look whether a restore can be undone, and how; asks the datasource, changes nothing."""
    if reason := _forbidden(catalog, config, restore):
        return UndoChoice(restore_id=restore.restore_id, way=None, text=reason)
    safety = safety_of(catalog, restore)
    lost = ""
    kept_as = kept_name(restore)
    # A file that rows were loaded into is kept whole: swapped in, it would take what others wrote to other tables.
    if kept_as is not None and (restore.part is None or restore.part.kind == "objects" or safety is None):
        try:
            target = config.datasource(restore.datasource)
            there = target.target_state(kept_as).exists
            unfit = target.unfit_to_swap(kept_as) if there else ""
        except DataGuardianError as error:
            return _not_asked(restore, error)
        if there and not unfit:
            return _by_kept(catalog, restore, kept_as, safety)
        lost = unfit or f"{kept_as} is not there any more"
    if restore.part is not None:
        return _part_by_safety(catalog, restore, restore.part, safety, lost)
    if safety is not None:
        return _by_safety(catalog, config, restore, safety)
    return UndoChoice(restore_id=restore.restore_id, way=None, text=_nothing_left(restore, lost))


def _not_asked(restore: Restore, error: DataGuardianError) -> UndoChoice:
    text = f"{restore.datasource}: {error.message}"
    return UndoChoice(restore_id=restore.restore_id, way=None, text=text, hint=error.hint or "Try again later")


def _by_safety(catalog: Catalog, config: Config, restore: Restore, safety: Execution) -> UndoChoice:
    target = config.datasource(restore.datasource)
    try:
        obstacle = cannot_swap(target, restore.target)
        grants = target.swap_grants(restore.target) if obstacle else ()
    except DataGuardianError as error:
        return _not_asked(restore, error)
    return UndoChoice(
        restore_id=restore.restore_id,
        way="safety",
        text=f"The safety backup {safety.execution_id[:8]} is restored into {restore.target}",
        execution_id=safety.execution_id,
        obstacle=obstacle,
        grants=grants,
        later=_later(catalog, restore),
        backup_warnings=safety.warnings,
    )


def _part_by_safety(catalog: Catalog, restore: Restore, part: Part, safety: Execution | None, lost: str) -> UndoChoice:
    """Only what was changed comes back; whatever was written elsewhere since stays."""
    if not part.complete:
        many = "So many paths were changed that the record does not name them"
        return UndoChoice(restore_id=restore.restore_id, way=None, text=f"{lost}. {many}".lstrip(". "))
    wanted = (*part.replaced, *part.removed)
    if safety is None and wanted:
        return UndoChoice(restore_id=restore.restore_id, way=None, text=_nothing_left(restore, lost))
    steps = []
    if wanted:
        assert safety is not None
        rows = "the rows of " if part.kind == "rows" else ""
        steps.append(f"From the safety backup {safety.execution_id[:8]} come back {rows}{_named(wanted)}")
    if part.added:
        steps.append(f"{_named(part.added)}, which was not there before, is removed")
    return UndoChoice(
        restore_id=restore.restore_id,
        way="safety",
        text=f"{'; '.join(steps)}. All else in {restore.target} stays",
        execution_id=safety.execution_id if safety is not None else None,
        selection=Selection(
            backup_type="data_only" if part.kind == "rows" else "full", tables=() if part.everything else wanted
        ),
        part=part,
        later=_later(catalog, restore),
        backup_warnings=safety.warnings if safety is not None and wanted else (),
    )


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return ", ".join(names[:_NAMES_SHOWN]) + more


def _by_kept(catalog: Catalog, restore: Restore, kept_as: str, safety: Execution | None) -> UndoChoice:
    text = f"{kept_as}, the former content, takes the place of {restore.target}, which is kept in its turn"
    if restore.part is not None:
        what = _named((*restore.part.replaced, *restore.part.removed, *restore.part.added)) or "what was changed"
        rows = "The rows of " if restore.part.kind == "rows" else ""
        text = f"{rows}{what} come back as they are in {kept_as}; all else in {restore.target} stays"
    return UndoChoice(
        restore_id=restore.restore_id,
        way="kept",
        text=text,
        part=restore.part,
        kept_as=kept_as,
        execution_id=safety.execution_id if safety is not None else None,
        later=_later(catalog, restore),
    )


def _forbidden(catalog: Catalog, config: Config, restore: Restore) -> str:
    if restore.status not in ENDED:
        return "It is still under way"
    if restore.placing is not None and restore.placing.mark is not None:
        return f"Which content is in place is not known yet; settle it: dgtui cleanup-restore {restore.restore_id[:8]}"
    if not restore.took_effect and not restore.partly_filled:
        return f"It ended {restore.status} and changed nothing in {restore.target}"
    back = way_back(catalog.restores(), restore) if restore.partly_filled else restore
    if back is not restore:
        return f"What it had saved is not whole: undo {back.restore_id[:8]}, which left {restore.target} partly filled"
    if restore.datasource not in config.datasources:
        return f"The datasource {restore.datasource} is not configured any more"
    by = undone_by(restore, catalog.restores())
    return f"It was undone already, by {by.restore_id[:8]}; that one can be undone" if by is not None else ""


def _nothing_left(restore: Restore, lost: str) -> str:
    if restore.by_hand:
        return f"It was done by hand: what {restore.target} held before was not kept here"
    if lost or restore.dropped_at is not None:
        return f"{lost or 'What it replaced was dropped'}, and there is no safety backup of it"
    if restore.part_kept_as is not None and restore.part is None:
        return f"There is no safety backup; the part that was replaced lies in {restore.part_kept_as}"
    if restore.safety_execution_id is not None:
        return f"Its safety backup {restore.safety_execution_id[:8]} is not there any more"
    if restore.part is not None and (restore.part.replaced or restore.part.removed):
        return f"What it replaced in {restore.target} was not saved"
    return f"{restore.target} held nothing before, so there is nothing to put back; remove it by hand if it is unwanted"


def _later(catalog: Catalog, restore: Restore) -> int:
    count = 0
    for other in catalog.restores():
        if other.restore_id == restore.restore_id:
            return count
        same = (other.datasource, other.target) == (restore.datasource, restore.target)
        count += same and (other.took_effect or other.partly_filled) and _overlap(other.part, restore.part)
    return count


def _overlap(first: Part | None, second: Part | None) -> bool:
    """Whether two restores changed something in common, as far as that is known."""
    if first is None or second is None or not (first.complete and second.complete):
        return True
    return not first.names.isdisjoint(second.names)


def only_removes(order: RestoreOrder) -> bool:
    """Whether an undo takes away what was not there before, and puts nothing back."""
    part = order.part
    return part is not None and part.kind == "objects" and not (part.replaced or part.removed)


class UndoRun:
    """Swaps in what a restore kept. `execute` returns the finished record, or raises with the target as it was."""

    def __init__(self, task: UndoTask) -> None:
        self._task = task
        self._replacement = RowsReplacement(task, started_restore(task.order))

    @property
    def record(self) -> Restore:
        """The record of the undo, as far as it is known."""
        return self._replacement.record

    def execute(self) -> Restore:
        """Look, save what is there where that is wanted, swap."""
        task, order = self._task, self._task.order
        assert order.undo_of is not None
        task.run.phase("validate")
        settle_earlier(task.catalog, task.target, self.record, task.run)
        state = self._checked(order.kept_as) if order.kept_as is not None else task.target.target_state(order.database)
        if order.safety and not state.empty:
            self._replacement.save_former_content()
        if order.part is not None and order.part.kind == "rows":
            self._take_rows_back(order.part)
        elif order.part is not None:
            self._exchange_part(order.part)
        else:
            assert order.kept_as is not None
            self._replacement.swap(order.kept_as, state, disposable=False)
        if order.part is None or order.part.kind != "rows":
            forget_kept(task.catalog, order.undo_of)
        return self._replacement.finish()

    def _take_rows_back(self, part: Part) -> None:
        """Load the rows again from the database that is kept whole, which stays: it may serve once more."""
        task, order = self._task, self._task.order
        assert order.kept_as is not None
        task.run.phase("restore")
        tables = () if part.everything else part.replaced
        selection = Selection(backup_type="data_only", tables=tables)
        outcome = self._replacement.load(task.target.kept_archive(order.kept_as), selection)
        if outcome.errors:
            raise RestoreError(
                f"The rows of {order.database} could not be taken back: {outcome.errors[0].message}",
                subject=order.database,
                hint=f"They lie in {order.kept_as}",
            )

    def _exchange_part(self, part: Part) -> None:
        """Put back what was kept of a part, or only take away what was not there before."""
        kept_as = self._task.order.kept_as
        if kept_as is not None:
            self._replacement.exchange_part(self._change(part, kept_as), None, disposable=False)
            return
        with self._empty_beside() as beside:
            self._replacement.exchange_part(self._change(part, beside), None)

    def _change(self, part: Part, beside: str) -> PartChange:
        order = self._task.order
        return PartChange(
            database=order.database,
            beside=beside,
            keep_as=self._replacement.free_name(f"{PART_SUFFIX}{now():%Y%m%d%H%M%S}"),
            remove=part.added,
            remove_empty=part.made_for_them,
            back=order.kept_as is not None,
        )

    @contextlib.contextmanager
    def _empty_beside(self) -> Iterator[str]:
        """An empty target beside the other, which goes again where nothing was exchanged."""
        target, shield = self._task.target, self._task.cancellation.shield
        beside = target.beside_name(self._task.order.database, NEW_SUFFIX)
        self._replacement.note(placing=Placing(beside=beside))
        try:
            target.drop_target(beside)
            with shield():
                target.create_target(beside)
            yield beside
        except BaseException:
            with shield():
                self._remove(beside)
            raise

    def _remove(self, beside: str) -> None:
        """Remove what was made beside; not where it may hold the former content: which is in place is not known."""
        placing = self.record.placing
        if placing is None or placing.mark is not None:
            return
        try:
            self._task.target.drop_target(beside)
            self._replacement.note(placing=None)
        except DataGuardianError as error:
            self._task.run.log(f"{beside} could not be removed: {error.message}", level="error")

    def _checked(self, kept_as: str) -> TargetState:
        task, database = self._task, self._task.order.database
        kept = task.target.target_state(kept_as)
        if not kept.exists:
            raise RestoreError(
                f"{kept_as} is not there any more; {database} is as it was",
                subject=kept_as,
                hint="Undo again: the safety backup is taken then, where there is one",
            )
        comparison = check_kept(task, kept_as, kept)
        if comparison is not None:
            self._replacement.hear(RestoreReport(objects=comparison.objects))
            for sentence in comparison.sentences:
                task.run.log(f"Since the safety backup: {sentence}")
        state = task.target.target_state(database)
        task.run.log(f"{kept_as} holds {counted(len(kept.objects), 'objects')}, {database} {len(state.objects):,}")
        return state
