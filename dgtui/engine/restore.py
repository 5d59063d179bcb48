"""A restore: check first, load beside the target, compare, and only then put the new in the old one's place.

design.md, "Restore". The target is not touched before the whole archive has been read and loaded beside it. Then it is
replaced by a swap; where the kind of database cannot swap what it holds, the restore ends there, or where that was
asked for it is filled in its own place after a safety copy, which is put back when that fails. So a failure at any
point leaves it as it was; only a worker that is killed while it fills the target in its own place leaves it to the next
start to put the former content back.
"""

import contextlib
import dataclasses

import msgspec

from dgtui.engine.comparison import Comparison
from dgtui.engine.datasources.loading import TargetState
from dgtui.engine.datasources.own_names import NEW_SUFFIX
from dgtui.engine.errors import ConfigError, DatabaseConnectionError, DataGuardianError, RestoreError
from dgtui.engine.model import Copy
from dgtui.engine.properties import DatabaseProperties, from_metadata
from dgtui.engine.restore_copy import CopyCheck, CopyChoice, GoodCopy
from dgtui.engine.restore_data import DataRestore
from dgtui.engine.restore_leftovers import empty_again
from dgtui.engine.restore_load import refuse_missing_roles
from dgtui.engine.restore_model import Placing, Restore
from dgtui.engine.restore_part import put_part_in_place, refuse_present
from dgtui.engine.restore_place import Placement
from dgtui.engine.restore_refusals import IntendedRestore, refuse_backup, refuse_target
from dgtui.engine.restore_report import load_and_compare
from dgtui.engine.restore_task import RestoreTask, started_restore
from dgtui.engine.restore_telling import content_of
from dgtui.engine.restore_traces import cleanup_command
from dgtui.engine.settling import settle_earlier
from dgtui.engine.sizes import counted
from dgtui.engine.stored import folder_of


class RestoreRun:
    """One restore. `execute` returns its finished record, or raises with the target as it was."""

    def __init__(self, task: RestoreTask) -> None:
        self._task = task
        order = task.order
        self._intended = IntendedRestore(
            target=task.target,
            execution=task.execution,
            database=order.database,
            chosen=order.selection,
            name_as=order.name_as,
            merge=order.merge,
            safety=order.safety,
            in_place=order.in_place,
            overwrite=order.overwrite,
        )
        self._copies = CopyChoice(task)
        self._place = Placement(task, started_restore(task.order), self._copies)
        self._placing = False
        """Whether the target itself may have been touched."""

    @property
    def record(self) -> Restore:
        """The record of the restore, as far as it is known."""
        return self._place.record

    @property
    def found_copies(self) -> list[Copy]:
        """The states that copies were found in on the way, for the catalogue."""
        return self._copies.found

    def execute(self) -> Restore:
        """Check, load beside, compare, put in place."""
        task = self._task
        self._refuse_other_kinds()
        folder_of(task.execution)
        task.run.phase("validate")
        settle_earlier(task.catalog, task.target, self.record, task.run)
        state = self._look_at_target()
        comparison = self._restore_from_first_good_copy(state)
        self._place.remove_leftovers()
        return self._place.finish(comparison.sentences)

    def _restore_from_first_good_copy(self, state: TargetState) -> Comparison:
        """Take the copies in order, also where one turns bad only while it is loaded: the target is untouched then."""
        for copy in self._copies.good_copies(self._copy_check(state)):
            with contextlib.closing(copy.archive):
                self._place.record = msgspec.structs.replace(self.record, storage=copy.storage.name)
                try:
                    return self._restore_from(copy, state)
                except DataGuardianError as error:
                    failure = None if self._placing else self._copies.verdict(copy, error)
                    if failure is None:
                        raise
                    if error is not failure:
                        self._task.run.log(error.message, level="warning")
                    self._copies.leave_out(copy.storage, failure)
        raise AssertionError("good_copies raises where no copy is left")

    def _restore_from(self, copy: GoodCopy, state: TargetState) -> Comparison:
        self._choose_whole(copy)
        task = self._task
        if self._intended.rows_alone:
            return self._restore_data_from(copy, state)
        self._check_target(copy, state)
        loaded = self._name_to_load_into(state)
        try:
            self._create_target(loaded, state, copy)
            comparison = load_and_compare(
                task, loaded, copy, self._place.hear, loaded=lambda: self._copies.confirm(copy)
            )
            self._place.note(differences=comparison.sentences)
            if loaded != task.order.database:
                self._placing = True
                state = self._look_again() if state.empty else state
                if self._intended.part and not state.empty:
                    put_part_in_place(task, self._place, loaded, copy)
                else:
                    self._place.put_in_place(loaded, copy, state)
            else:
                self._place.note(in_place=True, placing=None)
        except BaseException as error:
            if self.record.in_place:
                raise
            self._remove(loaded, state)
            if isinstance(error, RestoreError | DatabaseConnectionError) and not self._place.touched:
                raise self._untouched(error) from error
            raise
        return comparison

    def _choose_whole(self, copy: GoodCopy) -> None:
        """Have what belongs to the chosen ones looked for in the target and compared as well."""
        order = self._task.order
        tables = self._task.target.chosen_with_parts(copy.archive, order.database, self._intended.selection)
        order = msgspec.structs.replace(order, selection=msgspec.structs.replace(order.selection, tables=tables))
        self._task = dataclasses.replace(self._task, order=order)
        self._intended = dataclasses.replace(self._intended, chosen=order.selection)

    def _restore_data_from(self, copy: GoodCopy, state: TargetState) -> Comparison:
        self._tell_of_backup(copy, state)
        data = DataRestore(self._task, self.record)
        try:
            return data.execute(copy)
        except (RestoreError, DatabaseConnectionError) as error:
            self._place.record = data.record
            if data.touched or data.record.in_place:
                raise
            raise self._untouched(error) from error
        finally:
            self._place.record = data.record

    def _refuse_other_kinds(self) -> None:
        execution, order, target = self._task.execution, self._task.order, self._task.target
        if execution.datasource_type != target.kind:
            raise ConfigError(
                f"A backup of kind {execution.datasource_type} cannot be restored into {order.datasource}, "
                f"which is {target.kind}",
                subject=order.datasource,
                hint=f"Choose a datasource of kind {execution.datasource_type} with --to",
            )

    def _look_at_target(self) -> TargetState:
        """Refuse what a look at the target alone forbids, before the long reading begins."""
        order, run = self._task.order, self._task.run
        state = self._task.target.target_state(order.database)
        refuse_target(self._intended, state)
        if self._intended.rows_alone:
            return state
        if not state.empty and not order.overwrite and not self._intended.part:
            raise RestoreError(
                f"{order.database} holds {counted(len(state.objects), 'objects')}; nothing was changed",
                subject=order.database,
                hint="Restore under another name with --into NAME, or replace it with --overwrite",
            )
        if state.clients:
            people = ", ".join(f"{client.user} ({client.program or client.address})" for client in state.clients[:5])
            fate = ", and ended at the swap" if self._task.target.swaps_everything else ""
            run.log(f"Connected to {order.database} now{fate}: {people}", level="warning")
        return state

    def _check_target(self, copy: GoodCopy, state: TargetState) -> None:
        order, target = self._task.order, self._task.target
        self._tell_of_backup(copy, state)
        recorded = from_metadata(copy.manifest.metadata)
        if recorded is not None and self._place.original(state) is None:
            for note in target.lacking_properties(recorded):
                self._task.run.log(note, level="warning")
        if self._intended.part and not order.merge and not order.overwrite and order.name_as is None:
            refuse_present(copy.manifest, state, order)
        if not order.without_missing_roles and "globals" in target.options:
            refuse_missing_roles(target.missing_roles(copy.archive, order.selection), order.database)

    def _tell_of_backup(self, copy: GoodCopy, state: TargetState) -> None:
        for note in refuse_backup(self._intended, copy.archive, copy.manifest, state):
            self._task.run.log(note, level="warning")

    def _copy_check(self, state: TargetState) -> CopyCheck:
        """What the loading may rely on."""
        if not self._loads_beside(state):
            return "read first"
        apart = self._task.target.loads_apart and not self._intended.rows_alone
        return "compared on the way" if apart else "compared first"

    def _loads_beside(self, state: TargetState) -> bool:
        """Whether the target is not touched by the loading."""
        return self._task.target.swaps_everything or not state.empty

    def _name_to_load_into(self, state: TargetState) -> str:
        """A name beside the target, or the target where it holds nothing and cannot be swapped."""
        database = self._task.order.database
        if not self._loads_beside(state):
            return database
        if self._intended.part:
            return self._task.target.beside_name(database, NEW_SUFFIX)
        return self._task.target.loading_place(database)

    def _create_target(self, loaded: str, state: TargetState, copy: GoodCopy) -> None:
        """Make the fresh database to load into; the target itself only where it still is as it was looked at."""
        database, target = self._task.order.database, self._task.target
        self._task.run.phase("create")
        if loaded == database:
            self._refuse_changed(state)
        self._place.announce(placing=Placing(beside=loaded, existed=state.exists))
        if loaded != database:
            target.drop_target(loaded)
        if loaded != database or not state.exists:
            # A server goes on making it when nobody waits any more, and after our look at what there is to remove.
            with self._task.cancellation.shield():
                self._create(loaded, self._place.original(state), from_metadata(copy.manifest.metadata))

    def _refuse_changed(self, state: TargetState) -> None:
        """Raise RestoreError where somebody made or filled the target while the archive was read."""
        now_there = self._task.target.target_state(self._task.order.database)
        if now_there.exists != state.exists or not now_there.empty:
            raise self._changed_meanwhile()

    def _look_again(self) -> TargetState:
        """How a target that held nothing is now that all is loaded beside it: what somebody wrote meanwhile is theirs.

        Raises RestoreError where it may not be replaced.
        """
        now_there = self._task.target.target_state(self._task.order.database)
        if not now_there.empty and not self._task.order.overwrite:
            raise self._changed_meanwhile()
        return now_there

    def _changed_meanwhile(self) -> RestoreError:
        database = self._task.order.database
        return RestoreError(
            f"Somebody else made or changed {database} meanwhile; nothing was changed by this restore",
            subject=database,
            hint="Restore under another name with --into NAME, or replace it with --overwrite",
        )

    def _create(self, database: str, original: str | None, recorded: DatabaseProperties | None) -> None:
        """Make a database like the original; where that is gone, with the properties that the backup recorded."""
        target = self._task.target
        if original is not None or recorded is None:
            target.create_target(database, like=original)
            return
        for note in target.create_as_recorded(database, recorded):
            self._task.run.log(note, level="warning")

    def _untouched(self, error: DataGuardianError) -> DataGuardianError:
        """The same error, with the word that nothing was lost, and what it left beside the target."""
        database, placing = self._task.order.database, self.record.placing
        known = "nothing was changed" in error.message or (database in error.message and "as it was" in error.message)
        if known and placing is None:
            return error
        told = error.reworded(error.message if known else f"{error.message}; {database} {content_of(self.record)}")
        if placing is not None:
            left = f"Once it can be reached, remove {placing.beside} with: {cleanup_command(self.record)}"
            told.hint = f"{left}. {error.hint}".rstrip(". ")
        return told

    def _remove(self, loaded: str, state: TargetState) -> None:
        """Remove the half-made database; where even that fails, its name is told.

        After a swap whose end is not known, it may hold the former content.
        """
        placing = self.record.placing
        if placing is None:
            return
        if placing.mark is not None:
            self._task.run.log(f"It is not known which content is in place; {loaded} is left as it is", level="error")
            return
        in_place = loaded == self._task.order.database and state.exists
        with self._task.cancellation.shield():
            try:
                if in_place:
                    empty_again(self._task.target, loaded)
                else:
                    self._task.target.drop_target(loaded)
            except DataGuardianError as error:
                # One that was there before is made anew by the next try, where this one had dropped it.
                if in_place or self._found(loaded):
                    self._task.run.log(f"{loaded} could not be removed: {error.message}", level="error")
                    return
            if not self.record.partly_filled:
                self._place.note_if_possible(placing=None)

    def _found(self, loaded: str) -> bool:
        """Whether it is there, as far as the server tells: where it could not be made, it cannot be removed either."""
        try:
            return self._task.target.target_state(loaded).exists
        except DataGuardianError:
            return True
