"""The swap of an SQLite file, failing or cut at each of its steps, on file systems of every kind."""

import errno
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dgtui.engine.datasources import sqlite_swap
from dgtui.engine.datasources.places import exchange, mark_of
from dgtui.engine.datasources.sqlite_swap import settle_database, swap_database
from dgtui.engine.errors import RestoreError
from dgtui.engine.reporting import SilentReporter

OLD, WAL, NEW = b"damaged", b"what is in its log", b"restored"
WAYS = ("links", "exchange", "renames")


class Killed(BaseException):
    """The process is gone."""


class Swap:
    """A damaged database, whose `-wal` cannot be folded in, and a restored one beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.current, self.new, self.keep = folder / "shop.db", folder / "new.db", folder / "old.db"
        self.current.write_bytes(OLD)
        (folder / "shop.db-wal").write_bytes(WAL)
        (folder / "shop.db-shm").write_bytes(WAL)
        self.new.write_bytes(NEW)
        self.mark = mark_of(self.new)

    def make(self) -> None:
        swap_database(self.new, self.current, self.keep, SilentReporter())

    def settle(self) -> str:
        return settle_database(self.mark, self.new, self.current, self.keep)

    @property
    def found(self) -> dict[str, bytes]:
        """What lies in the folder."""
        return {path.name: path.read_bytes() for path in self.folder.iterdir()}

    @property
    def is_old(self) -> bool:
        """Whether the old content is in its place with its log."""
        return self.found == {"shop.db": OLD, "shop.db-wal": WAL, "shop.db-shm": WAL, "new.db": NEW}

    @property
    def is_new(self) -> bool:
        """Whether the new content is, and the old one is kept with its log."""
        return self.found == {"shop.db": NEW, "old.db": OLD, "old.db-wal": WAL, "old.db-shm": WAL}


class Steps:
    """Counts the changes of names, and does to one of them what the test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
        self.number = 0
        self.strikes_at = 0
        self.strike: Callable[[Callable[[], Any]], Any] = lambda work: work()
        for name in ("rename", "link", "unlink"):
            monkeypatch.setattr(os, name, self._counted(getattr(os, name), works=name != "link" or way == "links"))
        swaps = self._counted(exchange, works=True)
        monkeypatch.setattr(sqlite_swap, "exchange", swaps if way == "exchange" else lambda *_: False)

    def _counted(self, call: Callable[..., Any], *, works: bool) -> Callable[..., Any]:
        def counted(*arguments: Any, **more: Any) -> Any:
            if not works:
                raise OSError(errno.EPERM, "no second names here")
            self.number += 1
            if self.number == self.strikes_at:
                return self.strike(lambda: call(*arguments, **more))
            return call(*arguments, **more)

        return counted


def fail(_: Callable[[], Any]) -> None:
    raise OSError(errno.EIO, "the disk fails")


def kill_before(_: Callable[[], Any]) -> None:
    raise Killed


def kill_after(work: Callable[[], Any]) -> None:
    work()
    raise Killed


@pytest.mark.parametrize("way", WAYS)
def test_whole(tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Steps(monkeypatch, way)
    swap = Swap(tmp_path)
    swap.make()
    assert swap.is_new
    assert swap.settle() == "new"
    assert swap.is_new


@pytest.mark.parametrize("way", WAYS)
def test_a_step_that_fails_leaves_the_old_database_with_its_log(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or there was another way."""
    failed = 0
    for number in itertools.count(1):
        folder = tmp_path / str(number)
        folder.mkdir()
        swap = Swap(folder)
        with monkeypatch.context() as patch:
            steps = Steps(patch, way)
            steps.strikes_at, steps.strike = number, fail
            try:
                swap.make()
            except RestoreError:
                failed += 1
                assert swap.is_old, number
            else:
                assert swap.is_new, number
            if steps.number < number:
                break
    assert failed >= 2


@pytest.mark.parametrize("strike", [kill_before, kill_after])
@pytest.mark.parametrize("way", WAYS)
def test_one_that_was_cut_is_settled_to_the_old_or_the_new(
    tmp_path: Path, way: str, strike: Callable[[Callable[[], Any]], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each with its own log, however often the settling is cut as well."""
    verdicts = []
    for number in itertools.count(1):
        for again in itertools.count(1):
            folder = tmp_path / f"{number}-{again}"
            folder.mkdir()
            swap = Swap(folder)
            with monkeypatch.context() as patch:
                steps = Steps(patch, way)
                steps.strikes_at, steps.strike = number, strike
                cut = _is_cut(swap.make)
                steps.number, steps.strikes_at = 0, again
                cut_again = _is_cut(swap.settle)
                steps.strikes_at = 0
                verdict = swap.settle()
            assert swap.is_new if verdict == "new" else swap.is_old, (number, again)
            if not cut_again:
                break
        verdicts.append(verdict)
        if not cut:
            break
    assert verdicts == sorted(verdicts, key=["old", "new"].index)
    assert verdicts[-1] == "new"


def _is_cut(work: Callable[[], object]) -> bool:
    try:
        work()
    except Killed:
        return True
    return False


@pytest.mark.parametrize("name", ["old.db", "old.db-wal", "old.db-journal"])
def test_nothing_is_put_over_what_lies_in_the_way(tmp_path: Path, name: str) -> None:
    swap = Swap(tmp_path)
    (tmp_path / name).write_bytes(b"precious")
    before = swap.found
    with pytest.raises(RestoreError, match="in the way"):
        swap.make()
    assert swap.found == before


@pytest.mark.parametrize("ending", ["-wal", "-journal"])
def test_a_restored_file_with_a_log_of_its_own_is_not_put_in_place(tmp_path: Path, ending: str) -> None:
    swap = Swap(tmp_path)
    (tmp_path / f"new.db{ending}").write_bytes(b"half")
    with pytest.raises(RestoreError, match="was not restored to its end"):
        swap.make()
    assert swap.current.read_bytes() == OLD


def test_logs_of_a_database_that_is_gone_do_not_fall_on_the_new_one(tmp_path: Path) -> None:
    swap = Swap(tmp_path)
    swap.current.unlink()
    (tmp_path / "shop.db-wal.orphan-1").write_bytes(b"earlier")
    swap.make()
    assert swap.found == {
        "shop.db": NEW,
        "shop.db-wal.orphan-1": b"earlier",
        "shop.db-wal.orphan-2": WAL,
        "shop.db-shm.orphan-1": WAL,
    }


@pytest.mark.parametrize(("strikes_at", "verdict"), [(0, "new"), (3, "old"), (4, "new")])
def test_the_names_are_durable_before_anything_is_told(
    tmp_path: Path, strikes_at: int, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    swap = Swap(tmp_path)
    synced: list[tuple[Path, dict[str, bytes]]] = []
    monkeypatch.setattr(sqlite_swap, "fsync_folder", lambda folder: synced.append((folder, swap.found)))
    with monkeypatch.context() as patch:
        steps = Steps(patch, "exchange")
        steps.strikes_at, steps.strike = strikes_at, kill_before
        cut = _is_cut(swap.make)
    assert synced == ([] if cut else [(tmp_path, swap.found)])
    assert swap.settle() == verdict
    assert synced[-1] == (tmp_path, swap.found)
    assert len(synced) == (1 if cut else 2)


def test_the_old_log_never_comes_to_lie_beside_the_new_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where the disk fails again and again: SQLite would bring what is in it into the restored content."""
    swap = Swap(tmp_path)
    calls: list[Path] = []

    def once(first: Path, second: Path) -> bool:
        calls.append(first)
        if len(calls) > 1:
            raise OSError(errno.EIO, "the disk fails")
        return exchange(first, second)

    steps = Steps(monkeypatch, "exchange")
    steps.strikes_at, steps.strike = 3, fail
    monkeypatch.setattr(sqlite_swap, "exchange", once)
    with pytest.raises(RestoreError):
        swap.make()
    assert swap.found == {"shop.db": NEW, "new.db": OLD, "old.db-wal": WAL, "old.db-shm": WAL}
    assert swap.settle() == "new"
    assert swap.is_new
