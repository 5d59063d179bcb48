"""Loading an archive with several pg_restores at once, without unpacking it to a file.

`pg_restore -j` wants a file that it can go back and forth in, as large as the archive is unpacked. Here the tables are
shared out instead: each process is fed the whole archive by a pipe of its own and takes its share of the rows, so that
to unpack the archive goes on beside the loading. What an archive defines before and after the rows stands in its table
of contents, which alone is written to a file; indexes and keys are made from that with `-j`. Those of a large table are
begun as soon as it is filled, where a process would have to wait for the others.
"""

import contextlib
import functools
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from dgtui.engine.beside import Beside
from dgtui.engine.datasources.loading import LoadOutcome
from dgtui.engine.datasources.postgres_copy_watch import CopyWatch
from dgtui.engine.datasources.postgres_frozen_rows import with_frozen_rows
from dgtui.engine.datasources.postgres_process import RestoreCommand, RestoreProcess
from dgtui.engine.datasources.postgres_ready_indexes import ReadyIndexes, indexes_by_table
from dgtui.engine.datasources.postgres_shares import (
    LEAST_BYTES,
    ROWS,
    in_steps,
    in_turn,
    shared_out,
    size_of,
    without,
)
from dgtui.engine.datasources.postgres_toc import Toc, TocEntry, head_of

_NO_ROWS = "--schema-only"
_PLACE_KNOWN = 2
"""What an archive says of the place of data before the offset (`pg_backup_custom.c`)."""
_STEPS_OF_DOUBLING = 8
_LARGE_BYTES = 16 << 20
"""From here on it pays to make the indexes of a table by a process of their own."""


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
        self._running: list[RestoreProcess] = []
        self._given_up = False

    def give_up(self) -> None:
        """End all processes at once, from whichever thread, and those that begin later."""
        self._given_up = True
        for process in tuple(self._running):
            process.kill()

    @contextlib.contextmanager
    def _running_as(self, process: RestoreProcess) -> Iterator[RestoreProcess]:
        self._running.append(process)
        try:
            if self._given_up:
                process.kill()
            yield process
        finally:
            process.stop()
            self._running.remove(process)

    def load(self, jobs: int) -> LoadOutcome:
        """Make the tables, fill them, and make what rests on their rows; ends with the first step that fails."""
        rows = _NO_ROWS not in self._command.plan.arguments
        before, filled, after = in_steps(self._entries, rows=rows)
        large = [entry for entry in filled if size_of(entry, self._sizes) >= _LARGE_BYTES]
        ready = ReadyIndexes(indexes_by_table(before, large, after), filled)
        contents = self._contents()
        steps: tuple[Callable[[], LoadOutcome], ...] = (
            lambda: self._make(before, contents, 1),
            lambda: self._fill(shared_out(filled, self._sizes, jobs), ready, contents),
            *(
                functools.partial(self._make_left, entries, ready, contents, jobs if at_once else 1)
                for entries, at_once in in_turn(after)
            ),
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
            if entry.kind == ROWS:
                told = bytes([_PLACE_KNOWN]) + place.to_bytes(self._toc.offset_bytes, "little")
                contents[entry.place_at : entry.place_at + len(told)] = told
                place += max(1, round(_STEPS_OF_DOUBLING * math.log2(size_of(entry, self._sizes) / LEAST_BYTES)))
        path = self._command.folder / "contents.dump"
        path.write_bytes(contents + bytes(place - len(head)))
        return path

    def _make_left(self, entries: Iterable[TocEntry], ready: ReadyIndexes, contents: Path, jobs: int) -> LoadOutcome:
        return self._make(without(entries, ready.given), contents, jobs)

    def _make(self, entries: Collection[TocEntry], contents: Path, jobs: int) -> LoadOutcome:
        if not entries:
            return LoadOutcome()
        hear = self._watch.hearing(in_parallel=jobs > 1)
        with self._running_as(self._command.start(hear, entries, file=contents, jobs=jobs)) as process:
            return process.outcome()

    def _fill(self, shares: Sequence[Sequence[TocEntry]], ready: ReadyIndexes, contents: Path) -> LoadOutcome:
        """Load all shares at once; the first that fails ends the others, and tells what was wrong."""
        failed: list[_Lane] = []

        def end_all() -> None:
            ready.close()
            self.give_up()

        def fail(failure: _Lane) -> None:
            failed.append(failure)
            end_all()

        def make(entry: TocEntry) -> LoadOutcome:
            return self._make([entry], contents, 1)

        with contextlib.ExitStack() as stack:
            processes = [
                stack.enter_context(
                    self._running_as(self._command.start(self._watch.hearing(in_parallel=False), share))
                )
                for share in shares
            ]
            lanes = []
            for process, share in zip(processes, shares, strict=True):
                filled = functools.partial(self._filled, share, ready)
                to_end = process is processes[-1]
                blocks = with_frozen_rows(self._blocks(), self._toc, self._entries, self._sizes)
                lanes.append(_Lane(process, blocks, filled, ready, make, fail, to_end=to_end))
            try:
                for lane in lanes:
                    lane.wait()
            except BaseException:
                # Cancelled: the process of an index belongs to its lane, and would work on in what is removed now.
                end_all()
                raise
        if failed:
            return failed[0].finish()
        return LoadOutcome(notes=tuple(note for lane in lanes for note in lane.finish().notes))

    def _filled(self, share: Sequence[TocEntry], ready: ReadyIndexes) -> None:
        self._watch.finish_all(share)
        ready.fill(share)


class _Lane:
    """A thread that feeds the archive to a process, and then makes indexes for as long as the others load."""

    def __init__(
        self,
        process: RestoreProcess,
        blocks: Iterator[bytes],
        filled: Callable[[], None],
        ready: ReadyIndexes,
        make: Callable[[TocEntry], LoadOutcome],
        failed: Callable[["_Lane"], None],
        *,
        to_end: bool,
    ) -> None:
        """`filled` or `failed` is called in that thread, or both; `to_end` has all of the archive read."""
        self._process = process
        self._blocks = blocks
        self._filled = filled
        self._ready = ready
        self._make = make
        self._failed = failed
        self._to_end = to_end
        self._outcome = LoadOutcome()
        self._beside = Beside(self._work)

    def wait(self) -> None:
        """Wait until all of it has ended."""
        self._beside.wait()

    def finish(self) -> LoadOutcome:
        """What it came to. Raises what made it fail."""
        self._beside.finish()
        return self._outcome

    def _work(self) -> None:
        well = False
        try:
            self._feed()
            while not self._outcome.error_count and (taken := self._ready.take()):
                table, entry = taken
                self._end_with(self._make(entry))
                self._ready.made(table)
            well = not self._outcome.error_count
        finally:
            if not well:
                self._failed(self)

    def _feed(self) -> None:
        self._process.feed(self._blocks)
        self._end_with(self._process.outcome())
        if not self._outcome.error_count:
            self._filled()
            # What nobody had need of is read as well: the bytes are known to be good at their end only.
            for _ in self._blocks if self._to_end else ():
                pass

    def _end_with(self, outcome: LoadOutcome) -> None:
        notes = (*self._outcome.notes, *outcome.notes)
        self._outcome = msgspec.structs.replace(outcome, notes=notes)
