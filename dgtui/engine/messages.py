"""What a worker says while it works: one JSON object a line, appended to the run's message file.

The kinds are those of design.md, "Messages". The last message of a run is a `Status` in a state that has ended.
"""

from datetime import UTC, datetime
from typing import Literal

import msgspec

from dgtui.engine.model import ExecutionStatus, Phase, Problem

ProgressUnit = Literal["bytes", "rows", "files"]
TotalKind = Literal["exact", "estimated", "unknown"]
StorageState = Literal["writing", "checking", "done", "failed", "left out"]


def now() -> datetime:
    """The present moment, in UTC."""
    return datetime.now(UTC)


class RunMessage(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """Base of all messages."""

    at: datetime = msgspec.field(default_factory=now)


class PhaseMessage(RunMessage, frozen=True, tag="phase"):
    """The worker begins another part of its work."""

    phase: Phase


class LogMessage(RunMessage, frozen=True, tag="log"):
    """A line for the log."""

    text: str
    origin: str = "dgtui"
    """Who said it: `dgtui`, or the tool's name."""
    level: Literal["info", "warning", "error"] = "info"


class ProgressMessage(RunMessage, frozen=True, tag="progress"):
    """How far it is."""

    done: int
    total: int | None
    total_kind: TotalKind
    unit: ProgressUnit = "bytes"
    rate: float | None = None
    """Units per second, over the last seconds."""
    seconds_left: float | None = None
    current_object: str = ""
    object_number: int = 0
    object_count: int = 0


class StorageMessage(RunMessage, frozen=True, tag="storage"):
    """How one storage of the run stands."""

    name: str
    state: StorageState
    bytes: int = 0
    way: Literal["to", "from"] = "to"
    """Whether the run writes to it, or reads from it; a restore that makes a safety backup does both."""
    silent_seconds: float = 0.0
    """How long the run has waited for its answer, where that is worth a word."""
    problem: Problem | None = None


class StatusMessage(RunMessage, frozen=True, tag="status"):
    """The run is in a new state."""

    status: ExecutionStatus
    problem: Problem | None = None
    warnings: tuple[str, ...] = ()


Message = PhaseMessage | LogMessage | ProgressMessage | StorageMessage | StatusMessage

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)


def encode_message(message: Message) -> bytes:
    """One line of the message file, without its newline."""
    return _encoder.encode(message)


def decode_message(line: bytes) -> Message:
    """Read one line of a message file; raises msgspec.DecodeError where it is not one."""
    return _decoder.decode(line)
