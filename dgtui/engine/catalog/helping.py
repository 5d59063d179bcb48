"""Reading pages of the catalogue in two processes.

Two threads would take longer than one: all connections of a process ask for their memory under one lock of SQLite.
"""

import contextlib
import fcntl
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import compress
from typing import BinaryIO

_WORTH_PAGES = 8
"""Fewer are read before a helper has begun."""
_PIPE_BYTES = 1 << 20
_LENGTH_BYTES = 8


def read_pages(
    pages: Sequence[str], read: Callable[[str], str], let_go: Callable[[], None], *, ours: int = 2
) -> Iterator[str]:
    """What `read` gives for each page, in their order; where that is worth it, we read but some of them ourselves.

    Those are every second one, or how many `ours` says, with 0 none, for somebody who has more to do than to read; the
    others are read by a helper. `let_go` closes what must not be open in two processes; `read` opens it again.
    """
    alone = threading.active_count() == 1 and len(os.sched_getaffinity(0)) > 1
    if len(pages) < _WORTH_PAGES or not alone:
        yield from map(read, pages)
        return
    let_go()
    helped = [not ours or place % ours != 0 for place in range(len(pages))]
    with _helper(list(compress(pages, helped)), read) as answers:
        for page, is_helped in zip(pages, helped, strict=True):
            answer = _answer(answers) if is_helped else None
            # A helper that died has left the rest to us.
            yield read(page) if answer is None else answer


@contextlib.contextmanager
def _helper(pages: Sequence[str], read: Callable[[str], str]) -> Iterator[BinaryIO]:
    """A child that reads these pages, and ends when nobody wants its answers any more."""
    reading, writing = os.pipe()
    with contextlib.suppress(OSError):
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _help(pages, read, writing)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as answers:
            yield answers
    finally:
        os.waitpid(pid, 0)


def _help(pages: Sequence[str], read: Callable[[str], str], writing: int) -> None:
    """Never returns, whatever happens: what is open and registered here belongs to the parent."""
    try:
        with os.fdopen(writing, "wb") as answers:
            for page in pages:
                text = read(page).encode()
                answers.write(len(text).to_bytes(_LENGTH_BYTES))
                answers.write(text)
    finally:
        os._exit(0)


def _answer(answers: BinaryIO) -> str | None:
    """The next one; None where there is none, or not the whole."""
    head = answers.read(_LENGTH_BYTES)
    length = int.from_bytes(head)
    if len(head) < _LENGTH_BYTES or len(text := answers.read(length)) < length:
        return None
    return text.decode()
