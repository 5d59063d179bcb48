"""`jobs`, `enable` and `disable`."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dgtui.cli.looking import output_width
from dgtui.cli.options import AsJson
from dgtui.cli.output import print_data, print_json, say
from dgtui.wording.states import EXECUTION_MARKS, again_text
from dgtui.wording.terminal import Look, look_of
from dgtui.wording.words import one_line, time_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dgtui.engine.guardian.overview import JobOverview

Job = Annotated[str, typer.Argument(metavar="JOB", help="Name of the job.", show_default=False)]


def jobs(as_json: AsJson = False) -> None:
    """List the jobs and their next runs."""
    from dgtui.cli.watch import open_engine

    with open_engine() as engine:
        found = engine.job_overviews()
        guarded = engine.daemon_status().running
    if as_json:
        print_json(found)
        return
    if not found:
        say("No jobs. Write one in the configuration, or make one on the screens")
        return
    for line in job_lines(found, look=look_of(sys.stdout), width=output_width()):
        print_data(line)
    for job in found:
        if job.again and job.last is not None:
            say(f"note: {one_line(job.name)}: {again_text(job.last.status)}")
    if not guarded and any(job.next_run is not None for job in found):
        say("note: no daemon is running, so that nothing runs by itself: see dgtui daemon --install")


def job_lines(found: "Sequence[JobOverview]", *, look: Look, width: int | None) -> list[str]:
    """The table of `jobs`."""
    from dgtui.cli.table import table_lines

    rows = [
        (
            one_line(job.name),
            one_line(job.datasource),
            one_line(_schedule(job)) or "-",
            _switched(job),
            time_text(job.next_run),
            _last(job, look),
        )
        for job in found
    ]
    return table_lines(("Job", "Datasource", "Schedule", "Enabled", "Next run", "Last"), rows, width=width)


def _schedule(job: "JobOverview") -> str:
    window = f"only {job.window}" if job.window else ""
    further = ", ".join(filter(None, (job.timezone, window)))
    return f"{job.schedule_words} ({further})" if job.schedule and further else job.schedule_words


def _switched(job: "JobOverview") -> str:
    if not job.enabled:
        return "off"
    return "yes" if job.followed else "datasource off"


def _last(job: "JobOverview", look: Look) -> str:
    if job.last is None:
        return "never ran"
    mark = EXECUTION_MARKS[job.last.status].shown(look)
    return f"{mark} {job.last.status} {time_text(job.last.finished_at or job.last.started_at)}"


def enable(job: Job) -> None:
    """Follow a job's schedule."""
    _switch(job, enabled=True)


def disable(job: Job) -> None:
    """Follow a job's schedule no more."""
    _switch(job, enabled=False)


def _switch(job: str, *, enabled: bool) -> None:
    from dgtui.cli.watch import open_engine

    with open_engine() as engine:
        engine.switch_job(job, enabled=enabled)
        datasource = engine.config.job(job).datasource
        waits = enabled and not engine.config.require_datasource(datasource).enabled
    say(f"{one_line(job)} is {'enabled' if enabled else 'disabled'}")
    if waits:
        say(f"note: its datasource {one_line(datasource)} is switched off, so that its schedule is not followed")
