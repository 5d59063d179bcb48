"""Loading an archive with several pg_restores at once, without unpacking it to a file.

`pg_restore -j` wants a file that it can go back and forth in, as large as the archive is unpacked. Here the tables are
shared out instead: each process is fed the whole archive by a pipe of its own and takes its share of the rows, so that
to unpack the archive goes on beside the loading. What an archive defines before and after the rows stands in its table
of contents, which alone is written to a file; indexes and keys are made from that with `-j`.
"""

import functools
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from dgtui.engine.beside import Beside
from dgtui.engine.datasources.loading import LoadOutcome
from dgtui.engine.datasources.postgres_copy_watch import CopyWatch
from dgtui.engine.datasources.postgres_names import table_name
from dgtui.engine.datasources.postgres_process import RestoreCommand, RestoreProcess
from dgtui.engine.datasources.postgres_toc import BEFORE_DATA, Toc, TocEntry, head_of

_ROWS = "TABLE DATA"
_WITH_DATA = frozenset({_ROWS, "BLOBS"})
_LARGE_OBJECTS = "BLOB METADATA"
"""Large objects as archives from pg_dump 17 on define them, among the data."""
_NO_ROWS = "--schema-only"
_PLACE_KNOWN = 2
"""What an archive says of the place of data before the offset (`pg_backup_custom.c`)."""
_STEPS_OF_DOUBLING = 8
_LEAST_BYTES = 1 << 14
"""What it takes to begin with a table, in bytes that are loaded in that time."""


class ParallelLoad:
    """Loads the entries of an archive into an empty database."""

    def __init__(
        self,
        command: RestoreCommand,
        entries: Sequence[TocEntry],
        blocks: Callable[[], Iterator[bytes]],
        toc: Toc,
        sizes: Mapping[str, int],
        watch: CopyWatch,
    ) -> None:
        """`blocks` reads the archive anew at each call; `toc` is its table of contents.

        `sizes` are the bytes of the tables, as far as they are known.
        """
        self._command = command
        self._entries = entries
        self._blocks = blocks
        self._toc = toc
        self._sizes = sizes
        self._watch = watch
        self._running: tuple[RestoreProcess, ...] = ()
        self._given_up = False

    def give_up(self) -> None:
        """End all processes at once, from whichever thread, and those that begin later."""
        self._given_up = True
        for process in self._running:
            process.kill()

    def _begin(self, *processes: RestoreProcess) -> None:
        self._running = processes
        if self._given_up:
            self.give_up()

    def load(self, jobs: int) -> LoadOutcome:
        """Make the tables, fill them, and make what rests on their rows; ends with the first step that fails."""
        rows = _NO_ROWS not in self._command.plan.arguments
        before, filled, after = in_steps(self._entries, rows=rows)
        contents = self._contents()
        steps: tuple[Callable[[], LoadOutcome], ...] = (
            lambda: self._make(before, contents, 1),
            lambda: self._fill(shared_out(filled, self._sizes, jobs)),
            lambda: self._make(after, contents, jobs),
        )
        notes: dict[str, None] = {}
        for step in steps:
            outcome = step()
            notes |= dict.fromkeys(outcome.notes)
            if outcome.error_count:
                break
        return LoadOutcome(errors=outcome.errors, error_count=outcome.error_count, notes=tuple(notes))

    def _contents(self) -> Path:
        """A file with the table of contents of the archive, and no data.

        It tells how large the tables are, so that pg_restore begins with the indexes of the largest, or it ends with
        one process at work. It takes for the size of a table what lies between the place of its data and the next ones.
        To compare them is all that it does with them, so that magnitudes are told, and there is no more than that.
        """
        head, _ = head_of(self._blocks(), self._toc)
        contents = bytearray(head)
        place = len(head)
        for entry in self._toc.entries:
            if entry.kind == _ROWS:
                told = bytes([_PLACE_KNOWN]) + place.to_bytes(self._toc.offset_bytes, "little")
                contents[entry.place_at : entry.place_at + len(told)] = told
                place += max(1, round(_STEPS_OF_DOUBLING * math.log2(_size(entry, self._sizes) / _LEAST_BYTES)))
        path = self._command.folder / "contents.dump"
        path.write_bytes(contents + bytes(place - len(head)))
        return path

    def _make(self, entries: Collection[TocEntry], contents: Path, jobs: int) -> LoadOutcome:
        if not entries:
            return LoadOutcome()
        hear = self._watch.hearing(in_parallel=jobs > 1)
        process = self._command.start(hear, entries, file=contents, jobs=jobs)
        try:
            self._begin(process)
            return process.outcome()
        finally:
            process.stop()

    def _fill(self, shares: Sequence[Sequence[TocEntry]]) -> LoadOutcome:
        processes: list[RestoreProcess] = []
        try:
            for share in shares:
                processes.append(self._command.start(self._watch.hearing(in_parallel=False), share))
            self._begin(*processes)
            return self._outcome_of(processes, shares)
        finally:
            for process in processes:
                process.stop()

    def _outcome_of(self, processes: Sequence[RestoreProcess], shares: Sequence[Sequence[TocEntry]]) -> LoadOutcome:
        """Feed all of them; the first that fails ends the others, and tells what was wrong."""
        failed: list[_Feeding] = []
        feedings: list[_Feeding] = []

        def end_all(failure: _Feeding) -> None:
            failed.append(failure)
            for process in processes:
                process.kill()

        for process, share in zip(processes, shares, strict=True):
            ended_well = functools.partial(self._watch.finish_all, share)
            to_end = process is processes[-1]
            feedings.append(_Feeding(process, self._blocks(), ended_well, end_all, to_end=to_end))
        for feeding in feedings:
            feeding.wait()
        if failed:
            return failed[0].finish()
        return LoadOutcome(notes=tuple(note for feeding in feedings for note in feeding.finish().notes))


class Steps(NamedTuple):
    """The entries of an archive in the order in which they are loaded."""

    before: list[TocEntry]
    filled: list[TocEntry]
    """Those with rows, which may be loaded at once."""
    after: list[TocEntry]


def in_steps(entries: Iterable[TocEntry], *, rows: bool) -> Steps:
    """What is made before the rows, the rows where they are wanted, and the rest.

    Grants are among the rest: they may take from the owner of a table what it needs to fill it.
    """
    steps = Steps([], [], [])
    for entry in entries:
        if entry.section == BEFORE_DATA or entry.kind == _LARGE_OBJECTS:
            steps.before.append(entry)
        elif rows and entry.kind in _WITH_DATA:
            steps.filled.append(entry)
        else:
            steps.after.append(entry)
    return steps


def shared_out(entries: Sequence[TocEntry], sizes: Mapping[str, int], jobs: int) -> list[list[TocEntry]]:
    """The entries in at most `jobs` shares of about one size, each in the order of the archive.

    The last entry is in the last share, which so has to read all of the archive.
    """
    shares: list[list[TocEntry]] = [[] for _ in range(min(jobs, len(entries)))]
    loads = [0] * len(shares)
    places = {entry.dump_id: place for place, entry in enumerate(entries)}

    for entry in sorted(entries, key=lambda entry: _size(entry, sizes), reverse=True):
        least = loads.index(min(loads))
        shares[least].append(entry)
        loads[least] += _size(entry, sizes)
    for share in shares:
        share.sort(key=lambda entry: places[entry.dump_id])
    return sorted(shares, key=lambda share: places[share[-1].dump_id])


def _size(entry: TocEntry, sizes: Mapping[str, int]) -> int:
    return max(sizes.get(table_name(entry.schema, entry.tag), 0), _LEAST_BYTES)


class _Feeding:
    """A process that is fed the archive in a thread."""

    def __init__(
        self,
        process: RestoreProcess,
        blocks: Iterator[bytes],
        ended_well: Callable[[], None],
        failed: Callable[["_Feeding"], None],
        *,
        to_end: bool,
    ) -> None:
        """One of the two is called in that thread; `to_end` has all of the archive read."""
        self._process = process
        self._blocks = blocks
        self._ended_well = ended_well
        self._failed = failed
        self._to_end = to_end
        self._outcome = LoadOutcome()
        self._beside = Beside(self._feed)

    def wait(self) -> None:
        """Wait until the process has ended."""
        self._beside.wait()

    def finish(self) -> LoadOutcome:
        """What it came to. Raises what made it fail."""
        self._beside.finish()
        return self._outcome

    def _feed(self) -> None:
        well = False
        try:
            self._process.feed(self._blocks)
            self._outcome = self._process.outcome()
            if not self._outcome.error_count:
                self._ended_well()
                # What nobody had need of is read as well: the bytes are known to be good at their end only.
                for _ in self._blocks if self._to_end else ():
                    pass
                well = True
        finally:
            if not well:
                self._failed(self)
