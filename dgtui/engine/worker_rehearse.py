"""The worker of rehearsals."""

from dgtui.config import PRIVATE_PLACE
from dgtui.engine.catalog.proofs import Proof
from dgtui.engine.causes import cause_of_problem
from dgtui.engine.orders import RehearseOrder
from dgtui.engine.rehearsal import Rehearsal, RehearsalTask
from dgtui.engine.worker_reading import ReadingWorker


class RehearseWorker(ReadingWorker[RehearseOrder]):
    """Restores a backup into a throw-away database, to prove it."""

    def _carry_out(self) -> None:
        order = self._order
        rehearsal = Rehearsal(order, self._catalog, self._run)

        def end(proof: Proof) -> None:
            cause = ""
            if proof.problem is not None:
                datasource = order.place or order.datasource
                cause = cause_of_problem(self._config, proof.problem, job=order.job, datasource=datasource)
            rehearsal.end(proof, cause=cause)
            self._teller.deliver()

        with self._recording_failure(end, rehearsal.proof):
            rehearsal.begin()
            execution = self._execution(order.execution_id)
            place = order.place if order.place not in (None, PRIVATE_PLACE) else order.datasource
            task = RehearsalTask(
                order=order,
                execution=execution,
                target=self._target(place, execution),
                storages=self._storages_of(execution, order.storage),
                processes=self._restore_jobs(execution),
                catalog=self._catalog,
                run=self._run,
                cancellation=self._cancellation,
                scratch=self._scratch,
            )
            try:
                proof = rehearsal.execute(task)
            finally:
                with self._cancellation.shield():
                    for copy in rehearsal.found_copies:
                        self._catalog.save_copy(order.execution_id, copy)
            with self._cancellation.shield():
                end(proof)
                self._say_end("completed", warnings=proof.differences)
