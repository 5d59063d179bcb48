"""A writer that puts the parts of a backup into a plain folder, for tests that need no storage around it."""

import os
import threading
from pathlib import Path
from typing import BinaryIO

from dgtui.engine.errors import DiskSpaceError, StorageError
from dgtui.engine.storages.base import BackupWriter
from tests.support.homes import PATIENCE_SECONDS


class FolderWriter(BackupWriter):
    """Writes into a folder; keeps the order of the calls."""

    def __init__(self, storage: str, folder: Path) -> None:
        self.storage = storage
        self.folder = folder
        self.calls: list[str] = []
        self.threads: set[int] = set()
        self._file: BinaryIO | None = None
        folder.mkdir(exist_ok=True)

    def open_part(self, file_name: str) -> None:
        self.calls.append(f"open {file_name}")
        self.threads.add(threading.get_ident())
        self._file = (self.folder / file_name).open("xb", buffering=0)

    def write(self, block: bytes) -> None:
        assert self._file is not None
        try:
            self._file.write(block)
        except OSError as error:
            raise DiskSpaceError(f"No room: {error.strerror}", subject=self.storage) from error

    def close_part(self) -> None:
        assert self._file is not None
        self.calls.append("close")
        self._file.close()
        self._file = None

    def rename_part(self, file_name: str, new_name: str) -> None:
        assert self._file is None
        self.calls.append(f"rename {file_name} {new_name}")
        (self.folder / file_name).rename(self.folder / new_name)

    def read_back(self, file_name: str) -> BinaryIO:
        return (self.folder / file_name).open("rb")

    def stored_size(self, file_name: str) -> int:
        return (self.folder / file_name).stat().st_size

    def commit(self, texts: dict[str, bytes], manifest: bytes) -> str:
        raise NotImplementedError

    def abort(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class FullWriter(FolderWriter):
    """Its disk is full from the first byte on."""

    def open_part(self, file_name: str) -> None:
        self._file = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115  # closed by abort


class ColdWriter(FolderWriter):
    """Cannot even begin a file."""

    def open_part(self, file_name: str) -> None:
        raise StorageError("Read-only file system", subject=self.storage)


class HangingWriter(FolderWriter):
    """Writes into a FIFO that nobody reads, as into a network drive that is frozen; `release` wakes it."""

    def __init__(self, storage: str, folder: Path) -> None:
        super().__init__(storage, folder)
        fifo = folder / "fifo"
        os.mkfifo(fifo)
        self._reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        self.begun = threading.Event()

    def open_part(self, file_name: str) -> None:
        self._thread = threading.current_thread()
        self._file = (self.folder / "fifo").open("wb", buffering=0)
        # Full, so that not one byte more is taken.
        os.set_blocking(self._file.fileno(), False)
        while self._file.write(bytes(4096)):
            pass
        os.set_blocking(self._file.fileno(), True)

    def write(self, block: bytes) -> None:
        self.begun.set()
        super().write(block)

    def release(self) -> None:
        """Take the reading side away, so that the write fails and its thread ends."""
        os.close(self._reader)
        self._thread.join(PATIENCE_SECONDS)
        self.abort()
