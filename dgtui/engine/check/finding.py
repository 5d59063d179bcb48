"""What an examination found."""

from typing import Literal

from dgtui.engine.errors import DataGuardianError
from dgtui.engine.model import Record

Area = Literal["configuration", "datasource", "state", "storage", "job", "channel", "metrics"]


class Finding(Record, frozen=True):
    """One thing that was examined."""

    area: Area
    subject: str
    level: Literal["ok", "warning", "error"]
    message: str
    mend: str = ""
    """The command or the step that mends it."""
    kind: str = ""
    """The kind of error, as in errors.py."""


def finding_of(area: Area, subject: str, error: DataGuardianError) -> Finding:
    """An error as something to mend."""
    return Finding(area=area, subject=subject, level="error", message=error.message, mend=error.hint, kind=error.kind)
