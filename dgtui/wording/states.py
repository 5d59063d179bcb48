"""Every state's glyph, word and colour: the same in every view."""

from dataclasses import dataclass

from dgtui.engine.model import UNDER_WAY, ExecutionStatus
from dgtui.engine.notification_model import LASTING, Notification
from dgtui.wording.terminal import Look


@dataclass(frozen=True)
class Mark:
    """How a state is shown; the glyph alone tells it from others, without colour."""

    glyph: str
    ascii_glyph: str
    style: str

    def shown(self, look: Look) -> str:
        """The glyph that the terminal can show."""
        return look.glyph(self.glyph, self.ascii_glyph)


EXECUTION_MARKS = {
    "queued": Mark("○", "o", "dim"),
    "running": Mark("●", "*", "good"),
    "completed": Mark("✔", "+", "good"),
    "partial": Mark("▲", "!", "warning"),
    "failed": Mark("✖", "x", "bad"),
    "cancelled": Mark("■", "-", "warning"),
    "interrupted": Mark("⚡", "%", "bad"),
}
COPY_MARKS = {
    "available": Mark("●", "*", "good"),
    "missing": Mark("○", "o", "bad"),
    "unreachable": Mark("⚡", "%", "warning"),
    "unknown": Mark("?", "?", "dim"),
    "corrupt": Mark("✖", "x", "bad"),
}
STORAGE_MARKS = {
    "writing": Mark("●", "*", "good"),
    "checking": Mark("◐", "~", "good"),
    "done": Mark("✔", "+", "good"),
    "failed": Mark("✖", "x", "bad"),
    "left out": Mark("⚡", "%", "warning"),
}
SILENT_MARK = Mark("⚡", "%", "warning")
"""A storage that the run waits for."""
HEALTH_MARKS = {
    "healthy": Mark("●", "*", "good"),
    "warning": Mark("▲", "!", "warning"),
    "critical": Mark("✖", "x", "bad"),
    "unknown": Mark("?", "?", "dim"),
}
SEVERITY_MARKS = {
    "info": Mark("●", "*", "good"),
    "warning": Mark("▲", "!", "warning"),
    "error": Mark("✖", "x", "bad"),
    "critical": Mark("⚡", "%", "bad"),
}
DAY_MARKS = {
    "good": Mark("✔", "g", "good"),
    "partial": Mark("▲", "p", "warning"),
    "failed": Mark("✖", "F", "bad"),
    "missed": Mark("○", "M", "bad"),
    "cancelled": Mark("■", "c", "warning"),
    "nothing": Mark("·", ".", "dim"),
}
"""A job's day in the calendar: without these glyphs its letter."""
PHASE_WORDS = {
    "queued": "waiting to start",
    "connect": "looking at the source",
    "wait": "waiting for the next try",
    "dump": "dumping",
    "check": "checking what was stored",
    "finish": "publishing the backup",
    "validate": "checking the backup",
    "create": "making the target",
    "restore": "loading",
    "compare": "comparing with the manifest",
    "swap": "putting it in place",
    "remove": "removing the throw-away database",
    "record": "recording",
}
MOVING_PHASES = frozenset({"dump", "validate", "restore"})
"""The phases that progress messages speak of."""


def again_text(status: ExecutionStatus) -> str:
    """Why there is a run in the place of another one."""
    return f"{'runs' if status in UNDER_WAY else 'ran'} again, after the machine stopped it"


def lasting_text(one: Notification) -> str:
    """Whether what a notification tells of lasts or is over."""
    if one.ended_at is not None:
        return "over"
    return "lasts" if one.kind in LASTING else ""
