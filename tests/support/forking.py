"""Workers whose code a test changes: forks of the test itself."""

import os
import traceback
from collections.abc import Callable

from dgtui.engine import worker
from dgtui.engine.runs import RunPaths
from dgtui.engine.spawning import Start


def forked(prepare: Callable[[], object]) -> Start:
    """Starts workers in which `prepare` was called before anything else. No catalogue may be open."""

    def start(paths: RunPaths, run_id: str, _locks: tuple[int, ...], faults: int) -> int:
        pid = os.fork()
        if pid:
            return pid
        try:
            os.setsid()
            os.dup2(faults, 2)
            prepare()
            worker.main([str(paths.state), run_id])
        except BaseException:  # noqa: BLE001  # nothing of this may run on in the stack of the test
            traceback.print_exc()
        finally:
            os._exit(0)

    return start
