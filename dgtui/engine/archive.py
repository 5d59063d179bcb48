"""Reading back what a storage holds: every part by size and SHA-256, unpacked, and by the archive's own reader."""

import contextlib
import errno
import hashlib
import os
import tempfile
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from dgtui.engine.datasources.dumping import ArchiveCheck
from dgtui.engine.errors import Cancelled, DataGuardianError, DiskSpaceError, StorageError, ValidationError
from dgtui.engine.manifest import Chunk, Manifest, StoredFile
from dgtui.engine.settings import Compression
from dgtui.engine.storages.base import FolderRef, Storage
from dgtui.engine.storages.deadline import answers_within
from dgtui.engine.unpacking import decompress

IDLE_SECONDS = 600.0
"""How long a storage may give nothing of a file before it counts as one that does not answer."""
_UNPACKED_SECONDS = 2 * IDLE_SECONDS
"""How long unpacking may give nothing: longer than a storage may, whose error says more."""
_BLOCK_BYTES = 1 << 18
_HINT = "Restore from another copy; `dgtui validate` tells the state of each"

OpenFile = Callable[[str], BinaryIO]


def check_parts(
    open_file: OpenFile,
    chunks: Sequence[Chunk | StoredFile],
    *,
    cancelled: threading.Event,
    checksum: str | None = None,
    idle_timeout: float = IDLE_SECONDS,
) -> None:
    """Read all parts and compare size and SHA-256 of each, and `checksum` of the whole where it is given.

    Raises ValidationError, which names the part, what was expected and what was found; StorageError, also where the
    storage gives nothing for `idle_timeout` seconds; Cancelled.
    """
    for _ in read_parts(open_file, chunks, cancelled=cancelled, checksum=checksum, idle_timeout=idle_timeout):
        pass


def read_parts(
    open_file: OpenFile,
    chunks: Sequence[Chunk | StoredFile],
    *,
    cancelled: threading.Event,
    checksum: str | None = None,
    idle_timeout: float = IDLE_SECONDS,
) -> Iterator[bytes]:
    """The bytes of all parts, one after the other; raises at the end of a bad part at the latest."""
    whole = hashlib.sha256()
    for chunk in chunks:
        part = whole if len(chunks) == 1 else hashlib.sha256()
        size = 0
        for block in _file_blocks(open_file, chunk.file, cancelled, idle_timeout):
            size += len(block)
            if size > chunk.size_bytes:
                raise _damaged(chunk.file, f"it is longer than the {chunk.size_bytes} bytes that were expected")
            part.update(block)
            if part is not whole and checksum is not None:
                whole.update(block)
            yield block
        if size != chunk.size_bytes:
            raise _damaged(chunk.file, f"expected {chunk.size_bytes} bytes, found {size}")
        _compare(chunk.file, chunk.checksum, f"sha256:{part.hexdigest()}")
    if checksum is not None:
        _compare("The backup as a whole", checksum, f"sha256:{whole.hexdigest()}")


def _file_blocks(open_file: OpenFile, name: str, cancelled: threading.Event, idle_timeout: float) -> Iterator[bytes]:
    blocks = answers_within(_read(open_file, name), idle_timeout, subject=name, cancelled=cancelled)
    with contextlib.closing(blocks):
        for block in blocks:
            if cancelled.is_set():
                raise Cancelled("Cancelled", subject=name)
            yield block


def _read(open_file: OpenFile, name: str) -> Generator[bytes, None, None]:
    with open_file(name) as file:
        while True:
            try:
                block = file.read(_BLOCK_BYTES)
            except OSError as error:
                raise StorageError(
                    f"{name} cannot be read: {error.strerror}",
                    subject=name,
                    hint="Is the storage healthy? Look at its system log",
                ) from error
            if not block:
                return
            yield block


def _compare(name: str, expected: str, found: str) -> None:
    if found != expected:
        raise _damaged(name, f"expected {expected}, found {found}")


def _damaged(name: str, reason: str) -> ValidationError:
    return ValidationError(f"{name} is damaged: {reason}", subject=name, hint=_HINT)


class StoredArchive:
    """The uncompressed bytes of a backup at one storage, checked each time they are read."""

    def __init__(
        self,
        storage: Storage[Any],
        ref: FolderRef,
        manifest: Manifest,
        scratch_folder: Path,
        cancelled: threading.Event,
    ) -> None:
        """`scratch_folder` is where `as_file` puts the archive; it belongs to this run alone."""
        self.total_size_bytes = manifest.total_size_bytes
        self.object_bytes = {entry.name: entry.bytes for entry in manifest.objects if entry.bytes}
        self._storage = storage
        self._ref = ref
        self._manifest = manifest
        self._scratch_folder = scratch_folder
        self._cancelled = cancelled
        self._file: Path | None = None
        self._closed = threading.Event()
        self.read_whole = False
        """Whether all of what is stored was read, and is good."""
        self.bytes_read = 0
        """How much of the archive the reading under way has given."""
        self.failure: DataGuardianError | None = None
        """What was wrong with this copy when it was last read; None where nothing was, whatever else failed."""

    def blocks(self) -> Generator[bytes, None, None]:
        """The bytes in order, read anew from the storage.

        Raises ValidationError where a part or the archive is damaged, StorageError, and Cancelled.
        """
        bytes_read = 0
        try:
            for block in self._unpacked():
                if self._closed.is_set():
                    raise Cancelled("Cancelled", subject=self._ref.folder)
                bytes_read += len(block)
                self.bytes_read = bytes_read
                yield block
        except (ValidationError, StorageError) as error:
            self.failure = error
            raise
        self.read_whole = True

    def _unpacked(self) -> Iterator[bytes]:
        codec = Compression.parse(self._manifest.compression).codec
        stored = self._stored()
        try:
            yield from decompress(stored, codec, self.total_size_bytes)
        except ValidationError:
            _read_to_end(stored)
            raise

    def _stored(self) -> Iterator[bytes]:
        return read_parts(
            lambda name: self._storage.open_file(self._ref, name),
            self._manifest.chunks,
            cancelled=self._cancelled,
            checksum=self._manifest.checksum,
        )

    def as_file(self) -> Path:
        """The bytes as a file that only we can read, made at the first call.

        Raises as `blocks` does, and DiskSpaceError where the scratch folder has no room.
        """
        if self._file is None:
            self._file = self._spool()
        return self._file

    def begin_loading(self) -> None:
        """Let `read_whole` tell of what is loaded: what is read anew may have changed since it was compared."""
        self.read_whole = self._file is not None and self.read_whole

    def close(self) -> None:
        """Remove the file that `as_file` made."""
        self._closed.set()
        if self._file is not None:
            self._file.unlink(missing_ok=True)
            self._file = None

    def check_stored(self) -> None:
        """Compare what is stored with the manifest, byte by byte. Raises as `blocks` does."""
        try:
            _read_to_end(self._stored())
        except (ValidationError, StorageError) as error:
            self.failure = error
            raise
        self.read_whole = True
        self.check_files()

    def check_files(self) -> None:
        """Compare the files beside the backup file, which no reading of the archive touches. Raises as `blocks`."""
        try:
            check_parts(
                lambda name: self._storage.open_file(self._ref, name), self._manifest.files, cancelled=self._cancelled
            )
        except (ValidationError, StorageError) as error:
            self.failure = error
            raise

    def check(self, adapter_check: ArchiveCheck | None) -> None:
        """Read the archive to its end, by checksum and, where given, its kind's own reader. Raises as `blocks` does."""
        self._feed(self.blocks(), adapter_check)
        self.check_files()

    def _feed(self, blocks: Iterator[bytes], adapter_check: ArchiveCheck | None) -> None:
        if adapter_check is None:
            return _read_to_end(blocks)
        try:
            for block in blocks:
                adapter_check.feed(block)
            adapter_check.finish()
        except ValidationError:
            _read_to_end(blocks)
            raise
        finally:
            adapter_check.stop()

    def _spool(self) -> Path:
        # mkstemp makes the file with mode 0600, whatever the umask, and never follows a link.
        descriptor, name = tempfile.mkstemp(prefix="archive-", dir=self._scratch_folder)
        path = Path(name)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                # To write takes as long as to unpack, so each has a thread of its own.
                unpacked = answers_within(
                    self.blocks(), _UNPACKED_SECONDS, subject=str(path), cancelled=self._cancelled
                )
                for block in unpacked:
                    _write_all(file, block, self._scratch_folder)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path


def _read_to_end(blocks: Iterator[bytes]) -> None:
    """Read on to the end; a damaged part speaks there, and tells more than what its reader stumbled over."""
    for _ in blocks:
        pass


def _write_all(file: Any, block: bytes, folder: Path) -> None:
    rest = memoryview(block)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        kind = DiskSpaceError if error.errno in (errno.ENOSPC, errno.EDQUOT) else StorageError
        raise kind(
            f"The archive cannot be unpacked in {folder}: {error.strerror}",
            subject=str(folder),
            hint="Make room there, or choose another folder for temporary files",
        ) from error
