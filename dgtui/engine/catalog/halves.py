"""Putting pages of the catalogue into words in two processes, where the form of each word depends on all of them.

Each process reads a half of the pages, both tell each other what theirs need, and then each writes its half.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import msgspec

from dgtui.engine.catalog.helping import are_worth_it, forked, receive, send

_needed = msgspec.json.Decoder(list[int])


class Measured(Protocol):
    """Pages in words, of which each is written once it is known what all of them need: the columns of a table."""

    @property
    def needed(self) -> Sequence[int]:
        """What these pages need, at each place a number of which the largest counts."""

    def text(self, needed: Sequence[int], *, begins: bool) -> str:
        """What is written of these pages where all pages need so much; `begins` where they are the first."""


def tell_in_halves(
    pages: Sequence[str], tell: Callable[[Sequence[str]], Measured], let_go: Callable[[], None]
) -> Iterator[str]:
    """What `tell` makes of pages, in their order; of the second half of them in a helper, where that is worth it.

    `let_go` closes what must not be open in two processes; `tell` opens it again.
    """
    if not are_worth_it(pages):
        told = tell(pages)
        yield told.text(told.needed, begins=True)
        return
    let_go()
    first, second = pages[: len(pages) // 2], pages[len(pages) // 2 :]
    with forked(lambda questions, answering: _help(second, tell, questions, answering)) as (asking, answers):
        own = tell(first)
        answer = receive(answers)
        # A helper that died has left its half to us.
        rest = tell(second) if answer is None else None
        needed = _larger(own.needed, rest.needed if rest is not None else _needed.decode(answer or b""))
        if rest is None:
            with contextlib.suppress(BrokenPipeError):
                send(asking, msgspec.json.encode(needed))
        yield own.text(needed, begins=True)
        written = receive(answers) if rest is None else None
        text = written.decode() if written is not None else (rest or tell(second)).text(needed, begins=False)
        # All of it may have been removed meanwhile.
        if text:
            yield text


def _larger(one: Sequence[int], other: Sequence[int]) -> list[int]:
    return [max(pair) for pair in zip(one, other, strict=True)]


def _help(pages: Sequence[str], tell: Callable[[Sequence[str]], Measured], questions: int, answering: int) -> None:
    told = tell(pages)
    send(answering, msgspec.json.encode(list(told.needed)))
    if (needed := receive(questions)) is not None:
        send(answering, told.text(_needed.decode(needed), begins=False).encode())
