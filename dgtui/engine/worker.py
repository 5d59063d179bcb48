"""A worker: runs one operation in a process of its own, and says how it goes through the run's message file.

Started by `Engine` as `python -m dgtui.engine.worker STATE RUN_ID LOCK ...`: the locks are inherited descriptors, that
of the run itself first.
"""

import os
import sys
from pathlib import Path
from typing import Any

from dgtui.engine.cancellation import Cancellation
from dgtui.engine.errors import DataGuardianError
from dgtui.engine.memory import memory_explained, need_room_to_load
from dgtui.engine.model import Problem
from dgtui.engine.orders import AnyOrder, BackupOrder, RehearseOrder, RestoreOrder, ValidateOrder, decode_order
from dgtui.engine.run_writer import RunWriter
from dgtui.engine.runs import RunPaths
from dgtui.engine.worker_base import Worker, end_of


def main(arguments: list[str]) -> None:
    """Run the worker of `STATE RUN_ID LOCK ...`."""
    cancellation = Cancellation()
    cancellation.install()
    state, run_id = Path(arguments[0]), arguments[1]
    paths = RunPaths(state)
    run = RunWriter(paths.messages(run_id), cancellation.event)
    try:
        with memory_explained():
            need_room_to_load()
            order = decode_order(paths.request(run_id).read_bytes())
            _worker(state, order, run, cancellation).execute([int(descriptor) for descriptor in arguments[3:]])
    except DataGuardianError as error:
        status, problem = end_of(error)
        run.status(status, problem=problem)
    except (OSError, MemoryError) as error:
        run.status("failed", problem=_system_problem(error, run_id))
        raise
    finally:
        cancellation.end()
        run.close()
    # A thread that hangs on a dead disk keeps the process from going away, and with it all that it has open.
    for descriptor in arguments[2:]:
        os.close(int(descriptor))


def _worker(state: Path, order: AnyOrder, run: RunWriter, cancellation: Cancellation) -> Worker[Any]:
    """The worker of an order; only what its operation needs is loaded."""
    match order:
        case BackupOrder():
            from dgtui.engine.worker_backup import BackupWorker

            return BackupWorker(state, order, run, cancellation)
        case RestoreOrder():
            from dgtui.engine.worker_restore import RestoreWorker

            return RestoreWorker(state, order, run, cancellation)
        case ValidateOrder():
            from dgtui.engine.worker_validate import ValidateWorker

            return ValidateWorker(state, order, run, cancellation)
        case RehearseOrder():
            from dgtui.engine.worker_rehearse import RehearseWorker

            return RehearseWorker(state, order, run, cancellation)


def _system_problem(error: OSError | MemoryError, run_id: str) -> Problem:
    what = "The worker ran out of memory" if isinstance(error, MemoryError) else f"The system refused: {error}"
    return Problem(
        kind="DataGuardianError",
        message=what,
        subject=run_id,
        hint="Look at free memory, open files (ulimit -n) and the disk of the state folder",
    )


if __name__ == "__main__":
    main(sys.argv[1:])
