"""What an examination found."""

import os
from pathlib import Path
from typing import Literal

from dgtui.engine.errors import DataGuardianError
from dgtui.engine.file_errors import file_error
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


def not_writable(area: Area, path: Path, code: int) -> Finding:
    """A place that cannot be written, for the reason that has this number (`errno`)."""
    return finding_of(area, str(path), file_error(OSError(code, os.strerror(code)), path, "write to"))
