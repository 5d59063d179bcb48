"""Reading pages of the catalogue in two processes.

Two threads would take longer than one: all connections of a process ask for their memory under one lock of SQLite.
"""

import contextlib
import fcntl
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator, Sequence

from dgtui.engine.files import write_all

_WORTH_PAGES = 8
"""Fewer are read before a helper has begun."""
_READY_AT_MOST = 4
"""So many pages lie ready while the helper has not yet done the one that is wanted."""
_PIPE_BYTES = 1 << 20
_PLACE_BYTES = 4
_LENGTH_BYTES = 8
_MOST_HELPED = select.PIPE_BUF // _PLACE_BYTES
"""So many places any pipe takes before somebody reads them."""


def read_pages(pages: Sequence[str], read: Callable[[str], str], let_go: Callable[[], None]) -> Iterator[str]:
    """What `read` gives for each page, in their order; where that is worth it, a helper reads some of them.

    Who is done with one takes the next: for somebody who has more to do than to read, the helper reads almost all.
    `let_go` closes what must not be open in two processes; `read` opens it again.
    """
    if not are_worth_it(pages):
        yield from map(read, pages)
        return
    let_go()
    with (
        _tickets(min(len(pages), _MOST_HELPED)) as tickets,
        forked(lambda _, answering: _help(tickets, pages, read, answering)) as (_, answers),
    ):
        ready: dict[int, str] = {}
        for wanted, page in enumerate(pages):
            while wanted not in ready:
                waits = len(ready) >= _READY_AT_MOST or _has_news(answers)
                if not waits and (place := _next(tickets)) is not None:
                    ready[place] = read(pages[place])
                elif (answer := _answer(answers)) is not None:
                    ready[answer[0]] = answer[1]
                else:
                    # A helper that died has left the rest to us.
                    ready[wanted] = read(page)
            yield ready.pop(wanted)


def are_worth_it(pages: Sequence[str]) -> bool:
    """Whether they are read sooner by two processes, and this one may become two."""
    alone = threading.active_count() == 1 and len(os.sched_getaffinity(0)) > 1
    return alone and len(pages) >= _WORTH_PAGES


def send(pipe: int, message: bytes) -> None:
    """Write a message that `receive` reads at the other end. Raises BrokenPipeError where nobody does any more."""
    write_all(pipe, len(message).to_bytes(_LENGTH_BYTES) + message)


def receive(pipe: int) -> bytes | None:
    """The next message; None where none comes any more, or not the whole of it."""
    head = _read(pipe, _LENGTH_BYTES)
    if len(head) < _LENGTH_BYTES:
        return None
    length = int.from_bytes(head)
    message = _read(pipe, length)
    return message if len(message) == length else None


@contextlib.contextmanager
def _tickets(number: int) -> Iterator[int]:
    """Where the places of pages are read from, by two processes, each by one of them."""
    reading, writing = os.pipe()
    try:
        os.write(writing, b"".join(place.to_bytes(_PLACE_BYTES) for place in range(number)))
        os.close(writing)
        yield reading
    finally:
        os.close(reading)


def _next(tickets: int) -> int | None:
    """The place of a page that nobody has begun with; None where there is none."""
    ticket = os.read(tickets, _PLACE_BYTES)
    return int.from_bytes(ticket) if ticket else None


@contextlib.contextmanager
def forked(work: Callable[[int, int], None]) -> Iterator[tuple[int, int]]:
    """Where we ask a child that does some work, and where it answers; it gets the other ends, and is gone afterwards.

    Where the machine has no room for a child, it is as if it had died at once.
    """
    questions, asking = os.pipe()
    answers, answering = os.pipe()
    with contextlib.suppress(OSError):
        fcntl.fcntl(answering, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    try:
        pid = os.fork()
    except OSError:
        pid = None
    if pid == 0:
        # It never returns, whatever happens: what is open and registered here belongs to the parent.
        try:
            os.close(asking)
            os.close(answers)
            work(questions, answering)
        finally:
            os._exit(0)
    os.close(questions)
    os.close(answering)
    try:
        yield asking, answers
    finally:
        os.close(asking)
        os.close(answers)
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _help(tickets: int, pages: Sequence[str], read: Callable[[str], str], answering: int) -> None:
    while (place := _next(tickets)) is not None:
        send(answering, place.to_bytes(_PLACE_BYTES) + read(pages[place]).encode())


def _has_news(answers: int) -> bool:
    poll = select.poll()
    poll.register(answers, select.POLLIN)
    return bool(poll.poll(0))


def _answer(answers: int) -> tuple[int, str] | None:
    """The place and the text of a page that the helper has read; None where none comes any more, or not the whole."""
    message = receive(answers)
    return None if message is None else (int.from_bytes(message[:_PLACE_BYTES]), message[_PLACE_BYTES:].decode())


def _read(pipe: int, length: int) -> bytes:
    """As many bytes, or those before its end."""
    pieces = bytearray()
    while len(pieces) < length and (piece := os.read(pipe, length - len(pieces))):
        pieces += piece
    return bytes(pieces)
