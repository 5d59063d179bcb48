"""Runs: the message file, the lock and the request of each worker, and the view of all that from outside.

Under `<state>/runs/` a run has `<id>.jsonl` (its messages), `<id>.lock` (held by flock as long as the worker lives, so
that a crash frees it) and `<id>.request.json` (what it was asked to do).
"""

import contextlib
import fcntl
import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from dgtui.engine.child import TAIL_LINES, printable
from dgtui.engine.files import explained, fsync_folder, is_full, make_private_folder, set_room_aside
from dgtui.engine.messages import (
    LogMessage,
    Message,
    PhaseMessage,
    ProgressMessage,
    ProgressUnit,
    StatusMessage,
    StorageMessage,
    TotalKind,
    decode_message,
    encode_message,
    now,
)
from dgtui.engine.model import ENDED, ExecutionStatus, Phase, Problem, Record

Operation = Literal["backup", "restore", "validate", "rehearse"]

LOG_BYTES_AT_MOST = 4 << 20
"""Beyond this many bytes of log lines a run's log keeps silent, so that a flooding tool cannot fill the disk."""
_LAST_WORDS_BYTES = 64 << 10
"""Room for the message that ends a run, with the last lines of a tool."""
_STEP_BYTES = 64 << 10
_PROGRESS_SECONDS = 0.5
_RATE_SECONDS = 8.0


class RunPaths:
    """Where the files of runs lie."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.runs = state / "runs"
        self.locks = state / "locks"
        self.unrecorded = state / "unrecorded"
        """One empty file for each run that the catalogue did not learn of."""

    def messages(self, run_id: str) -> Path:
        """The message file."""
        return self.runs / f"{run_id}.jsonl"

    def lock(self, run_id: str) -> Path:
        """The lock that the living worker holds."""
        return self.runs / f"{run_id}.lock"

    def request(self, run_id: str) -> Path:
        """What the worker was asked to do."""
        return self.runs / f"{run_id}.request.json"

    def faults(self, run_id: str) -> Path:
        """What the worker's own process wrote to stderr: only a fault of the program ever does."""
        return self.runs / f"{run_id}.stderr"

    def scratch(self, run_id: str) -> Path:
        """Folder for the run's temporary files, removed at its end."""
        return self.state / "scratch" / run_id

    def make(self) -> None:
        """Make the folders, private ones."""
        for folder in (self.state, self.runs, self.locks, self.state / "scratch"):
            make_private_folder(folder)

    def is_alive(self, run_id: str) -> bool:
        """Whether the worker of a run lives: its lock is held."""
        try:
            descriptor = os.open(self.lock(run_id), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def living(self) -> list[str]:
        """The ids of all runs whose worker lives, whoever started it."""
        return sorted(path.stem for path in self.runs.glob("*.lock") if self.is_alive(path.stem))

    def unrecorded_runs(self) -> list[str]:
        """The ids of the runs that the catalogue did not learn of."""
        return sorted(path.name for path in self.unrecorded.iterdir()) if self.unrecorded.is_dir() else []

    def note_unrecorded(self, run_id: str) -> None:
        """Leave word that the catalogue has to learn of a run later. Raises StorageError."""
        make_private_folder(self.unrecorded)
        with explained(self.unrecorded, "write to"):
            (self.unrecorded / run_id).touch(0o600)
        fsync_folder(self.unrecorded)

    def remove_scratch(self, run_id: str) -> None:
        """Remove what a run left in its scratch folder."""
        shutil.rmtree(self.scratch(run_id), ignore_errors=True)


class ProgressSource(Record, frozen=True):
    """What a progress report needs to know besides the number that is done."""

    total: int | None = None
    total_kind: TotalKind = "unknown"
    unit: ProgressUnit = "bytes"


class RunWriter:
    """Appends messages to a run's file; it is also the `Reporter` that adapters get. Safe from any thread.

    Room for the last message is set aside beforehand: how a run ended is told on a full disk as well.
    """

    def __init__(self, path: Path) -> None:
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
        line = encode_message(message) + b"\n"
        with self._lock:
            if self._has_room(len(line)) or isinstance(message, StatusMessage):
                self._append(line)

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
        before = self._log_bytes
        self._log_bytes += len(text)
        if before < LOG_BYTES_AT_MOST:
            self.write(LogMessage(text=printable(text), origin=origin, level=level))
        if before < LOG_BYTES_AT_MOST <= self._log_bytes:
            self.write(LogMessage(text="The log is full; further lines are not kept", level="warning"))

    def current_object(self, name: str, *, number: int = 0, count: int = 0) -> None:
        """Remember what is being worked on; the next progress message says it."""
        self._object = (printable(name), number, count)

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
        self._ticker = threading.Thread(
            target=self._report_progress, args=(done, source, extra), name="progress", daemon=True
        )
        self._ticker.start()

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
            self.write(progress_message(amount, source, rate, self._object))
            for message in extra() if extra is not None else []:
                self.write(message)


def progress_message(
    done: int, source: ProgressSource, rate: float | None, current: tuple[str, int, int]
) -> ProgressMessage:
    """A progress message that never claims more than is known: an estimate that was too low grows with `done`."""
    total = source.total
    if total is not None and source.total_kind != "exact" and done >= total:
        total = done + max(done // 50, 1)
    seconds_left = (total - done) / rate if total is not None and rate else None
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


class RunInfo(Record, frozen=True):
    """A run that is under way, whoever started it."""

    run_id: str
    operation: Operation
    title: str
    """What it does, for people: the job's name, or what is restored into what."""


class RunSnapshot(Record, frozen=True):
    """A run as it is now, for a screen or a command to show."""

    run_id: str
    status: ExecutionStatus = "queued"
    phase: Phase = "queued"
    started_at: datetime | None = None
    ended_at: datetime | None = None
    progress: ProgressMessage | None = None
    storages: tuple[StorageMessage, ...] = ()
    """How each storage stands, as it was told last."""
    sources: tuple[StorageMessage, ...] = ()
    """Those of them that are read from, as they stood then."""
    log: tuple[LogMessage, ...] = ()
    """The last lines."""
    log_count: int = 0
    problem: Problem | None = None
    warnings: tuple[str, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.status in ENDED

    @property
    def fraction(self) -> float | None:
        """How much is done, 0 to 1; below 1 until the end; None where nothing is known."""
        if self.status in ("completed", "partial"):
            return 1.0
        if self.progress is None or not self.progress.total:
            return None
        return min(self.progress.done / self.progress.total, 0.999)


class RunFollower:
    """Reads a run's message file as it grows."""

    def __init__(self, paths: RunPaths, run_id: str, *, log_lines: int = 5) -> None:
        self._paths = paths
        self._run_id = run_id
        self._offset = 0
        self._rest = b""
        self._log: deque[LogMessage] = deque(maxlen=log_lines)
        self._storages: dict[str, StorageMessage] = {}
        self._sources: dict[str, StorageMessage] = {}
        self.snapshot = RunSnapshot(run_id=run_id)

    def poll(self) -> list[Message]:
        """The messages that came since the last call, in order; `snapshot` is brought up to date.

        Where the worker died without a last message, the snapshot's status becomes `interrupted`.
        """
        # In this order: whoever starts the worker makes its lock file and takes the lock at once.
        begun = self._paths.lock(self._run_id).exists()
        alive = self._paths.is_alive(self._run_id)
        messages = list(self._read())
        for message in messages:
            self._take(message)
        if not alive and not messages and not self.snapshot.ended and not self._waits(begun=begun):
            self._take(
                StatusMessage(
                    status="interrupted",
                    problem=Problem(
                        kind="Interrupted",
                        message="The worker ended without notice",
                        subject=self._run_id,
                        hint="Was it killed, or the machine switched off? Start it again",
                        detail=self._last_faults(),
                    ),
                )
            )
        return messages

    def _waits(self, *, begun: bool) -> bool:
        """Whether the run is known of, and no worker was started for it yet."""
        return not begun and self.snapshot.status == "queued" and self.snapshot.started_at is not None

    def _read(self) -> Iterator[Message]:
        try:
            with self._paths.messages(self._run_id).open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return
        self._offset += len(data)
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            with contextlib.suppress(msgspec.DecodeError):
                yield decode_message(line)

    def _last_faults(self) -> tuple[str, ...]:
        with contextlib.suppress(OSError):
            return tuple(self._paths.faults(self._run_id).read_text("utf-8", "replace").splitlines()[-TAIL_LINES:])
        return ()

    def _take(self, message: Message) -> None:
        changes: dict[str, object] = {}
        match message:
            case PhaseMessage():
                changes["phase"] = message.phase
            case LogMessage():
                self._log.append(message)
                changes = {"log": tuple(self._log), "log_count": self.snapshot.log_count + 1}
            case ProgressMessage():
                changes["progress"] = message
            case StorageMessage():
                self._storages[message.name] = message
                changes["storages"] = tuple(self._storages.values())
                if message.way == "from":
                    self._sources[message.name] = message
                    changes["sources"] = tuple(self._sources.values())
            case StatusMessage():
                changes = {"status": message.status, "problem": message.problem, "warnings": message.warnings}
                if message.status in ENDED:
                    changes["ended_at"] = message.at
        if self.snapshot.started_at is None:
            changes["started_at"] = message.at
        self.snapshot = msgspec.structs.replace(self.snapshot, **changes)


def has_begun(paths: RunPaths, run_id: str) -> bool:
    """Whether a run's worker lives, or lived long enough to say a word."""
    if paths.is_alive(run_id):
        return True
    follower = RunFollower(paths, run_id)
    return any(isinstance(message, StatusMessage) and message.status != "queued" for message in follower.poll())


def last_status(paths: RunPaths, run_id: str) -> StatusMessage | None:
    """The status message that ended a run, where it has one."""
    follower = RunFollower(paths, run_id)
    follower.poll()
    snapshot = follower.snapshot
    if not snapshot.ended or snapshot.ended_at is None or snapshot.status == "interrupted":
        return None
    return StatusMessage(
        at=snapshot.ended_at or now(), status=snapshot.status, problem=snapshot.problem, warnings=snapshot.warnings
    )
