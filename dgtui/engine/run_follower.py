"""A run as it is seen from outside: its message file read as it grows, and what that comes to."""

import contextlib
from collections import deque
from collections.abc import Iterator
from datetime import datetime

import msgspec

from dgtui.engine.child import TAIL_LINES
from dgtui.engine.file_errors import is_read_only
from dgtui.engine.messages import (
    LogMessage,
    Message,
    PhaseMessage,
    ProgressMessage,
    StatusMessage,
    StorageMessage,
    decode_message,
)
from dgtui.engine.model import ENDED, INTERRUPTED, RESTORABLE, ExecutionStatus, Phase, Problem, Record
from dgtui.engine.problems import WHY_IT_DIED
from dgtui.engine.runs import RunPaths


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
    def died(self) -> bool:
        """Whether its worker ended without a last message."""
        return self.problem is not None and self.problem.kind == INTERRUPTED

    @property
    def told_its_end(self) -> bool:
        """Whether its worker said its last message."""
        return self.ended and not self.died

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
        self._loaded: ProgressMessage | None = None
        """How much of a backup was put back; the safety backup that may follow counts for itself."""
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
                        kind=INTERRUPTED,
                        message="The worker ended without notice",
                        subject=self._run_id,
                        hint=self._why(),
                        detail=self._last_faults(),
                    ),
                )
            )
        return messages

    def _why(self) -> str:
        if is_read_only(self._paths.runs):
            return (
                f"The disk of {self._paths.state} became read-only (dmesg tells why): how it ended could not be "
                "written down. Once it is writable, the next start of dgtui finds out what became of it"
            )
        return (
            f"{WHY_IT_DIED} What the timetable asked for, a daemon makes again by itself within its grace; start "
            "anything else again"
        )

    def has_news(self) -> bool:
        """Whether `poll` would give messages; costs next to nothing."""
        try:
            return self._paths.messages(self._run_id).stat().st_size != self._offset
        except FileNotFoundError:
            return False

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
                if message.phase in ("connect", "wait", "restore"):
                    # How far another try came says nothing of this one, nor a check of the backup of its loading.
                    changes["progress"] = None
                if message.phase in ("connect", "wait"):
                    self._storages = dict(self._sources)
                    changes["storages"] = tuple(self._storages.values())
            case LogMessage():
                self._log.append(message)
                changes = {"log": tuple(self._log), "log_count": self.snapshot.log_count + 1}
            case ProgressMessage():
                changes["progress"] = message
                if self.snapshot.phase == "restore":
                    self._loaded = message
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
                if message.status in RESTORABLE and self._loaded is not None:
                    changes["progress"] = self._loaded
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
    if not snapshot.told_its_end or snapshot.ended_at is None:
        return None
    return StatusMessage(
        at=snapshot.ended_at, status=snapshot.status, problem=snapshot.problem, warnings=snapshot.warnings
    )
