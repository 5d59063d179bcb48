"""The messages of a run as its worker writes them."""

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from dgtui.engine.child import printable
from dgtui.engine.file_errors import is_full
from dgtui.engine.files import set_room_aside
from dgtui.engine.messages import (
    LogMessage,
    Message,
    PhaseMessage,
    ProgressMessage,
    ProgressUnit,
    StatusMessage,
    StorageMessage,
    TotalKind,
    encode_message,
)
from dgtui.engine.model import ExecutionStatus, Phase, Problem, Record
from dgtui.engine.threads import Thread

LOG_BYTES_AT_MOST = 4 << 20
"""Beyond this many bytes of its file a run's log keeps silent, so that a flooding tool cannot fill the disk."""
_LAST_WORDS_BYTES = 64 << 10
"""Room for the message that ends a run, with the last lines of a tool."""
_STEP_BYTES = 64 << 10
_PROGRESS_SECONDS = 0.5
_RATE_SECONDS = 8.0
_SETTLED_SECONDS = 2.0
"""A rate that was measured for less tells nothing of the time that is left: a start is slower than what follows."""


class ProgressSource(Record, frozen=True):
    """What a progress report needs to know besides the number that is done."""

    total: int | None = None
    total_kind: TotalKind = "unknown"
    unit: ProgressUnit = "bytes"


class RunWriter:
    """Appends messages to a run's file; it is also the `Reporter` that adapters get. Safe from any thread.

    Room for the last message is set aside beforehand: how a run ended is told on a full disk as well.
    """

    def __init__(self, path: Path, cancelled: threading.Event | None = None) -> None:
        """`cancelled` is set once somebody asks for the end of the run."""
        self._cancelled = cancelled
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._lock = threading.Lock()
        self._size = os.fstat(self._descriptor).st_size
        self._set_aside = 0
        self._torn = False
        self._log_bytes = 0
        self._object: tuple[str, int, int] = ("", 0, 0)
        self._ticker: threading.Thread | None = None
        self._ticker_stop = threading.Event()

    def close(self) -> None:
        """Close the file."""
        self.stop_progress()
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size)
        os.close(self._descriptor)

    def write(self, message: Message) -> None:
        """Append one message; a full disk loses the message, not the backup, and never the last one."""
        self._write(message)

    def _write(self, message: Message) -> int:
        """Append one message; how many bytes it takes."""
        line = encode_message(message) + b"\n"
        with self._lock:
            if self._has_room(len(line)) or isinstance(message, StatusMessage):
                self._append(line)
        return len(line)

    def _has_room(self, wanted: int) -> bool:
        """Whether the disk takes so many bytes and a last message besides, as far as it can be told."""
        needed = self._size + wanted + _LAST_WORDS_BYTES
        if needed <= self._set_aside:
            return True
        try:
            set_room_aside(self._descriptor, needed + _STEP_BYTES)
        except OSError as error:
            return not is_full(error)
        self._set_aside = needed + _STEP_BYTES
        return True

    def _append(self, line: bytes) -> None:
        # Half a line that a full disk left is ended first, so that it spoils no other one.
        view = memoryview(b"\n" + line if self._torn else line)
        try:
            while view:
                written = os.write(self._descriptor, view)
                self._size += written
                view = view[written:]
        except OSError:
            self._torn = len(view) < len(line) or self._torn
            return
        self._torn = False

    def log(self, text: str, *, origin: str = "dgtui", level: Literal["info", "warning", "error"] = "info") -> None:
        """Add a line to the log, up to a bound."""
        if self._log_bytes >= LOG_BYTES_AT_MOST:
            return
        # The message, not its text alone: around a line of one letter it is a hundred times as long.
        self._log_bytes += self._write(LogMessage(text=printable(text), origin=origin, level=level))
        if self._log_bytes >= LOG_BYTES_AT_MOST:
            self._write(LogMessage(text="The log is full; further lines are not kept", level="warning"))

    def current_object(self, name: str, *, number: int = 0, count: int = 0) -> None:
        """Remember what is being worked on; the next progress message says it."""
        self._object = (printable(name), number, count)

    def loaded(self, name: str, rows: int | None = None) -> None:
        """Nothing of that is written: where it means something, somebody adds it up."""

    def cancelled(self) -> bool:
        """Whether somebody asked for the end."""
        return self._cancelled is not None and self._cancelled.is_set()

    def phase(self, phase: Phase) -> None:
        """Another part of the work begins."""
        self.write(PhaseMessage(phase=phase))

    def storage(self, message: StorageMessage) -> None:
        """How a storage stands."""
        self.write(message)

    def status(
        self, status: ExecutionStatus, *, problem: Problem | None = None, warnings: tuple[str, ...] = ()
    ) -> None:
        """The run is in a new state; nothing may follow an end."""
        self.write(StatusMessage(status=status, problem=problem, warnings=warnings))

    def start_progress(
        self, done: Callable[[], int], source: ProgressSource, extra: Callable[[], list[StorageMessage]] | None = None
    ) -> None:
        """Report twice a second how far it is, until `stop_progress`, which reports once more."""
        self.stop_progress()
        self._ticker_stop.clear()
        ticker = Thread(target=self._report_progress, args=(done, source, extra), name="progress", daemon=True)
        ticker.start()
        self._ticker = ticker

    def stop_progress(self) -> None:
        """End the reports with a last one."""
        if self._ticker is not None:
            self._ticker_stop.set()
            self._ticker.join()
            self._ticker = None

    def _report_progress(
        self,
        done: Callable[[], int],
        source: ProgressSource,
        extra: Callable[[], list[StorageMessage]] | None,
    ) -> None:
        samples: deque[tuple[float, int]] = deque([(time.monotonic(), done())])
        ended = False
        while not ended:
            ended = self._ticker_stop.wait(_PROGRESS_SECONDS)
            moment, amount = time.monotonic(), done()
            samples.append((moment, amount))
            while samples[0][0] < moment - _RATE_SECONDS and len(samples) > 2:
                samples.popleft()
            elapsed = moment - samples[0][0]
            rate = (amount - samples[0][1]) / elapsed if elapsed > 0 else None
            settled = elapsed >= _SETTLED_SECONDS
            self.write(progress_message(amount, source, rate, self._object, settled=settled))
            for message in extra() if extra is not None else []:
                self.write(message)


def progress_message(
    done: int, source: ProgressSource, rate: float | None, current: tuple[str, int, int], *, settled: bool
) -> ProgressMessage:
    """A progress message that never claims more than is known: an estimate that was too low grows with `done`.

    It tells the time that is left only where the rate has `settled`.
    """
    total = source.total
    if total is not None and source.total_kind != "exact" and done >= total:
        total = done + max(done // 50, 1)
    seconds_left = (total - done) / rate if total is not None and rate and settled else None
    return ProgressMessage(
        done=done,
        total=total,
        total_kind=source.total_kind,
        unit=source.unit,
        rate=rate,
        seconds_left=seconds_left,
        current_object=current[0],
        object_number=current[1],
        object_count=current[2],
    )
