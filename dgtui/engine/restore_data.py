"""Restoring rows alone: into the tables of a database that is there, all of them or none."""

import msgspec

from dgtui.engine.comparison import Comparison, compare_objects
from dgtui.engine.datasources.base import Selection, TargetState
from dgtui.engine.errors import ConfigError, RestoreError
from dgtui.engine.model import Restore
from dgtui.engine.restore_copy import GoodCopy
from dgtui.engine.restore_load import archive_progress, judge
from dgtui.engine.restore_rows import RowsReplacement
from dgtui.engine.restore_task import RestoreTask
from dgtui.engine.safety_copy import need_all_rights


def restores_data_alone(task: RestoreTask) -> bool:
    """Whether an order is for rows without their tables."""
    return "data_only" in (task.order.selection.backup_type, task.execution.backup_type)


def refuse_data_target(task: RestoreTask, state: TargetState) -> None:
    """Refuse what cannot take rows alone, after a look at the target and before the long reading. Raises our errors."""
    order, target = task.order, task.target
    if "schema_only" in (order.selection.backup_type, task.execution.backup_type):
        raise ConfigError(
            "There is nothing to restore: one of backup and order is for the schema alone, the other for data alone",
            subject=order.execution_id,
            hint="Choose another backup, or leave out --data-only and --schema-only",
        )
    if not target.loads_data:
        raise ConfigError(
            f"A {target.label} backup cannot be restored as data alone",
            subject=order.datasource,
            hint="Leave out --data-only",
        )
    if state.empty:
        whole = task.execution.backup_type == "full"
        raise RestoreError(
            f"{order.database} has no tables to load rows into; nothing was changed",
            subject=order.database,
            hint="Leave out --data-only to restore everything, or first restore the schema with --schema-only"
            if whole
            else "This backup holds rows alone: first restore the schema from a full or a schema-only backup",
        )


class DataRestore(RowsReplacement):
    """The restore of rows alone from one good copy."""

    def __init__(self, task: RestoreTask, record: Restore) -> None:
        super().__init__(task, record)
        self._task = task

    def execute(self, copy: GoodCopy) -> Comparison:
        """Load the rows; returns what differs afterwards. After any failure the target is as it was."""
        task, order = self._task, self._task.order
        selection = Selection(backup_type="data_only", tables=order.selection.tables)
        if order.safety:
            need_all_rights(task)
            safety = self.save_former_content()
            task.run.log(f"The former content of {order.database} is saved in {safety.path}")
        task.run.phase("restore")
        task.run.log(f"Loading rows into {order.database}")
        with archive_progress(task.run, copy.archive, "exact"):
            outcome = self.load(copy.archive, selection)
        judge(task, order.database, outcome)
        return self._compare(copy, selection)

    def _compare(self, copy: GoodCopy, selection: Selection) -> Comparison:
        """What differs now; others may already have written to the tables, so that nothing of it is a failure."""
        task, manifest = self._task, copy.manifest
        task.run.phase("compare")
        named = {entry.name for entry in manifest.objects}
        found = [entry for entry in task.target.inventory(task.order.database) if entry.name in named]
        comparison = compare_objects(manifest.objects, found, selection, "data_only")
        comparison = msgspec.structs.replace(comparison, additional=())
        for sentence in comparison.sentences:
            task.run.log(f"Difference: {sentence}", level="warning")
        return comparison
