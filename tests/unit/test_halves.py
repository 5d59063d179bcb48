"""Pages in words by two processes: the whole of it in order, whatever becomes of the helper."""

import errno
import os
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from dgtui.cli.table import TablePart, table_lines
from dgtui.engine.catalog.halves import tell_in_halves
from dgtui.engine.catalog.helping import read_pages
from dgtui.engine.errors import CatalogError

PAGES = [str(number) for number in range(20)]
US = os.getpid()


@pytest.fixture(autouse=True)
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper is worth it, whatever machine this is and whatever other tests have left running."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(threading, "active_count", lambda: 1)


class Told:
    """Pages, all as wide as the widest of them, and who told them."""

    def __init__(self, pages: Sequence[str]) -> None:
        self._pages = pages
        self.needed = [max(map(len, pages), default=0), len(pages)]

    def text(self, needed: Sequence[int], *, begins: bool) -> str:
        """Each page as wide as all of them."""
        words = [page.rjust(needed[0], "0") for page in self._pages]
        return f"{'head ' if begins else ''}{' '.join(words)} {'' if os.getpid() == US else os.getpid()}"


def told(tell: Callable[[Sequence[str]], Told] = Told) -> list[str]:
    return [text.strip() for text in tell_in_halves(PAGES, tell, lambda: None)]


IN_ORDER = [
    "head 00 01 02 03 04 05 06 07 08 09",
    "10 11 12 13 14 15 16 17 18 19",
]


def test_each_half_is_as_wide_as_the_widest_page_of_both() -> None:
    let_go: list[int] = []
    first, second = tell_in_halves(PAGES, Told, lambda: let_go.append(os.getpid()))
    assert first.strip() == IN_ORDER[0]
    words, _, helper = second.rpartition(" ")
    assert words == IN_ORDER[1]
    assert let_go == [US]
    with pytest.raises(ProcessLookupError):
        os.kill(int(helper), 0)


def die_in_the_helper() -> None:
    if os.getpid() != US:
        os.kill(os.getpid(), signal.SIGKILL)


def open_files() -> list[str]:
    return sorted(entry.name for entry in Path("/proc/self/fd").iterdir())


def test_where_no_process_can_be_made_all_is_told_by_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> int:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", refused)
    before = open_files()
    assert told() == IN_ORDER
    assert list(read_pages(PAGES, str, lambda: None)) == PAGES
    assert open_files() == before


class WholeAtFirst(Told):
    """Nothing is left of what comes second."""

    def text(self, needed: Sequence[int], *, begins: bool) -> str:
        """Each page as wide as all of them."""
        return super().text(needed, begins=begins) if begins else ""


def test_a_half_of_which_nothing_is_left_is_no_empty_line() -> None:
    assert told(WholeAtFirst) == IN_ORDER[:1]


class DiesWhileItReads(Told):
    """Its helper says nothing."""

    def __init__(self, pages: Sequence[str]) -> None:
        die_in_the_helper()
        super().__init__(pages)


class DiesWhileItWrites(Told):
    """Its helper says what it needs and no more."""

    def text(self, needed: Sequence[int], *, begins: bool) -> str:
        """Each page as wide as all of them."""
        die_in_the_helper()
        return super().text(needed, begins=begins)


@pytest.mark.parametrize("tell", [DiesWhileItReads, DiesWhileItWrites])
def test_what_a_helper_that_died_leaves_is_told_all_the_same(tell: type[Told]) -> None:
    assert told(tell) == IN_ORDER


@pytest.mark.parametrize("page", ["3", "13"])
def test_what_fails_fails_here(page: str) -> None:
    def tell(pages: Sequence[str]) -> Told:
        if page in pages:
            raise CatalogError("no")
        return Told(pages)

    with pytest.raises(CatalogError):
        told(tell)


def test_a_reader_that_goes_away_leaves_no_helper(monkeypatch: pytest.MonkeyPatch) -> None:
    fork, helpers = os.fork, list[int]()

    def forked() -> int:
        helpers.append(fork())
        return helpers[-1]

    monkeypatch.setattr(os, "fork", forked)
    texts = tell_in_halves(PAGES, Told, lambda: None)
    next(texts)
    texts.close()  # type: ignore[attr-defined]  # it is a generator
    (helper,) = helpers
    with pytest.raises(ProcessLookupError):
        os.kill(helper, 0)


def test_a_reader_that_goes_away_does_not_wait_for_what_the_helper_is_at() -> None:
    us, (waiting, opening) = os.getpid(), os.pipe()

    class Waits(Told):
        """Its helper never comes to an end."""

        def __init__(self, pages: Sequence[str]) -> None:
            if os.getpid() != us:
                os.read(waiting, 1)
            elif "0" in pages:
                raise KeyboardInterrupt
            super().__init__(pages)

    with pytest.raises(KeyboardInterrupt):
        told(Waits)
    os.close(waiting)
    os.close(opening)


def test_two_parts_of_a_table_are_the_whole_table() -> None:
    headers = ("ID", "Name")
    rows = [(str(number), "●" * (number % 7) + "日" * (number // 9)) for number in range(20)]
    for width in (None, 14):

        def tell(pages: Sequence[str], width: int | None = width) -> TablePart:
            columns = [*zip(*(rows[int(page)] for page in pages), strict=True)]
            return TablePart(headers, columns, width=width)

        lines = "\n".join(tell_in_halves(PAGES, tell, lambda: None)).split("\n")
        assert lines == table_lines(headers, rows, width=width)


def test_few_pages_are_told_by_one_process() -> None:
    assert list(tell_in_halves(PAGES[:7], Told, lambda: pytest.fail("for nothing"))) == ["head 0 1 2 3 4 5 6 "]
    assert list(tell_in_halves([], Told, lambda: None)) == ["head  "]
