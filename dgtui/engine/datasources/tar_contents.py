"""Checksums of a tree and of an archive of it: names, kinds, link targets and the bytes of every file."""

import errno
import hashlib
import os
import stat
import tarfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from dgtui.engine.datasources.contents import RowsChecksum
from dgtui.engine.datasources.file_tree import walk
from dgtui.engine.datasources.places import shown, unshown
from dgtui.engine.errors import ValidationError
from dgtui.engine.file_errors import file_error

_BLOCK_BYTES = 1 << 20


class _Stream:
    """Blocks as a file that is read from its beginning to its end."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._held = b""

    def read(self, size: int) -> bytes:
        while len(self._held) < size:
            block = next(self._blocks, b"")
            if not block:
                break
            self._held += block
        taken, self._held = self._held[:size], self._held[size:]
        return taken


class _Tops:
    """A checksum for each entry of a tree's root, of all that lies in it."""

    def __init__(self) -> None:
        self._sums: dict[str, RowsChecksum] = {}

    def add(self, relative: bytes, kind: str, content: bytes) -> None:
        if kind == "folder":
            return  # those above a chosen path come along without being in the archive
        top = shown(relative.partition(b"/")[0])
        self._sums.setdefault(top, RowsChecksum()).add(b"\0".join((relative, kind.encode(), content)))

    @property
    def texts(self) -> dict[str, str]:
        return {name: one.text for name, one in self._sums.items()}


def archive_checksums(blocks: Iterator[bytes], chosen: Sequence[str]) -> dict[str, str]:
    """The checksum of each entry of the archive's root, of what was chosen in it; empty for a single file.

    Raises ValidationError.
    """
    wanted = [unshown(name).strip(b"/").removeprefix(b"./") for name in chosen]
    tops, seen, has_root = _Tops(), dict[bytes, tuple[str, bytes]](), False
    try:
        with tarfile.open(fileobj=_Stream(blocks), mode="r|", errors="surrogateescape") as archive:  # type: ignore[call-overload]  # it only reads
            for member in archive:
                relative = os.fsencode(member.name).removeprefix(b"./").rstrip(b"/")
                has_root = has_root or relative in (b"", b".")
                kind, content = seen[relative] = _member(archive, member, seen)
                if relative not in (b"", b".") and _is_wanted(relative, wanted):
                    tops.add(relative, kind, content)
    except tarfile.TarError as error:
        raise ValidationError(f"The archive cannot be read: {error}", hint="Use another copy") from error
    return tops.texts if has_root else {}


def _member(
    archive: tarfile.TarFile, member: tarfile.TarInfo, seen: dict[bytes, tuple[str, bytes]]
) -> tuple[str, bytes]:
    if member.islnk():
        return seen.get(os.fsencode(member.linkname).removeprefix(b"./"), ("other", b""))
    if member.isreg():
        file = archive.extractfile(member)
        assert file is not None, "a plain file has content"
        # What is buffered can be read from a place of its own only where the archive can, which comes as a stream.
        within: Any = file.raw  # type: ignore[attr-defined]  # tarfile's own BufferedReader has it

        def read_at(place: int) -> bytes:
            within.seek(place)
            return bytes(within.read(_BLOCK_BYTES))

        written: Any = member.sparse if member.issparse() else [(0, member.size)]
        return "file", _digest(read_at, member.size, written)
    if member.issym():
        return "link", os.fsencode(member.linkname)
    return ("folder" if member.isdir() else "other"), b""


def _is_wanted(relative: bytes, wanted: Sequence[bytes]) -> bool:
    return not wanted or any(relative == path or relative.startswith(path + b"/") for path in wanted)


def tree_checksums(root: Path, names: Collection[str]) -> dict[str, str]:
    """The same of a tree on disk, for these entries of its root. Raises StorageError."""
    tops = _Tops()
    try:
        for entry in walk(root):
            relative = os.fsencode(entry.relative)
            if not relative or shown(relative.partition(b"/")[0]) not in names:
                continue
            tops.add(relative, *_entry(root / entry.relative, entry.status.st_mode))
    except OSError as error:
        raise file_error(error, root, "read") from error
    return tops.texts


def _entry(path: Path, mode: int) -> tuple[str, bytes]:
    if stat.S_ISREG(mode):
        with path.open("rb") as file:
            descriptor = file.fileno()
            size = os.fstat(descriptor).st_size
            return "file", _digest(partial(os.pread, descriptor, _BLOCK_BYTES), size, _written(descriptor, size))
    if stat.S_ISLNK(mode):
        return "link", os.fsencode(path.readlink())
    return ("folder" if stat.S_ISDIR(mode) else "other"), b""


def _digest(read_at: Callable[[int], bytes], size: int, written: Iterable[tuple[int, int]]) -> bytes:
    """A digest of a file's bytes; `written` tells begin and length of what may be other than zeros.

    Blocks of zeros count for nothing but the size, so that it is the same wherever a file has its holes.
    """
    digest = hashlib.sha256(str(size).encode())
    reached = 0
    for begin, length in written:
        first, last = begin // _BLOCK_BYTES, -(-(begin + length) // _BLOCK_BYTES)
        for number in range(max(first, reached), last):
            block = read_at(number * _BLOCK_BYTES)
            if block.count(0) != len(block):
                digest.update(b"\n%d\n" % number)
                digest.update(block)
        reached = max(reached, last)
    return digest.digest()


def _written(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """Begin and length of what lies between the holes of a file."""
    end = 0
    while end < size:
        try:
            begin = os.lseek(descriptor, end, os.SEEK_DATA)
            end = os.lseek(descriptor, begin, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.EINVAL:  # a file system that knows no holes
                yield end, size - end
            elif error.errno != errno.ENXIO:  # nothing but a hole follows
                raise
            break
        yield begin, end - begin
