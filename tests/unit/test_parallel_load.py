"""In which order an archive is loaded in parallel, and how its tables are shared out among the processes."""

import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dgtui.engine.datasources import postgres_parallel
from dgtui.engine.datasources.loading import LoadOutcome
from dgtui.engine.datasources.postgres_parallel import ParallelLoad
from dgtui.engine.datasources.postgres_shares import in_steps, in_turn, shared_out
from dgtui.engine.datasources.postgres_toc import BEFORE_DATA, Toc, TocEntry
from dgtui.engine.errors import Cancelled, RestoreError
from tests.support.homes import PATIENCE_SECONDS


def table(number: int) -> TocEntry:
    return TocEntry(number, "TABLE DATA", "public", f"t{number}", "", "", "", ())


@pytest.mark.parametrize(
    ("sizes", "jobs", "shares"),
    [
        ([900_000, 100_000, 500_000, 300_000], 2, [[1], [2, 3, 4]]),
        ([100_000, 900_000, 500_000], 2, [[2], [1, 3]]),
        ([100_000, 200_000, 900_000], 2, [[1, 2], [3]]),
        ([100_000, 200_000], 4, [[1], [2]]),
        ([0, 0, 0, 0], 2, [[1, 3], [2, 4]]),
        ([], 4, []),
    ],
)
def test_about_one_size_in_the_order_of_the_archive(sizes: list[int], jobs: int, shares: list[list[int]]) -> None:
    entries = [table(number) for number in range(1, len(sizes) + 1)]
    known = {f"public.t{number}": size for number, size in enumerate(sizes, 1)}
    found = shared_out(entries, known, jobs)
    assert [[entry.dump_id for entry in share] for share in found] == shares


def test_rows_come_after_what_they_go_into_and_before_what_may_forbid_them() -> None:
    made = {
        kind: TocEntry(number, kind, "public", "t", "", "", "", (), section=section)
        for number, (kind, section) in enumerate(
            [("ENCODING", 2), ("TABLE", 2), ("ACL", 1), ("BLOB METADATA", 3), ("TABLE DATA", 3), ("BLOBS", 3),
             ("SEQUENCE SET", 3), ("INDEX", 4), ("MATERIALIZED VIEW DATA", 4), ("COMMENT", 1)], 1,
        )
    }  # fmt: skip
    before, filled, after = in_steps(made.values(), rows=True)
    assert [entry.kind for entry in before] == ["ENCODING", "TABLE", "BLOB METADATA"]
    assert [entry.kind for entry in filled] == ["TABLE DATA", "BLOBS"]
    assert [entry.kind for entry in after] == ["ACL", "SEQUENCE SET", "INDEX", "MATERIALIZED VIEW DATA", "COMMENT"]
    assert in_steps(made.values(), rows=False).filled == []


def test_indexes_of_partitions_are_attached_by_one_process_before_what_rests_on_them() -> None:
    """Attached by several at once, the index of a table with two levels sometimes stays invalid, without an error."""
    kinds = ["ACL", "INDEX", "INDEX ATTACH", "CONSTRAINT", "FK CONSTRAINT", "INDEX ATTACH", "TRIGGER"]
    after = [TocEntry(number, kind, "public", "t", "", "", "", ()) for number, kind in enumerate(kinds)]
    parts = [([entry.dump_id for entry in entries], at_once) for entries, at_once in in_turn(after)]
    assert parts == [([1, 3], True), ([2, 5], False), ([0, 4, 6], True)]


def test_without_partitions_all_after_the_rows_is_one_part() -> None:
    after = [table(1), table(2)]
    assert in_turn(after) == [(after, True)]


class Process:
    """Stands for a pg_restore: it takes what it is fed, and ends when it may, or is killed."""

    def __init__(self, may_end: threading.Event) -> None:
        self.killed = threading.Event()
        self._may_end = may_end

    def feed(self, blocks: Iterable[bytes]) -> None:
        """Take all of it."""
        for _ in blocks:
            pass

    def outcome(self) -> LoadOutcome:
        """Wait for the end."""
        assert self._may_end.wait(PATIENCE_SECONDS)
        if self.killed.is_set():
            raise RestoreError("killed", subject="target", hint="none")
        return LoadOutcome()

    def kill(self) -> None:
        """End it."""
        self.killed.set()
        self._may_end.set()

    def stop(self) -> None:
        """Nothing is left to free."""


class Command:
    """Stands for the command line of pg_restore; it counts what is asked to be made."""

    def __init__(self, folder: Path) -> None:
        self.plan = SimpleNamespace(arguments=())
        self.folder = folder
        self.index_begun = threading.Event()
        self.index: Process | None = None

    def start(
        self, _hear: Callable[[str], None], entries: Iterable[TocEntry], *, file: Path | None = None, jobs: int = 1
    ) -> Process:
        """The table `late` is filled once the index of the other one is being made, which never ends by itself."""
        assert jobs == 1
        assert file is None or file.parent == self.folder
        tags = {entry.tag for entry in entries}
        may_end = threading.Event()
        process = Process(self.index_begun if tags == {"late"} else may_end)
        if tags == {"early_x"}:
            self.index = process
            self.index_begun.set()
        else:
            may_end.set()
        return process


class Watch:
    """Stands for the watching of the tables; it notes when `late` is filled."""

    def __init__(self) -> None:
        self.late_filled = threading.Event()

    def hearing(self, *, in_parallel: bool) -> Callable[[str], None]:
        """Hears nothing."""
        assert not in_parallel
        return lambda _line: None

    def finish_all(self, entries: Iterable[TocEntry]) -> None:
        """All rows of these are loaded."""
        if {entry.tag for entry in entries} == {"late"}:
            self.late_filled.set()


def test_cancelled_while_the_last_index_is_made_it_is_not_made_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All tables are filled by then, so that no other process is left whose end would be seen."""
    early, late = (
        TocEntry(number, "TABLE", "public", tag, "", "", "", (), section=BEFORE_DATA)
        for number, tag in ((1, "early"), (2, "late"))
    )
    rows = [
        TocEntry(10 + one.dump_id, "TABLE DATA", "public", one.tag, "", "", "", (one.dump_id,)) for one in (early, late)
    ]
    index = TocEntry(
        21, "INDEX", "public", "early_x", "", "CREATE INDEX early_x ON public.early USING btree (a);", "", (1,)
    )
    entries = (early, late, *rows, index)
    command, watch = Command(tmp_path), Watch()

    def blocks() -> Iterator[bytes]:
        yield b"archive"

    def cancelled(_lane: Any) -> None:
        assert command.index_begun.wait(PATIENCE_SECONDS)
        assert watch.late_filled.wait(PATIENCE_SECONDS)
        raise Cancelled("Cancelled", subject="target")

    monkeypatch.setattr(postgres_parallel._Lane, "wait", cancelled)
    sizes = {"public.early": 1 << 30, "public.late": 1 << 30}
    load = ParallelLoad(command, entries, blocks, Toc("d", "15", "15", entries), sizes, watch)  # type: ignore[arg-type]  # stand-ins
    with pytest.raises(Cancelled):
        load.load(2)
    assert command.index is not None
    assert command.index.killed.is_set()
