"""The way of a dump's bytes: read once, compress, hash, split, write to every storage at once.

One thread reads, compresses (the compressor has threads of its own) and hashes, since hashing costs next to nothing;
one thread for each storage writes, and one feeds the archive check, so that none of these can hold up the others.
"""

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from dgtui.engine.codecs import compressor, part_file_name
from dgtui.engine.errors import DataGuardianError, IdleTimeout, StorageError
from dgtui.engine.lanes import Lane, Stalled
from dgtui.engine.manifest import Chunk
from dgtui.engine.model import Record
from dgtui.engine.settings import Compression
from dgtui.engine.source_reader import read_blocks
from dgtui.engine.storages.base import BackupWriter

_WAITING_BLOCKS = 4
"""How many blocks wait for each storage: more costs memory, and hides no delay that matters."""


class PipelineCounters:
    """How far a pipeline is; written by its threads, read by whoever wants to know."""

    def __init__(self) -> None:
        self.raw_bytes = 0
        """Bytes of the dump that were read."""
        self.storage_bytes: dict[str, int] = {}
        """Bytes that each storage has taken."""


class PipelineResult(Record, frozen=True):
    """What was written, the same at each storage that did not fail."""

    total_size_bytes: int
    """Before compression."""
    compressed_size_bytes: int
    """As stored, all chunks together."""
    checksum: str
    """Of the chunks as stored, one after the other."""
    chunks: tuple[Chunk, ...]
    failures: dict[str, DataGuardianError]
    """Why each storage was dropped that failed on the way."""


def run_pipeline(
    source: int,
    writers: Sequence[BackupWriter],
    *,
    file_name: str,
    compression: Compression,
    threads: int | None,
    max_part_bytes: int | None,
    tap: Callable[[bytes], None] | None,
    counters: PipelineCounters,
    cancelled: threading.Event,
    idle_timeout: float,
    copy: Callable[[int, int], int] | None = None,
) -> PipelineResult:
    """Bring all bytes of the file descriptor `source` to all `writers`, and each raw block to `tap` besides.

    `copy` takes, for `tap`, bytes that wait in a pipe and leaves them there (see `ArchiveCheck.copy_from`): what it
    took is not fed.
    A writer that fails, or takes nothing for `idle_timeout` seconds, is fed no more; aborting it is the caller's.
    Raises what `tap` raises, the first storage's error where none is left, IdleTimeout where the source or `tap`
    stands still, and Cancelled. Afterwards no thread runs any more, except one that hangs inside a storage or `tap`.
    """
    new_lane = partial(Lane, depth=_WAITING_BLOCKS, idle_timeout=idle_timeout, cancelled=cancelled)
    storages = _Storages(writers, counters, new_lane, idle_timeout)
    check = _Check(tap, copy, new_lane, idle_timeout)
    try:
        parts = _Parts(file_name, max_part_bytes, storages)
        packer = compressor(compression, threads=threads)
        for block in read_blocks(source, idle_timeout=idle_timeout, cancelled=cancelled, copy=check.copy):
            counters.raw_bytes += len(block)
            check.feed(block)
            for packed in packer.compress(block):
                parts.write(packed)
        for packed in packer.finish():
            parts.write(packed)
        chunks, checksum = parts.finish()
        check.finish()
        storages.finish()
    finally:
        check.stop()
        storages.stop()
    return PipelineResult(
        total_size_bytes=counters.raw_bytes,
        compressed_size_bytes=sum(chunk.size_bytes for chunk in chunks),
        checksum=checksum,
        chunks=chunks,
        failures=storages.failures,
    )


class _Storages:
    """The same work for every storage, each in a lane of its own; one that fails is left out from then on."""

    def __init__(
        self,
        writers: Sequence[BackupWriter],
        counters: PipelineCounters,
        new_lane: Callable[[str], Lane],
        idle_timeout: float,
    ) -> None:
        self.failures: dict[str, DataGuardianError] = {}
        self._counters = counters
        self._idle_timeout = idle_timeout
        for writer in writers:
            counters.storage_bytes[writer.storage] = 0
        self._lanes = [(writer, new_lane(f"storage {writer.storage}")) for writer in writers]
        self._dropped: list[Lane] = []

    def each(self, work: Callable[[BackupWriter], object]) -> None:
        """Let all storages that are left do something, in the order of the calls."""
        self._for_all(lambda writer, lane: lane.submit(partial(work, writer)))

    def write(self, block: bytes) -> None:
        """Add bytes to the open part of all storages."""
        self._for_all(lambda writer, lane: lane.submit(partial(self._write, writer, block)))

    def finish(self) -> None:
        """Wait until all have done their work."""
        self._for_all(lambda _writer, lane: lane.finish())

    def stop(self) -> None:
        """Give up what still waits."""
        for lane in [*self._dropped, *(lane for _, lane in self._lanes)]:
            lane.stop()

    def _write(self, writer: BackupWriter, block: bytes) -> None:
        writer.write(block)
        self._counters.storage_bytes[writer.storage] += len(block)

    def _for_all(self, work: Callable[[BackupWriter, Lane], None]) -> None:
        for writer, lane in list(self._lanes):
            try:
                work(writer, lane)
            except StorageError as error:
                self._drop(writer, lane, error)
            except Stalled:
                self._drop(writer, lane, self._no_answer(writer.storage))

    def _no_answer(self, storage: str) -> StorageError:
        return StorageError(
            f"The storage does not answer: it took nothing for {self._idle_timeout:.0f} s",
            subject=storage,
            hint="Is its network drive connected, its server running? Then run the backup again",
        )

    def _drop(self, writer: BackupWriter, lane: Lane, error: DataGuardianError) -> None:
        self._lanes.remove((writer, lane))
        self._dropped.append(lane)
        self.failures[writer.storage] = error
        if not self._lanes:
            raise next(iter(self.failures.values()))


class _Check:
    """The archive check in a lane of its own, where there is one."""

    def __init__(
        self,
        tap: Callable[[bytes], None] | None,
        copy: Callable[[int, int], int] | None,
        new_lane: Callable[[str], Lane],
        idle_timeout: float,
    ) -> None:
        self._tap = tap
        self._copy = copy
        self._copied = 0
        """Bytes that it has already of what it will be handed."""
        self._idle_timeout = idle_timeout
        self._lane = new_lane("archive check") if tap is not None else None

    def copy(self, source: int, at_most: int) -> int:
        """Let the check take what comes next from the source itself; not while anything before that waits for it."""
        if self._copy is not None and self._lane is not None and self._lane.is_idle and not self._copied:
            self._copied = self._copy(source, at_most)
        return self._copied

    def feed(self, block: bytes) -> None:
        """Hand a block to the check, but for what it has of it."""
        taken = min(self._copied, len(block))
        self._copied -= taken
        if self._tap is not None and self._lane is not None and taken < len(block):
            self._run(partial(self._lane.submit, partial(self._tap, block[taken:])))

    def finish(self) -> None:
        """Wait until the check has taken all of it."""
        if self._lane is not None:
            self._run(self._lane.finish)

    def stop(self) -> None:
        """Give up what still waits."""
        if self._lane is not None:
            self._lane.stop()

    def _run(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Stalled:
            raise IdleTimeout(
                f"The archive check took no data for {self._idle_timeout:.0f} s",
                subject="archive check",
                hint="Is the machine overloaded, or the program that reads the archive stopped?",
            ) from None


class _Parts:
    """Splits packed bytes into parts, and hashes each and the whole.

    The whole begins as a copy of the first part's hash, so that a backup of one part is hashed once only.
    """

    def __init__(self, file_name: str, max_part_bytes: int | None, storages: _Storages) -> None:
        self._file_name = file_name
        self._limit = max_part_bytes
        self._storages = storages
        self._chunks: list[Chunk] = []
        self._part = hashlib.sha256()
        self._whole = self._part
        self._size = 0
        self._open(file_name)

    def write(self, block: bytes) -> None:
        """Add bytes, and begin another part wherever one is full."""
        for piece in self._pieces(block):
            self._part.update(piece)
            if self._whole is not self._part:
                self._whole.update(piece)
            self._size += len(piece)
            self._storages.write(piece)

    def finish(self) -> tuple[tuple[Chunk, ...], str]:
        """End the last part; all parts, and the checksum of the whole."""
        self._close()
        return tuple(self._chunks), _checksum(self._whole)

    def _pieces(self, block: bytes) -> Iterator[bytes]:
        while block:
            if self._limit is None:
                yield block
                return
            if self._size >= self._limit:
                self._next_part()
            room = self._limit - self._size
            yield block[:room]
            block = block[room:]

    def _next_part(self) -> None:
        self._close()
        if self._whole is self._part:
            self._whole = self._part.copy()
            self._rename_first()
        self._part = hashlib.sha256()
        self._size = 0
        self._open(part_file_name(self._file_name, len(self._chunks) + 1))

    def _rename_first(self) -> None:
        """Only now is it known that there is more than one part, and that the first one needs a number."""
        only = self._chunks[0]
        name = part_file_name(only.file, 1)
        self._chunks[0] = Chunk(number=1, file=name, checksum=only.checksum, size_bytes=only.size_bytes)
        self._storages.each(lambda writer: writer.rename_part(only.file, name))

    def _open(self, name: str) -> None:
        self._name = name
        self._storages.each(lambda writer: writer.open_part(name))

    def _close(self) -> None:
        self._storages.each(lambda writer: writer.close_part())
        self._chunks.append(
            Chunk(
                number=len(self._chunks) + 1,
                file=self._name,
                checksum=_checksum(self._part),
                size_bytes=self._size,
            )
        )


def _checksum(hashed: "hashlib._Hash") -> str:
    return f"sha256:{hashed.hexdigest()}"
