"""Running a configured job: what timers start, so it loads as little as it can."""

from dgtui.cli.watch import open_engine, watch


def run_job(name: str, *, as_json: bool, description: str = "") -> int:
    """Back up as the job says and show it to its end; the exit code."""
    with open_engine(backup_only=True) as engine:
        return watch(engine, engine.start_job(name, description=description), as_json=as_json)
