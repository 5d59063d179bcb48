"""What waits in a pipe is copied to another one and stays; whatever is in the way, nothing is lost."""

import os
import select
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dgtui.engine.pipeline import PipelineCounters, run_pipeline
from dgtui.engine.settings import Compression
from dgtui.engine.tee import tee
from tests.support.folder_writer import FolderWriter

Pipe = tuple[int, int]
"""Where it is read from, and where it is written to."""


class Pipes:
    def __init__(self) -> None:
        self._open: set[int] = set()

    def new(self) -> Pipe:
        pipe = os.pipe()
        self._open.update(pipe)
        return pipe

    def close(self, descriptor: int) -> None:
        self._open.remove(descriptor)
        os.close(descriptor)

    def close_all(self) -> None:
        for descriptor in list(self._open):
            self.close(descriptor)


@pytest.fixture
def pipes() -> Iterator[Pipes]:
    made = Pipes()
    yield made
    made.close_all()


def test_what_is_copied_stays(pipes: Pipes) -> None:
    source, target = pipes.new(), pipes.new()
    os.write(source[1], b"rows of a table")
    assert tee(source[0], target[1], 4) == 4
    assert os.read(target[0], 100) == b"rows"
    assert os.read(source[0], 100) == b"rows of a table"


def test_nothing_is_copied_where_nothing_waits_or_has_come_to_its_end(pipes: Pipes) -> None:
    source, target = pipes.new(), pipes.new()
    assert tee(source[0], target[1], 4) == 0
    pipes.close(source[1])
    assert tee(source[0], target[1], 4) == 0


def test_a_pipe_without_room_is_not_waited_for(pipes: Pipes) -> None:
    source, target = pipes.new(), pipes.new()
    os.set_blocking(target[1], False)
    while select.select([], [target[1]], [], 0)[1]:
        os.write(target[1], bytes(4096))
    os.write(source[1], b"rows")
    assert tee(source[0], target[1], 4) == 0
    assert os.read(source[0], 100) == b"rows"


def test_nothing_is_copied_to_nobody_or_from_a_file(pipes: Pipes, tmp_path: Path) -> None:
    source, target = pipes.new(), pipes.new()
    (tmp_path / "dump").write_bytes(b"rows")
    with (tmp_path / "dump").open("rb") as file:
        assert tee(file.fileno(), target[1], 4) == 0
    os.write(source[1], b"rows")
    pipes.close(target[0])
    assert tee(source[0], target[1], 4) == 0
    assert os.read(source[0], 100) == b"rows"


class _Check:
    """Reads what it is fed or takes itself from one pipe, as `pg_restore` does, but nothing until it had to be fed.

    What it is fed then, it takes only once more was read of the dump: that must not overtake.
    """

    def __init__(self, pipe: Pipe, counters: PipelineCounters, whole: int) -> None:
        self._reading, self._writing = pipe
        self._counters = counters
        self._whole = whole
        self.copied = self.fed = 0
        self.seen = bytearray()
        self._begun = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def copy(self, source: int, at_most: int) -> int:
        copied = tee(source, self._writing, at_most)
        self.copied += copied
        return copied

    def feed(self, block: bytes) -> None:
        if self.copied:
            self._begun.set()
            self._wait_for_more(self.copied + self.fed + len(block))
        self.fed += len(block)
        view = memoryview(block)
        while view:
            view = view[os.write(self._writing, view) :]

    def end(self) -> None:
        self._begun.set()
        self._reader.join()

    def _wait_for_more(self, end: int) -> None:
        """Until all before was read here, and something after it of the dump."""
        while len(self.seen) < self.copied + self.fed:
            time.sleep(0.001)
        while self._counters.raw_bytes <= end < self._whole:
            time.sleep(0.001)

    def _read(self) -> None:
        self._begun.wait()
        while block := os.read(self._reading, 1 << 16):
            self.seen += block


def test_a_check_gets_each_byte_once_and_in_order_whether_it_takes_it_or_is_fed(pipes: Pipes, tmp_path: Path) -> None:
    source, target = pipes.new(), pipes.new()
    dump = os.urandom(3_000_000)

    def write() -> None:
        view = memoryview(dump)
        while view:
            view = view[os.write(source[1], view[:5000]) :]
        pipes.close(source[1])

    counters = PipelineCounters()
    check, writer = _Check(target, counters, len(dump)), FolderWriter("disk", tmp_path / "disk")
    dumping = threading.Thread(target=write)
    dumping.start()
    result = run_pipeline(
        source[0],
        [writer],
        file_name="backup.dump",
        compression=Compression.parse("none"),
        threads=None,
        max_part_bytes=None,
        tap=check.feed,
        copy=check.copy,
        counters=counters,
        cancelled=threading.Event(),
        idle_timeout=60,
    )
    dumping.join()
    writer.abort()
    pipes.close(target[1])
    check.end()
    assert result.total_size_bytes == len(dump)
    assert (tmp_path / "disk" / "backup.dump").read_bytes() == dump
    assert check.seen == dump
    assert check.copied > 0
    assert check.fed > 0
