"""The bytes of a dump reach every storage exactly, whatever fails on the way, and nothing is left running."""

import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dgtui.engine import pipeline
from dgtui.engine.errors import (
    BackupCreationError,
    Cancelled,
    DiskSpaceError,
    IdleTimeout,
    StorageError,
    ValidationError,
)
from dgtui.engine.lanes import Lane
from dgtui.engine.pipeline import PipelineCounters, PipelineResult, run_pipeline
from dgtui.engine.settings import Compression
from dgtui.engine.storages.base import BackupWriter
from tests.support.folder_writer import ColdWriter, FolderWriter, FullWriter, HangingWriter
from tests.support.homes import PATIENCE_SECONDS

MEGABYTE = 1_000_000
LANES = ("storage ", "archive check")
TOOLS = {"zstd:3": ["zstd", "-dcq"], "gzip:6": ["gunzip", "-c"], "lz4:0": ["lz4", "-dcq"], "none": ["cat"]}


def lanes() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(LANES)]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    deadline = time.monotonic() + 10
    while lanes() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not lanes()


@contextlib.contextmanager
def opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def flowing(command: Sequence[str]) -> Iterator[int]:
    """The output of a child that may write for ever."""
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert child.stdout is not None
    try:
        yield child.stdout.fileno()
    finally:
        child.kill()
        child.stdout.close()
        child.wait()


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """A pipe whose writing side is open and never says anything."""
    reading, writing = os.pipe()
    try:
        yield reading
    finally:
        os.close(reading)
        os.close(writing)


def pump(
    source: int,
    writers: Sequence[BackupWriter],
    *,
    compression: str = "zstd:3",
    max_part_bytes: int | None = None,
    tap: Callable[[bytes], None] | None = None,
    counters: PipelineCounters | None = None,
    cancelled: threading.Event | None = None,
    idle_timeout: float = 60,
) -> PipelineResult:
    try:
        return run_pipeline(
            source,
            writers,
            file_name="backup.dump.x",
            compression=Compression.parse(compression),
            threads=None,
            max_part_bytes=max_part_bytes,
            tap=tap,
            counters=counters or PipelineCounters(),
            cancelled=cancelled or threading.Event(),
            idle_timeout=idle_timeout,
        )
    finally:
        for writer in writers:
            if not isinstance(writer, HangingWriter):
                writer.abort()


def stored(result: PipelineResult, folder: Path) -> bytes:
    """All parts together, after each was compared with what the result says of it."""
    assert sorted(path.name for path in folder.iterdir()) == sorted(chunk.file for chunk in result.chunks)
    parts = [(folder / chunk.file).read_bytes() for chunk in result.chunks]
    for number, (chunk, part) in enumerate(zip(result.chunks, parts, strict=True), start=1):
        assert chunk.number == number
        assert chunk.size_bytes == len(part)
        assert chunk.checksum == f"sha256:{hashlib.sha256(part).hexdigest()}"
    whole = b"".join(parts)
    assert result.checksum == f"sha256:{hashlib.sha256(whole).hexdigest()}"
    assert result.compressed_size_bytes == len(whole)
    return whole


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dump") / "dump"
    lines = b"".join(b"%d\tcustomer %d\n" % (number, number * 7919 % 1009) for number in range(200_000))
    path.write_bytes(lines + os.urandom(MEGABYTE))
    return path


@pytest.mark.parametrize("compression", TOOLS)
@pytest.mark.parametrize("max_part_bytes", [None, 300_000])
def test_the_parts_in_order_are_what_the_standard_tool_reads(
    compression: str, max_part_bytes: int | None, dump: Path, tmp_path: Path
) -> None:
    writer = FolderWriter("disk", tmp_path / "disk")
    with flowing(["cat", str(dump)]) as source:
        result = pump(source, [writer], compression=compression, max_part_bytes=max_part_bytes)
    stored(result, writer.folder)
    cat = subprocess.run(
        ["cat", *(chunk.file for chunk in result.chunks)], cwd=writer.folder, capture_output=True, check=True
    )
    unpacked = subprocess.run(TOOLS[compression], input=cat.stdout, capture_output=True, check=True).stdout
    assert unpacked == dump.read_bytes()
    assert result.total_size_bytes == len(unpacked)
    assert len(result.chunks) == (1 if max_part_bytes is None else -(-len(cat.stdout) // max_part_bytes))
    assert not result.failures


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.integers(0, 700_000),
    limit=st.none() | st.integers(7_000, 800_000),
    compression=st.sampled_from(["none", "none", "lz4:0", "gzip:6", "zstd:3"]),
)
def test_parts_and_hashes_hold_for_any_size(size: int, limit: int | None, compression: str) -> None:
    raw = os.urandom(size)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as file:
        file.write(raw)
        file.seek(0)
        writers = [FolderWriter(name, Path(folder, name)) for name in ("a", "b")]
        result = pump(file.fileno(), writers, compression=compression, max_part_bytes=limit)
        packed = stored(result, writers[0].folder)
        assert packed == stored(result, writers[1].folder)
        assert subprocess.run(TOOLS[compression], input=packed, capture_output=True, check=True).stdout == raw
        assert result.total_size_bytes == size
        sizes = [chunk.size_bytes for chunk in result.chunks]
        assert limit is None or all(part == limit for part in sizes[:-1])
        assert limit is None or sizes[-1] <= limit
        assert len(sizes) == 1 or sizes[-1] > 0


@pytest.mark.parametrize(
    ("limit", "names"),
    [
        (None, ["backup.dump.x"]),
        (1001, ["backup.dump.x"]),
        (1000, ["backup.dump.x"]),
        (999, ["backup.dump.x.part-001", "backup.dump.x.part-002"]),
        (400, ["backup.dump.x.part-001", "backup.dump.x.part-002", "backup.dump.x.part-003"]),
    ],
)
def test_a_number_is_only_for_several_parts(limit: int | None, names: list[str], tmp_path: Path) -> None:
    (tmp_path / "dump").write_bytes(os.urandom(1000))
    writer = FolderWriter("disk", tmp_path / "disk")
    with opened(tmp_path / "dump") as source:
        result = pump(source, [writer], compression="none", max_part_bytes=limit)
    assert [chunk.file for chunk in result.chunks] == names
    stored(result, writer.folder)


def test_an_empty_dump_is_one_part(tmp_path: Path) -> None:
    writer = FolderWriter("disk", tmp_path / "disk")
    with opened(Path("/dev/null")) as source:
        result = pump(source, [writer], compression="none", max_part_bytes=10)
    assert result.total_size_bytes == 0
    assert stored(result, writer.folder) == b""


def test_each_storage_has_a_thread_of_its_own(dump: Path, tmp_path: Path) -> None:
    writers = [FolderWriter(name, tmp_path / name) for name in ("a", "b")]
    with opened(dump) as source:
        pump(source, writers, max_part_bytes=300_000)
    assert [len(writer.threads) for writer in writers] == [1, 1]
    assert writers[0].threads != writers[1].threads
    assert threading.get_ident() not in writers[0].threads


def test_the_counters_tell_all_bytes(dump: Path, tmp_path: Path) -> None:
    counters = PipelineCounters()
    with opened(dump) as source:
        result = pump(source, [FolderWriter("disk", tmp_path / "disk")], counters=counters)
    assert counters.raw_bytes == dump.stat().st_size == result.total_size_bytes
    assert counters.storage_bytes == {"disk": result.compressed_size_bytes}


def test_the_tap_sees_every_byte_once_and_in_order(dump: Path, tmp_path: Path) -> None:
    seen: list[bytes] = []
    with flowing(["cat", str(dump)]) as source:
        pump(source, [FolderWriter("disk", tmp_path / "disk")], tap=seen.append)
    assert b"".join(seen) == dump.read_bytes()


def test_bytes_that_trickle_in_arrive(tmp_path: Path) -> None:
    writer = FolderWriter("disk", tmp_path / "disk")
    script = "import os\nfor number in range(3000): os.write(1, b'%d\\n' % number)"
    with flowing([sys.executable, "-c", script]) as source:
        result = pump(source, [writer], compression="none")
    assert stored(result, writer.folder) == b"".join(b"%d\n" % number for number in range(3000))


def test_a_source_that_does_not_block_is_read_as_well(dump: Path, tmp_path: Path) -> None:
    writer = FolderWriter("disk", tmp_path / "disk")
    with flowing(["cat", str(dump)]) as source:
        os.set_blocking(source, False)
        result = pump(source, [writer], compression="none")
    assert stored(result, writer.folder) == dump.read_bytes()


@pytest.mark.parametrize("bad", [FullWriter, ColdWriter])
def test_a_storage_that_fails_is_left_out_and_the_others_go_on(
    bad: type[FolderWriter], dump: Path, tmp_path: Path
) -> None:
    good = [FolderWriter(name, tmp_path / name) for name in ("a", "c")]
    failing = bad("b", tmp_path / "b")
    with opened(dump) as source:
        result = pump(source, [good[0], failing, good[1]], compression="none", max_part_bytes=MEGABYTE)
    assert list(result.failures) == ["b"]
    assert isinstance(result.failures["b"], StorageError)
    assert result.failures["b"].subject == "b"
    for writer in good:
        assert stored(result, writer.folder) == dump.read_bytes()


def test_a_storage_that_fails_at_the_very_end_is_a_failure(dump: Path, tmp_path: Path) -> None:
    class FailsAtClose(FolderWriter):
        def close_part(self) -> None:
            super().close_part()
            raise StorageError("Input/output error", subject=self.storage)

    good, bad = FolderWriter("good", tmp_path / "good"), FailsAtClose("bad", tmp_path / "bad")
    with opened(dump) as source:
        result = pump(source, [bad, good])
    assert list(result.failures) == ["bad"]
    stored(result, good.folder)


def test_the_first_error_is_told_when_no_storage_is_left(dump: Path, tmp_path: Path) -> None:
    writers = [FullWriter(name, tmp_path / name) for name in ("a", "b")]
    counters = PipelineCounters()
    with opened(dump) as source, pytest.raises(DiskSpaceError, match="No space left"):
        pump(source, writers, compression="none", counters=counters)
    assert counters.raw_bytes < dump.stat().st_size


def give_up_soon(monkeypatch: pytest.MonkeyPatch, lane: str, hangs: threading.Event) -> None:
    """Wait for one lane only briefly once it hangs: on a busy machine its beginning, and all others, may take long."""

    class Impatient(Lane):
        def __init__(self, name: str, *, depth: int, idle_timeout: float, cancelled: threading.Event) -> None:
            self._brief = name == lane
            super().__init__(name, depth=depth, idle_timeout=0.1 if self._brief else idle_timeout, cancelled=cancelled)

        def _wait(self, arrived: Callable[[float], bool]) -> None:
            assert not self._brief or hangs.wait(PATIENCE_SECONDS)
            super()._wait(arrived)

    monkeypatch.setattr(pipeline, "Lane", Impatient)


@pytest.fixture
def frozen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HangingWriter:
    """A storage that is given up soon."""
    writer = HangingWriter("nas", tmp_path / "nas")
    give_up_soon(monkeypatch, "storage nas", writer.begun)
    return writer


def test_a_storage_that_does_not_answer_is_left_behind(dump: Path, tmp_path: Path, frozen: HangingWriter) -> None:
    good = FolderWriter("good", tmp_path / "good")
    with opened(dump) as source:
        result = pump(source, [frozen, good], compression="none")
    assert list(result.failures) == ["nas"]
    assert "does not answer" in result.failures["nas"].message
    assert stored(result, good.folder) == dump.read_bytes()
    assert [thread.name for thread in lanes()] == ["storage nas"]
    frozen.release()


def test_a_storage_that_hangs_with_the_last_bytes_is_left_behind(tmp_path: Path, frozen: HangingWriter) -> None:
    (tmp_path / "dump").write_bytes(os.urandom(200_000))
    good = FolderWriter("good", tmp_path / "good")
    with opened(tmp_path / "dump") as source:
        result = pump(source, [frozen, good], compression="none")
    assert list(result.failures) == ["nas"]
    frozen.release()


def test_a_source_that_stands_still_is_given_up(tmp_path: Path) -> None:
    with silent() as source, pytest.raises(IdleTimeout, match="No data for 0 s"):
        pump(source, [FolderWriter("disk", tmp_path / "disk")], idle_timeout=0.3)


def test_a_source_that_cannot_be_read_is_an_error_of_the_dump(tmp_path: Path) -> None:
    with opened(tmp_path) as source, pytest.raises(BackupCreationError, match="Is a directory"):
        pump(source, [FolderWriter("disk", tmp_path / "disk")])


def test_what_the_tap_finds_ends_the_pipeline(tmp_path: Path) -> None:
    def tap(_block: bytes) -> None:
        raise ValidationError("The archive is cut", subject="archive")

    with flowing(["cat", "/dev/zero"]) as source, pytest.raises(ValidationError, match="is cut"):
        pump(source, [FolderWriter("disk", tmp_path / "disk")], tap=tap)


def test_what_the_tap_finds_in_the_last_block_counts(tmp_path: Path) -> None:
    def tap(_block: bytes) -> None:
        raise ValidationError("The archive is cut", subject="archive")

    (tmp_path / "dump").write_bytes(b"short")
    with opened(tmp_path / "dump") as source, pytest.raises(ValidationError, match="is cut"):
        pump(source, [FolderWriter("disk", tmp_path / "disk")], tap=tap)


def test_a_tap_that_stands_still_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entered, goes_on = threading.Event(), threading.Event()
    give_up_soon(monkeypatch, "archive check", entered)

    def tap(_block: bytes) -> None:
        entered.set()
        goes_on.wait()

    with flowing(["cat", "/dev/zero"]) as source, pytest.raises(IdleTimeout, match="archive check"):
        pump(source, [FolderWriter("disk", tmp_path / "disk")], tap=tap)
    goes_on.set()


def test_an_error_nobody_expected_is_not_swallowed(dump: Path, tmp_path: Path) -> None:
    class Broken(FolderWriter):
        def write(self, block: bytes) -> None:
            raise ZeroDivisionError

    with opened(dump) as source, pytest.raises(ZeroDivisionError):
        pump(source, [Broken("bad", tmp_path / "bad"), FolderWriter("good", tmp_path / "good")])


def cancel_when(condition: Callable[[], bool], cancelled: threading.Event) -> threading.Thread:
    def watch() -> None:
        while not condition() and not cancelled.is_set():
            time.sleep(0.005)
        cancelled.set()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def test_cancelling_ends_a_stream_that_flows(tmp_path: Path) -> None:
    cancelled, counters = threading.Event(), PipelineCounters()
    cancel_when(lambda: counters.raw_bytes > MEGABYTE, cancelled)
    with flowing(["cat", "/dev/zero"]) as source, pytest.raises(Cancelled):
        pump(source, [FolderWriter("disk", tmp_path / "disk")], counters=counters, cancelled=cancelled)


def test_cancelling_ends_a_stream_that_stands_still(tmp_path: Path) -> None:
    cancelled = threading.Event()
    cancel_when(lambda: bool(lanes()), cancelled)
    with silent() as source, pytest.raises(Cancelled):
        pump(source, [FolderWriter("disk", tmp_path / "disk")], cancelled=cancelled)


def test_cancelling_does_not_wait_for_a_storage_that_hangs(dump: Path, tmp_path: Path) -> None:
    cancelled = threading.Event()
    frozen = HangingWriter("nas", tmp_path / "nas")
    cancel_when(frozen.begun.is_set, cancelled)
    with opened(dump) as source, pytest.raises(Cancelled):
        pump(source, [frozen], compression="none", cancelled=cancelled)
    frozen.release()


def test_cancelling_does_not_wait_for_a_tap_that_hangs(dump: Path, tmp_path: Path) -> None:
    cancelled, goes_on, entered = threading.Event(), threading.Event(), threading.Event()

    def tap(_block: bytes) -> None:
        entered.set()
        goes_on.wait()

    cancel_when(entered.is_set, cancelled)
    with opened(dump) as source, pytest.raises(Cancelled):
        pump(source, [FolderWriter("disk", tmp_path / "disk")], tap=tap, cancelled=cancelled)
    goes_on.set()


MEASURE = """
import sys, threading
from pathlib import Path
from dgtui.engine.pipeline import PipelineCounters, run_pipeline
from dgtui.engine.settings import Compression
from tests.support.folder_writer import FolderWriter

writers = [FolderWriter(name, Path(sys.argv[2] + name)) for name in ("a", "b")]
for writer in writers:
    writer.write = lambda block: None
result = run_pipeline(
    0, writers, file_name="backup", compression=Compression.parse(sys.argv[1]), threads=2, max_part_bytes=20_000_000,
    tap=len, counters=PipelineCounters(), cancelled=threading.Event(), idle_timeout=60,
)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(peak.split()[1]) // 1024, result.total_size_bytes)
"""


def peak_mebibytes(compression: str, repeats: int, block: Path, folder: Path) -> int:
    """Peak resident memory of a process that runs a pipeline over so many copies of a block."""
    cat = subprocess.Popen(["cat", *[str(block)] * repeats], stdout=subprocess.PIPE)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, compression, str(folder)], stdin=cat.stdout, capture_output=True, check=True
    )
    assert cat.stdout is not None
    cat.stdout.close()
    assert cat.wait() == 0
    peak, size = map(int, done.stdout.split())
    assert size == repeats * block.stat().st_size
    return peak


@pytest.mark.parametrize("compression", ["zstd:3", "gzip:6", "lz4:0", "none"])
def test_memory_stays_flat(compression: str, tmp_path: Path) -> None:
    block = tmp_path / "block"
    lines = b"".join(b"%d\tcustomer %d\n" % (number, number * 7919 % 1009) for number in range(400_000))
    block.write_bytes(lines + os.urandom(2 * MEGABYTE))
    small = peak_mebibytes(compression, 8, block, tmp_path / "small")
    large = peak_mebibytes(compression, 40, block, tmp_path / "large")
    assert large < 110
    assert large <= small * 1.1 + 4
