"""Unpacking stored bytes: bounded memory whatever they hold, and an error for anything that is not exactly whole."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from dgtui.engine.child import printable
from dgtui.engine.errors import ValidationError
from dgtui.engine.settings import Codec

_LARGEST_BLOCK = 1 << 18
_ZSTD_LARGEST_WINDOW = 1 << 27
"""What `zstd -d` accepts without being told otherwise."""
_ZSTD_LARGEST_BLOCK = 1 << 17
_ZSTD_LONGEST_HEADER = 18
_ZSTD_BLOCK_HEADER = 3
_ZSTD_REPEATED_BYTE = 1
"""Kind of a block that is one byte, many times."""
_ZSTD_CHECKSUM = 4
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE_MAGIC_END = b"\x2a\x4d\x18"
_SKIPPABLE_MAGIC_STARTS = range(0x50, 0x60)
_HINT = "Restore from another copy; `dgtui validate` tells the state of each"


def decompress(stored: Iterable[bytes], codec: Codec, expected_bytes: int) -> Iterator[bytes]:
    """The raw bytes of packed ones, in blocks of bounded size.

    Raises ValidationError where the packed bytes are damaged, cut or followed by others, and where more or less
    than `expected_bytes` come out; more never pass through.
    """
    done = 0
    for block in _UNPACKERS[codec](_Source(stored)):
        done += len(block)
        if done > expected_bytes:
            raise _damaged(f"it holds more than the {expected_bytes} bytes that its manifest tells")
        if block:
            yield block
    if done != expected_bytes:
        raise _damaged(f"it holds {done} bytes, its manifest tells {expected_bytes}")


def _damaged(reason: str) -> ValidationError:
    return ValidationError(f"The archive is damaged: {reason}", subject="archive", hint=_HINT)


class _Source:
    """Packed bytes that come in blocks of any size, taken in the sizes that a format asks for."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self._block = b""
        self._at = 0

    def peek(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end."""
        while len(self._block) - self._at < size:
            following = next(self._blocks, None)
            if following is None:
                break
            self._block = self._block[self._at :] + following
            self._at = 0
        return self._block[self._at : self._at + size]

    def take(self, size: int) -> bytes:
        """Exactly `size` bytes."""
        taken = self.peek(size)
        if len(taken) < size:
            raise _damaged("it ends too early")
        self._at += size
        return taken

    def next_block(self) -> bytes:
        """Whatever comes next; empty at the end."""
        block = self.peek(1) and self._block[self._at :]
        self._block, self._at = b"", 0
        return block

    def give_back(self, rest: bytes) -> None:
        """Take these bytes next."""
        self._block, self._at = rest + self._block[self._at :], 0


def _unpack_none(source: _Source) -> Iterator[bytes]:
    while block := source.next_block():
        yield from (block[start : start + _LARGEST_BLOCK] for start in range(0, len(block), _LARGEST_BLOCK))


def _unpack_zstd(source: _Source) -> Iterator[bytes]:
    """Walk from block to block, each of which gives at most 128 KiB, and so see where a frame really ends."""
    import zstandard

    context = zstandard.ZstdDecompressor(max_window_size=_ZSTD_LARGEST_WINDOW)
    while head := source.peek(_ZSTD_LONGEST_HEADER):
        if _skip_frame(source, head):
            continue
        if not head.startswith(_ZSTD_MAGIC):
            raise _damaged("it is no zstd data, or other bytes follow its end")
        try:
            yield from _unpack_zstd_frame(source, head, context.decompressobj())
        except zstandard.ZstdError as error:
            raise _damaged(printable(str(error))) from error


def _unpack_zstd_frame(source: _Source, head: bytes, stream: Any) -> Iterator[bytes]:
    import zstandard

    has_checksum = zstandard.get_frame_parameters(head).has_checksum
    yield stream.decompress(source.take(zstandard.frame_header_size(head)))
    last = False
    while not last:
        number = int.from_bytes(source.peek(_ZSTD_BLOCK_HEADER), "little")
        last, kind, size = bool(number & 1), number >> 1 & 3, number >> 3
        if size > _ZSTD_LARGEST_BLOCK:
            raise _damaged("a block of it is too large")
        stored_bytes = 1 if kind == _ZSTD_REPEATED_BYTE else size
        yield stream.decompress(source.take(_ZSTD_BLOCK_HEADER + stored_bytes))
    if has_checksum:
        yield stream.decompress(source.take(_ZSTD_CHECKSUM))
    if not stream.eof:
        raise _damaged("it ends too early")


def _skip_frame(source: _Source, head: bytes) -> bool:
    """Pass over a frame that zstd and lz4 both leave to others; whether there was one."""
    if head[1:4] != _SKIPPABLE_MAGIC_END or head[0] not in _SKIPPABLE_MAGIC_STARTS:
        return False
    size = int.from_bytes(source.take(8)[4:], "little")
    while size:
        size -= len(source.take(min(size, _LARGEST_BLOCK)))
    return True


def _unpack_gzip(source: _Source) -> Iterator[bytes]:
    from isal import isal_zlib

    with_gzip_header = 16 + isal_zlib.MAX_WBITS
    while head := source.peek(2):
        if head != b"\x1f\x8b":
            raise _damaged("it is no gzip data, or other bytes follow its end")
        stream = isal_zlib.decompressobj(with_gzip_header)
        try:
            while not stream.eof:
                packed = stream.unconsumed_tail or source.next_block()
                unpacked: bytes = stream.decompress(packed, _LARGEST_BLOCK)
                if not packed and not unpacked and not stream.eof:
                    raise _damaged("it ends too early")
                yield unpacked
        except isal_zlib.IsalError as error:  # type: ignore[misc]  # its stub calls the class an instance
            raise _damaged(printable(str(error))) from error
        source.give_back(stream.unused_data)


def _unpack_lz4(source: _Source) -> Iterator[bytes]:
    from lz4 import frame

    while head := source.peek(4):
        if _skip_frame(source, head):
            continue
        if head != b"\x04\x22\x4d\x18":
            raise _damaged("it is no lz4 data, or other bytes follow its end")
        stream = frame.LZ4FrameDecompressor()
        try:
            while not stream.eof:
                packed = source.next_block() if stream.needs_input else b""
                if stream.needs_input and not packed:
                    raise _damaged("it ends too early")
                yield stream.decompress(packed, _LARGEST_BLOCK)
        except RuntimeError as error:
            raise _damaged(printable(str(error))) from error
        source.give_back(stream.unused_data or b"")


_UNPACKERS: dict[Codec, Callable[[_Source], Iterator[bytes]]] = {
    "zstd": _unpack_zstd,
    "gzip": _unpack_gzip,
    "lz4": _unpack_lz4,
    "none": _unpack_none,
}
