"""Replacing what a target holds, recorded before each step, so that whoever finds it interrupted can put it right."""

from datetime import timedelta
from typing import Any

import msgspec

from dgtui.engine.datasources.base import Datasource
from dgtui.engine.datasources.dumping import Archive
from dgtui.engine.datasources.loading import TargetState
from dgtui.engine.datasources.own_names import OLD_SUFFIX, dated
from dgtui.engine.errors import DataGuardianError, RestoreError, SwapImpossible
from dgtui.engine.messages import now
from dgtui.engine.restore_model import Part, PartChange, Placing, Restore, RestoreReport
from dgtui.engine.restore_task import TargetTask
from dgtui.engine.restore_traces import cleanup_command
from dgtui.engine.safety_copy import SafetyCopy, new_safety_id, partial_safety, take_safety_copy
from dgtui.engine.settling import forget_leftovers, in_place_after, not_placed, not_settled, way_to_settle


def kept_part(target: Datasource[Any], change: PartChange, *, kept: bool) -> dict[str, Any]:
    """What the record of a restore says of the part that it replaced."""
    if not kept:
        return {"part_kept_as": None}
    return {
        "part_kept_as": change.keep_as,
        "kept_until": now() + timedelta(seconds=int(target.settings.keep_replaced)),
    }


class Replacement:
    """One target that is about to be replaced, and the record of that."""

    def __init__(self, task: TargetTask, record: Restore) -> None:
        self._target_task = task
        self.record = record
        """The record of the restore, as far as it is known."""
        self._safety: SafetyCopy | None = None

    def note(self, **changes: Any) -> None:
        """Write down what is known, before the next step is made."""
        if changes.get("in_place"):
            self._target_task.cancellation.too_late()
        self.record = msgspec.structs.replace(self.record, **changes)
        self._target_task.catalog.save_restore(self.record)

    def announce(self, **changes: Any) -> None:
        """Write down what the next step may leave; where that fails it is not made, and the record names none of it."""
        former = self.record
        try:
            self.note(**changes)
        except BaseException:
            self.record = former
            raise

    def note_if_possible(self, **changes: Any) -> None:
        """Write down what is known where a failure of that must not hide another one; the end writes it again."""
        try:
            self.note(**changes)
        except DataGuardianError as error:
            self._target_task.run.log(f"A step could not be recorded: {error.message}", level="warning")

    def hear(self, report: RestoreReport | None) -> None:
        """Take what came back, object by object, into the record, which is written with the next step."""
        self.record = msgspec.structs.replace(self.record, report=report)

    def save_former_content(self) -> SafetyCopy:
        """Take the safety backup, once. Raises RestoreError and Cancelled, with nothing changed."""
        if self._safety is None:
            # Before it is begun, so that whoever finds an interrupted restore knows of it.
            self.announce(safety_execution_id=new_safety_id())
            self._safety = take_safety_copy(self._target_task, self.record)
            if warnings := partial_safety(self._safety.execution):
                self.note(warnings=(*self.record.warnings, *warnings))
        return self._safety

    @property
    def touched(self) -> bool:
        """Whether the target may be neither as it was nor as it should be."""
        placing = self.record.placing
        return self.record.partly_filled or (placing is not None and placing.mark is not None)

    def swap(self, beside: str, state: TargetState, *, disposable: bool = True) -> None:
        """Put `beside` in the target's place and keep the former content.

        After any error the former content is in its place, or the record's `placing` has a mark and somebody has to
        look. Raises RestoreError; SwapImpossible where a rename would lose something.
        """
        task, database = self._target_task, self._target_task.order.database
        task.run.phase("swap")
        task.cancellation.check()
        keep_as = self._free_name(dated(OLD_SUFFIX, now()), beside)
        mark = task.target.swap_mark(beside)
        placing = Placing(beside=beside, keep_as=keep_as, mark=mark, existed=state.exists, disposable=disposable)
        with task.cancellation.shield():
            self.announce(placing=placing)
            try:
                task.target.swap(beside, database, keep_as, task.run)
            except SwapImpossible:
                self.note_if_possible(placing=not_placed(placing))
                raise
            except BaseException as error:
                if self._settled(placing, error) == "old":
                    self.note_if_possible(placing=not_placed(placing))
                    raise
                task.run.log("The swap was made all the same", level="warning")
            self._keep(keep_as, state)

    def exchange_part(self, change: PartChange, archive: Archive | None, *, disposable: bool = True) -> None:
        """Exchange a part of the target, and keep the former one where the kind does so.

        After any error the former part is in its place, or the record's `placing` has a mark. Raises RestoreError.
        """
        task = self._target_task
        task.run.phase("swap")
        task.cancellation.check()

        def announce(mark: str, part: Part) -> None:
            placing = Placing(
                beside=change.beside,
                keep_as=change.keep_as,
                mark=mark,
                change=change,
                late=change.late,
                disposable=disposable,
            )
            self.announce(placing=placing, part=part)

        with task.cancellation.shield():
            try:
                kept = task.target.replace_part(change, archive, task.run, announce)
            except BaseException as error:
                placing = self.record.placing
                if placing is None or placing.mark is None:
                    raise
                if self._settled(placing, error) == "old":
                    self.note_if_possible(placing=not_placed(placing), part=None)
                    raise
                task.run.log("The exchange was made all the same", level="warning")
                kept = task.target.target_state(change.keep_as).exists
            self.note(placing=None, in_place=True, **kept_part(task.target, change, kept=kept))
            if kept:
                task.run.log(f"What was replaced in {change.database} is kept as {change.keep_as}")

    def free_name(self, suffix: str) -> str:
        """A name beside the target that nothing has."""
        return self._free_name(suffix)

    def _settled(self, placing: Placing, error: BaseException) -> str:
        """Which content is in place after an error. Raises RestoreError where that cannot be told now."""
        task, database = self._target_task, self._target_task.order.database
        try:
            return in_place_after(task.target, placing, database)
        except DataGuardianError as unknown:
            raise RestoreError(
                f"The swap of {database} was cut: {error}; {not_settled(task.target, database, unknown)}",
                subject=database,
                hint=way_to_settle(unknown, cleanup_command(self.record)),
                detail=(unknown.message,),
            ) from error

    def _keep(self, keep_as: str, state: TargetState) -> None:
        task, database = self._target_task, self._target_task.order.database
        if state.empty and self._dropped(keep_as, if_empty=True):
            self.note(placing=None, in_place=True)
            return
        for_seconds = int(task.target.settings.keep_replaced)
        until = now() + timedelta(seconds=for_seconds)
        self.note(placing=None, in_place=True, kept_as=keep_as, kept_until=until)
        task.run.log(f"The former content of {database} is kept as {keep_as} until {until:%Y-%m-%d %H:%M} UTC")

    def finish(self, differences: tuple[str, ...] = ()) -> Restore:
        """Tidy up once the new content is in place; the finished record."""
        task = self._target_task
        self.drop_what_nobody_keeps()
        forget_leftovers(task.catalog, self.record)
        task.run.phase("record")
        if task.cancellation.event.is_set():
            task.run.log("It was too late to cancel: the restore was brought to its end", level="warning")
        return msgspec.structs.replace(
            self.record, status="completed", finished_at=now(), differences=differences, placing=None
        )

    def drop_what_nobody_keeps(self) -> None:
        """Drop the former content at once where the datasource is set so; where that fails, it is kept."""
        task = self._target_task
        if self.record.kept_as is not None and self.record.kept_until is None:
            self.note(kept_until=now() + timedelta(seconds=int(task.target.settings.keep_replaced)))
        if self.record.kept_as is None or task.target.settings.keep_replaced:
            return
        if self._dropped(self.record.kept_as):
            self.note(kept_as=None, kept_until=None, dropped_at=now())

    def _dropped(self, name: str, *, if_empty: bool = False) -> bool:
        """Drop what was kept; where that fails, or somebody filled it since it was looked at, it stays and is told."""
        target = self._target_task.target
        try:
            if if_empty:
                state = target.target_state(name)
                if not state.empty:
                    self._target_task.run.log(f"What was written meanwhile is in {name}", level="warning")
                if not state.exists or not state.empty:
                    return not state.exists
            target.drop_target(name)
        except DataGuardianError as error:
            self._target_task.run.log(f"{name} could not be removed: {error.message}", level="warning")
            return False
        return True

    def _free_name(self, suffix: str, beside: str = "") -> str:
        """The same; `beside` is what takes the place of what is kept, where that is all of the target."""
        target, database = self._target_task.target, self._target_task.order.database
        name, number = target.name_to_keep(beside, database, suffix), 1
        while target.target_state(name).exists:
            number += 1
            name = target.name_to_keep(beside, database, f"{suffix}_{number}")
        return name
