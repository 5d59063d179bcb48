"""Reading a dump tool's output without waking up for each few bytes of it."""

import fcntl
import os
import select
import threading
import time
from collections.abc import Callable, Iterator

from dgtui.engine.child import widen_pipe
from dgtui.engine.errors import BackupCreationError, Cancelled, IdleTimeout

_BLOCK_BYTES = 1 << 18
_LOOK_AROUND_SECONDS = 0.2
"""How soon it is noticed that everything was cancelled."""
_FILL_RATE = 1 << 29
"""Bytes a second: faster than any dump tool, so that a nap which lets a pipe fill at this rate slows down none."""


def read_blocks(
    source: int,
    *,
    idle_timeout: float,
    cancelled: threading.Event,
    copy: Callable[[int, int], int] = lambda _source, _at_most: 0,
) -> Iterator[bytes]:
    """All bytes of a file descriptor, in blocks of at most 256 KiB.

    `copy` is called with the descriptor and so many bytes before they are read, and may take some of those that wait
    there without removing them; the block that follows has as many, where there were any.
    Raises IdleTimeout where no byte comes for `idle_timeout` seconds, Cancelled, BackupCreationError where it cannot
    be read.
    """
    widen_pipe(source)
    nap = _pipe_bytes(source) / _FILL_RATE
    poll = select.poll()
    poll.register(source, select.POLLIN)
    while True:
        _wait_for_data(poll, idle_timeout, cancelled)
        try:
            block = os.read(source, copy(source, _BLOCK_BYTES) or _BLOCK_BYTES)
        except BlockingIOError:
            continue
        except OSError as error:
            raise BackupCreationError(
                f"The output of the dump cannot be read: {error.strerror}",
                subject="dump",
                hint="Run the backup again; if it stays so, look at the system log",
            ) from error
        if not block:
            return
        yield block
        if len(block) < _BLOCK_BYTES:
            # Tools write 4 KiB at a time. To be woken by each of them costs both sides a sixth of all CPU time.
            time.sleep(nap)


def _pipe_bytes(descriptor: int) -> int:
    """How much a pipe holds; 0 for anything else, and where the system does not tell."""
    try:
        return fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ)
    except (OSError, AttributeError):
        return 0


def _wait_for_data(poll: select.poll, idle_timeout: float, cancelled: threading.Event) -> None:
    deadline = time.monotonic() + idle_timeout
    while True:
        if cancelled.is_set():
            raise Cancelled("Cancelled", hint="Nothing was kept; start it again when it suits")
        seconds = min(_LOOK_AROUND_SECONDS, max(deadline - time.monotonic(), 0))
        if poll.poll(seconds * 1000):
            return
        if time.monotonic() >= deadline:
            raise IdleTimeout(
                f"No data for {idle_timeout:.0f} s",
                subject="dump",
                hint="Is the server frozen, or waiting for a lock?",
            )
