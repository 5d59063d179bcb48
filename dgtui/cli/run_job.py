"""Running a configured job: what timers start, so it loads as little as it can."""

from dgtui.cli.watch import start_and_watch
from dgtui.engine.backup_start import BackupDoor


def run_job(name: str, *, as_json: bool, description: str = "") -> int:
    """Back up as the job says and show it to its end; the exit code."""
    backups = BackupDoor.open()
    return start_and_watch(backups, lambda: backups.start_job(name, description=description), as_json=as_json)
