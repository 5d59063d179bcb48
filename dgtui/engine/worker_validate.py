"""The worker of checks to the last byte."""

from dgtui.engine.datasources import datasource_adapter
from dgtui.engine.model import Execution
from dgtui.engine.orders import ValidateOrder
from dgtui.engine.verify import validate_copy
from dgtui.engine.worker_reading import ReadingWorker


class ValidateWorker(ReadingWorker[ValidateOrder]):
    """Reads copies of a backup to their ends."""

    def _carry_out(self) -> None:
        order = self._order
        with self._recording_failure(lambda _ended: None, None):
            execution = self._execution(order.execution_id)
            self._know_tools(execution)
            self._run.phase("validate")
            problems, copies = [], []
            for storage in self._storages_of(execution, order.storage):
                copy = validate_copy(storage, execution, self._scratch, self._cancellation.event)
                self._catalog.save_copy(execution.execution_id, copy)
                copies.append(copy)
                verdict = copy.problem.message if copy.problem else "every byte was read and is good"
                self._run.log(f"{storage.name}: {copy.status}, {verdict}")
                if copy.problem is not None:
                    problems.append(copy.problem)
            self._teller.copies_checked(execution, copies)
            self._teller.deliver()
            if problems:
                damage = next((problem for problem in problems if problem.kind == "ValidationError"), problems[0])
                self._say_end("failed", problem=damage)
            else:
                self._say_end("completed")

    def _know_tools(self, execution: Execution) -> None:
        """Let the reader of the archive know the folder of tools that the datasource names: its own may be too old."""
        settings = self._config.datasources.get(execution.datasource)
        if settings is not None and settings.type == execution.datasource_type:
            datasource_adapter(settings.type)(execution.datasource, settings)
