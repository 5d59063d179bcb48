"""Packing the bytes of a dump, in formats that the standard tools read: zstd, gzip, lz4, or as they are."""

import os
from collections.abc import Iterable
from typing import Protocol

from dgtui.engine.settings import COMPRESSION_SUFFIXES, Compression

PACKED_BLOCK_BYTES = 1 << 18
"""Size of the blocks that a compressor hands on, where its library lets it choose."""
_MOST_THREADS = 2
"""Beyond two, the dump tool and its server are slower than the compression; others want cores as well."""
_SLOW_LEVEL = 10
"""From here on a thread of zstd would work for up to a minute on one piece, and could not be cancelled meanwhile."""
_JOB_BYTES = 1 << 20
_OVERLAP = 6
"""An eighth of the window: a piece is never smaller than what it looks back to."""
_ISAL_LEVELS = {1: 1, 2: 1, 3: 1, 4: 2, 5: 2, 6: 2, 7: 3, 8: 3, 9: 3}
"""Level of isal for one of gzip: its 0 saves little time and packs worse than gzip's 1."""


class Compressor(Protocol):
    """Packs blocks of any size, one after the other."""

    def compress(self, block: bytes) -> Iterable[bytes]:
        """Take the next block; what is packed by now, perhaps nothing."""

    def finish(self) -> Iterable[bytes]:
        """Call after the last block; the rest."""


def compressor(compression: Compression, *, threads: int | None = None) -> Compressor:
    """A compressor for one stream; `threads` is for codecs that can use several, None for what fits the machine."""
    match compression.codec:
        case "zstd":
            return _zstd_compressor(compression.level, default_threads() if threads is None else threads)
        case "gzip":
            return _GzipCompressor(compression.level)
        case "lz4":
            return _Lz4Compressor(compression.level)
        case "none":
            return _NoCompressor()


def default_threads() -> int:
    """How many threads a compressor uses where nobody says: two, or one on a machine with one core."""
    return min(_MOST_THREADS, len(os.sched_getaffinity(0)))


def backup_file_name(archive_format: str, compression: str) -> str:
    """Name of a backup's file, such as `backup.dump.zst`; `archive_format` as in `.dump` or `dump`."""
    suffix = COMPRESSION_SUFFIXES[Compression.parse(compression).codec]
    return f"backup.{archive_format.removeprefix('.')}{suffix}"


def part_file_name(file_name: str, number: int) -> str:
    """Name of a part of a backup's file, counted from 1."""
    return f"{file_name}.part-{number:03d}"


def _zstd_compressor(level: int, threads: int) -> Compressor:
    import zstandard

    if level >= _SLOW_LEVEL and threads > 0:
        parameters = zstandard.ZstdCompressionParameters.from_level(
            level, threads=threads, write_checksum=True, job_size=_JOB_BYTES, overlap_log=_OVERLAP
        )
        return zstandard.ZstdCompressor(compression_params=parameters).chunker(chunk_size=PACKED_BLOCK_BYTES)
    # `chunker` copies least: with it the worker threads fill the very blocks that are hashed and written.
    context = zstandard.ZstdCompressor(level=level, threads=threads, write_checksum=True)
    return context.chunker(chunk_size=PACKED_BLOCK_BYTES)


class _GzipCompressor:
    def __init__(self, level: int) -> None:
        from isal import isal_zlib

        with_gzip_header = 16 + isal_zlib.MAX_WBITS
        self._stream = isal_zlib.compressobj(_ISAL_LEVELS[level], isal_zlib.DEFLATED, with_gzip_header)

    def compress(self, block: bytes) -> Iterable[bytes]:
        packed: bytes = self._stream.compress(block)
        return (packed,) if packed else ()

    def finish(self) -> Iterable[bytes]:
        return (self._stream.flush(),)


class _Lz4Compressor:
    def __init__(self, level: int) -> None:
        from lz4 import frame

        self._stream = frame.LZ4FrameCompressor(
            block_size=frame.BLOCKSIZE_MAX256KB, compression_level=level, content_checksum=True
        )
        self._head: bytes = self._stream.begin()

    def compress(self, block: bytes) -> Iterable[bytes]:
        packed, self._head = self._head + self._stream.compress(block), b""
        return (packed,) if packed else ()

    def finish(self) -> Iterable[bytes]:
        return (self._head + self._stream.flush(),)


class _NoCompressor:
    def compress(self, block: bytes) -> Iterable[bytes]:
        return (block,)

    def finish(self) -> Iterable[bytes]:
        return ()
