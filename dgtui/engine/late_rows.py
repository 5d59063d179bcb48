"""The scripts that keep what others wrote into a part of a target too late for the safety backup of a restore."""

from pathlib import Path

from dgtui.engine.files import explained
from dgtui.engine.restore_model import LateRows


def kept_late_rows(late: LateRows | None) -> tuple[str, ...]:
    """A sentence for people on what a script keeps; none where there was nothing to keep."""
    if late is None or not Path(late.path).exists():
        return ()
    told = "Others wrote rows after the safety backup had been begun, which were replaced with the rest"
    return (f"{told}: they are kept in {late.path}",)


def drop_late_rows(late: LateRows) -> None:
    """Remove the script of a replacement that was not made. Raises StorageError."""
    with explained(late.path, "remove"):
        Path(late.path).unlink(missing_ok=True)
