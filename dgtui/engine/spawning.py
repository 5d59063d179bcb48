"""Starting a worker: a process of its own, in a session of its own, that holds its locks from its first moment."""

import atexit
import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from dgtui.engine.cancellation import held_back
from dgtui.engine.errors import DataGuardianError
from dgtui.engine.file_errors import explained
from dgtui.engine.files import write_durably
from dgtui.engine.locks import Lock
from dgtui.engine.orders import AnyOrder, encode_order
from dgtui.engine.runs import RunPaths

Start = Callable[[RunPaths, str, tuple[int, ...], int], int]
"""Starts a worker for a run, given the lock descriptors it inherits and one for its stderr; its pid."""


def launch(
    paths: RunPaths, order: AnyOrder, lock: Lock | None, start: Start, announce: Callable[[], None] = lambda: None
) -> None:
    """Start the worker of an order; it inherits the run's lock and `lock`, so that there is no moment without them.

    `announce` records the run just before: the run's lock is held by then, so that nobody takes it for one that died.
    Raises StorageError, and DataGuardianError where no process can be started.
    """
    run_id = order.run_id
    write_durably(paths.request(run_id), encode_order(order))
    with contextlib.ExitStack() as opened, explained(paths.runs, "begin a run in"):
        paths.messages(run_id).touch(0o600)
        faults = os.open(paths.faults(run_id), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        opened.callback(os.close, faults)
        # The pid of the run's lock file is where `cancel` sends its signal: only the worker's own may ever stand there.
        run_lock = os.open(paths.lock(run_id), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        opened.callback(os.close, run_lock)
        # At once: with a lock that nobody holds, it looks like a run that died.
        fcntl.flock(run_lock, fcntl.LOCK_EX)
        announce()
        pid = _started(start, paths, run_id, (run_lock,) if lock is None else (run_lock, lock.fd), faults)
        os.pwrite(run_lock, str(pid).encode(), 0)
        if lock is not None:
            lock.sign(f"run {run_id[:8]}", pid=pid)


def _started(start: Start, paths: RunPaths, run_id: str, locks: tuple[int, ...], faults: int) -> int:
    try:
        with held_back():
            return start(paths, run_id, locks, faults)
    except OSError as error:
        raise DataGuardianError(
            f"The process of the run could not be started: {error.strerror}",
            subject=run_id,
            hint="Look at free memory, and at how many processes this user may have: ulimit -u",
        ) from error


def spawn_worker(paths: RunPaths, run_id: str, locks: tuple[int, ...], faults: int) -> int:
    """Start a new interpreter: what a program with threads, such as the screens, has to do."""
    process = subprocess.Popen(
        [sys.executable, "-m", "dgtui.engine.worker", str(paths.state), run_id, *map(str, locks)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=faults,
        pass_fds=locks,
        start_new_session=True,
        cwd="/",
    )
    keep_process(process)
    return process.pid


_processes: list[subprocess.Popen[Any]] = []
"""Workers that this process started, kept so that their ends are collected while we live."""


def keep_process(process: subprocess.Popen[Any]) -> None:
    """Collect the end of a child that may outlive us, if it comes while we live."""
    _collect_ended()
    _processes.append(process)


@atexit.register
def _collect_ended() -> None:
    _processes[:] = [known for known in _processes if known.poll() is None]
