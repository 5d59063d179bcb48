"""Replacing the rows of tables: all of them or none, written down so that an interrupted load can be settled."""

import contextlib
from typing import Any

import msgspec

from dgtui.engine.datasources.dumping import Archive
from dgtui.engine.datasources.loading import LoadOutcome, Selection
from dgtui.engine.datasources.own_names import NEW_SUFFIX, OLD_SUFFIX, dated
from dgtui.engine.errors import DataGuardianError, RestoreError
from dgtui.engine.messages import now
from dgtui.engine.restore_model import LateRows, Part, Placing
from dgtui.engine.restore_swap import Replacement


class RowsReplacement(Replacement):
    """One target whose rows are about to be replaced, and the record of that."""

    def load(self, archive: Archive, selection: Selection, late: LateRows | None = None) -> LoadOutcome:
        """Load the rows, and write down before when they may be there to stay."""
        task, order, target = self._target_task, self._target_task.order, self._target_task.target
        keep_as = self.free_name(dated(OLD_SUFFIX, now()))
        present = {entry.name for entry in target.target_state(order.database).objects}
        try:
            if target.loads_data_beside:
                self.announce(placing=Placing(beside=target.beside_name(order.database, NEW_SUFFIX)))
            outcome = target.load_data(
                archive,
                order.database,
                selection,
                task.run,
                overwrite=order.overwrite,
                keep_as=keep_as,
                scratch_folder=task.scratch,
                announce=lambda mark, part: self._announce(mark, part, keep_as, present, late),
                late=late,
            )
        except BaseException as error:
            if not self._loaded_all_the_same(error):
                raise
            kept = target.keeps_former_data or target.target_state(keep_as).exists
            outcome = LoadOutcome(kept_as=keep_as if kept else None)
        with task.cancellation.shield():
            if outcome.errors or outcome.error_count:
                self._end_failed(outcome.kept_as)
            else:
                self._end(in_place=True, kept_as=outcome.kept_as)
        if outcome.kept_as is not None:
            task.run.log(f"The former content of {order.database} is kept as {outcome.kept_as}")
        return outcome

    def _announce(self, mark: str, part: Part, keep_as: str, present: set[str], late: LateRows | None) -> None:
        beside = self._target_task.target.beside_name(self._target_task.order.database, NEW_SUFFIX)
        everything = not self._target_task.order.selection.tables and present <= part.names
        self.announce(
            placing=Placing(beside=beside, keep_as=keep_as, mark=mark, rows=True, late=late),
            part=msgspec.structs.replace(part, everything=everything),
        )

    def _loaded_all_the_same(self, error: BaseException) -> bool:
        """Whether the rows are there to stay after an error. Raises RestoreError where that cannot be told now."""
        placing = self.record.placing
        if placing is None:
            return False
        if placing.mark is None:
            with self._target_task.cancellation.shield(), contextlib.suppress(DataGuardianError):
                self._end()
            return False
        with self._target_task.cancellation.shield():
            if self._settled(placing, error) == "old":
                with contextlib.suppress(DataGuardianError):
                    self._end(part=None)
                return False
        self._target_task.run.log("The rows were loaded all the same", level="warning")
        return True

    def _end_failed(self, kept_as: str | None) -> None:
        """Statements failed: nothing is there to stay, or what is has to be undone."""
        placing = self.record.placing
        if placing is None:
            return
        if placing.mark is None or self._settled(placing, RestoreError("Statements failed")) == "old":
            self._end(part=None)
        else:
            self._end(partly_filled=True, kept_as=kept_as)

    def _end(self, **changes: Any) -> None:
        """Write down how it ended, and only then remove what would tell so once more."""
        placing = self.record.placing
        if placing is None:
            self.note(**changes)
            return
        self.note(placing=msgspec.structs.replace(placing, mark=None, keep_as=None, rows=False), **changes)
        self._target_task.target.drop_if_there(placing.beside)
        self.note(placing=None)
