"""Restoring rows alone: into the tables of a database that is there, all of them or none."""

import msgspec

from dgtui.engine.comparison import Comparison, compare_objects
from dgtui.engine.datasources.loading import Selection
from dgtui.engine.restore_copy import GoodCopy
from dgtui.engine.restore_late_rows import late_rows_of, late_rows_told
from dgtui.engine.restore_load import LoadFailed, archive_progress, judge
from dgtui.engine.restore_model import Restore, RestoreReport
from dgtui.engine.restore_refusals import need_all_rights
from dgtui.engine.restore_report import failures_of
from dgtui.engine.restore_rows import RowsReplacement
from dgtui.engine.restore_task import RestoreTask


class DataRestore(RowsReplacement):
    """The restore of rows alone from one good copy."""

    def __init__(self, task: RestoreTask, record: Restore) -> None:
        super().__init__(task, record)
        self._task = task

    def execute(self, copy: GoodCopy) -> Comparison:
        """Load the rows; returns what differs afterwards. After any failure the target is as it was."""
        task, order = self._task, self._task.order
        selection = Selection(backup_type="data_only", tables=order.selection.tables)
        late = late_rows_of(task)
        if order.safety:
            need_all_rights(task.target, order.database)
            safety = self.save_former_content()
            task.run.log(f"The former content of {order.database} is saved in {safety.path}")
        task.run.phase("restore")
        task.run.log(f"Loading rows into {order.database}")
        copy.archive.begin_loading()
        with late_rows_told(self, late):
            with archive_progress(task.run, copy.archive):
                outcome = self.load(copy.archive, selection, late)
            try:
                judge(task, order.database, outcome)
            except LoadFailed as error:
                self.hear(failures_of(error.outcome))
                raise
        return self._compare(copy, selection)

    def _compare(self, copy: GoodCopy, selection: Selection) -> Comparison:
        """What differs now; others may already have written to the tables, so that nothing of it is a failure."""
        task, manifest = self._task, copy.manifest
        task.run.phase("compare")
        named = {entry.name for entry in manifest.objects}
        found = [entry for entry in task.target.inventory(task.order.database) if entry.name in named]
        comparison = compare_objects(manifest.objects, found, selection, "data_only")
        comparison = msgspec.structs.replace(comparison, additional=())
        self.hear(RestoreReport(objects=comparison.objects))
        for sentence in comparison.sentences:
            task.run.log(f"Difference: {sentence}", level="warning")
        return comparison
