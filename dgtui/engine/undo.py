"""Undo: swapping in again what a restore replaced."""

import contextlib
from collections.abc import Iterator

from dgtui.engine.datasources.loading import Selection, TargetState
from dgtui.engine.datasources.own_names import NEW_SUFFIX, PART_SUFFIX, dated
from dgtui.engine.errors import RestoreError
from dgtui.engine.messages import now
from dgtui.engine.orders import RestoreOrder
from dgtui.engine.restore_late_rows import late_rows_of, late_rows_told
from dgtui.engine.restore_model import LateRows, Part, PartChange, Placing, Restore, RestoreReport
from dgtui.engine.restore_rows import RowsReplacement
from dgtui.engine.restore_task import UndoTask, dropped, started_restore
from dgtui.engine.settling import forget_kept, settle_earlier
from dgtui.engine.sizes import counted
from dgtui.engine.undo_check import check_kept


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
        late = late_rows_of(task) if order.part is not None and not state.empty else None
        if order.safety and not state.empty:
            self._replacement.save_former_content()
        if order.part is not None and order.part.kind == "rows":
            self._take_rows_back(order.part)
        elif order.part is not None:
            with late_rows_told(self._replacement, late):
                self._exchange_part(order.part, late)
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

    def _exchange_part(self, part: Part, late: LateRows | None) -> None:
        """Put back what was kept of a part, or only take away what was not there before."""
        kept_as = self._task.order.kept_as
        if kept_as is not None:
            self._replacement.exchange_part(self._change(part, kept_as, late), None, disposable=False)
            return
        with self._empty_beside() as beside:
            self._replacement.exchange_part(self._change(part, beside, late), None)

    def _change(self, part: Part, beside: str, late: LateRows | None) -> PartChange:
        order = self._task.order
        return PartChange(
            database=order.database,
            beside=beside,
            keep_as=self._replacement.free_name(dated(PART_SUFFIX, now())),
            remove=part.added,
            remove_empty=part.made_for_them,
            back=order.kept_as is not None,
            late=late,
        )

    @contextlib.contextmanager
    def _empty_beside(self) -> Iterator[str]:
        """An empty target beside the other, which goes again where nothing was exchanged."""
        target, shield = self._task.target, self._task.cancellation.shield
        beside = target.beside_name(self._task.order.database, NEW_SUFFIX)
        self._replacement.announce(placing=Placing(beside=beside))
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
        if dropped(self._task.target, beside, self._task.run):
            self._replacement.note_if_possible(placing=None)

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
