"""How the storages of a run stand, and which of them keeps it waiting."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from dgtui.engine.messages import StorageMessage, now
from dgtui.engine.run_writer import RunWriter
from dgtui.engine.storages.base import BackupWriter
from dgtui.engine.threads import Thread

_LONG_SECONDS = 5.0
"""From when on an answer that does not come is worth a word."""
_LOOK_SECONDS = 1.0


class StorageWaits:
    """Tells how each storage stands, and again and again of one that was asked something long ago."""

    def __init__(self, run: RunWriter) -> None:
        self._run = run
        self._asked: dict[str, float] = {}
        """Since when each storage has been asked something that it has not answered."""
        self._told: dict[str, StorageMessage] = {}
        self._lock = threading.Lock()

    def say(self, message: StorageMessage) -> None:
        """How a storage stands now."""
        with self._lock:
            self._told[message.name] = message
            self._run.storage(message)

    def writing(self, storage: str, count: int) -> StorageMessage:
        """What is to be said of a storage that has taken so many bytes."""
        with self._lock:
            message = self._told[storage] = self._dated(StorageMessage(name=storage, state="writing", bytes=count))
            return message

    def _dated(self, message: StorageMessage) -> StorageMessage:
        """The same, with how long the storage has kept the run waiting."""
        asked = self._asked.get(message.name)
        waited = 0.0 if asked is None else time.monotonic() - asked
        return msgspec.structs.replace(message, silent_seconds=round(waited, 1) if waited >= _LONG_SECONDS else 0.0)

    @contextlib.contextmanager
    def on(self, storage: str) -> Iterator[None]:
        """Something is asked of a storage; whoever asks waits for it."""
        self.heard(storage)
        try:
            yield
        finally:
            self.forget(storage)

    def heard(self, storage: str) -> None:
        """It gave a part of what it was asked for."""
        self._asked[storage] = time.monotonic()

    def forget(self, storage: str) -> None:
        """It answered, or nobody waits for it any more."""
        self._asked.pop(storage, None)

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Tell of those that do not answer, meanwhile."""
        ended = threading.Event()
        teller = Thread(target=self._tell, args=(ended,), name="storage waits", daemon=True)
        teller.start()
        try:
            yield
        finally:
            ended.set()
            teller.join()

    def _tell(self, ended: threading.Event) -> None:
        while not ended.wait(_LOOK_SECONDS):
            for storage in {*self._asked, *self._told}:
                self._tell_of(storage)

    def _tell_of(self, storage: str) -> None:
        with self._lock:
            before = self._told.get(storage, StorageMessage(name=storage, state="writing"))
            message = self._dated(msgspec.structs.replace(before, at=now()))
            if message.silent_seconds or before.silent_seconds:
                self._told[storage] = message
                self._run.storage(message)


class AwaitedWriter(BackupWriter):
    """A writer whose storage counts as one that is waited for as long as a step takes."""

    def __init__(self, writer: BackupWriter, waits: StorageWaits) -> None:
        self.storage = writer.storage
        self.unfinished = writer.unfinished
        self._writer = writer
        self._waits = waits

    def open_part(self, file_name: str) -> None:
        """Begin another file."""
        with self._waits.on(self.storage):
            self._writer.open_part(file_name)

    def write(self, block: bytes) -> None:
        """Add bytes to the open file."""
        self._waits.heard(self.storage)
        try:
            self._writer.write(block)
        finally:
            self._waits.forget(self.storage)

    def close_part(self) -> None:
        """End the open file and make it durable."""
        with self._waits.on(self.storage):
            self._writer.close_part()

    def rename_part(self, file_name: str, new_name: str) -> None:
        """Give a closed file of this unpublished backup another name."""
        with self._waits.on(self.storage):
            self._writer.rename_part(file_name, new_name)

    def read_back(self, file_name: str) -> BinaryIO:
        """Open what was written, to check it; whoever reads says what it hears."""
        return self._writer.read_back(file_name)

    def stored_size(self, file_name: str) -> int:
        """Size of a written file as the storage reports it."""
        with self._waits.on(self.storage):
            return self._writer.stored_size(file_name)

    def commit(self, texts: dict[str, bytes], manifest: bytes) -> str:
        """Write the small files and the manifest, and publish the folder; its final path."""
        with self._waits.on(self.storage):
            return self._writer.commit(texts, manifest)

    def abort(self) -> None:
        """Remove what was written; nobody waits for that."""
        self._writer.abort()
