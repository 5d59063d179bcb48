"""The scripts that keep what others wrote into a part of a target too late for the safety backup of a restore."""

from datetime import UTC, datetime
from pathlib import Path

from dgtui.engine.catalog import Catalog
from dgtui.engine.cut_writes import remove_cut_writes
from dgtui.engine.file_errors import explained
from dgtui.engine.model import ENDED
from dgtui.engine.restore_model import PROTECTED_FOR, LateRows
from dgtui.engine.runs import RunPaths


def kept_late_rows(late: LateRows | None) -> tuple[str, ...]:
    """A sentence for people on what a script keeps; none where there was nothing to keep."""
    if late is None or not Path(late.path).exists():
        return ()
    told = "Others wrote rows after the safety backup had been begun, which were replaced with the rest"
    return (f"{told}: they are kept in {late.path} until {_kept_until(Path(late.path)):%Y-%m-%d %H:%M} UTC",)


def drop_late_rows(late: LateRows) -> None:
    """Remove the script of a replacement that was not made. Raises StorageError."""
    with explained(late.path, "remove"):
        Path(late.path).unlink(missing_ok=True)


def prune_late_rows(catalog: Catalog, paths: RunPaths, moment: float) -> int:
    """Remove the scripts whose time is over, and what was cut while one was written; how many scripts.

    Raises StorageError, CatalogError.
    """
    with explained(paths.kept_rows, "remove old scripts in"):
        scripts = list(paths.kept_rows.glob("*.sql")) if paths.kept_rows.is_dir() else []
        old = [script for script in scripts if _kept_until(script).timestamp() <= moment]
        removed = 0
        for script in old:
            if _is_over(catalog, paths, script.stem):
                script.unlink(missing_ok=True)
                removed += 1
    # One that waits for its rows for long looks like one that was cut.
    remove_cut_writes(paths.kept_rows, spare={paths.late_rows(run_id).name for run_id in paths.living()})
    return removed


def _kept_until(script: Path) -> datetime:
    return datetime.fromtimestamp(script.stat().st_mtime, UTC) + PROTECTED_FOR


def _is_over(catalog: Catalog, paths: RunPaths, restore_id: str) -> bool:
    """Whether a restore has ended, and it is known what became of the rows that it was to replace."""
    if paths.is_alive(restore_id):
        return False
    restore = catalog.restore(restore_id)
    if restore is None:
        return True
    return restore.status in ENDED and (restore.placing is None or restore.placing.mark is None)
