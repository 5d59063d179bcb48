"""`stats` and `metrics`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dgtui.cli.looking import output_width
from dgtui.cli.options import AsJson
from dgtui.cli.output import print_data, print_json, say
from dgtui.wording.words import known_size, one_line, size_text, time_text, took_text

if TYPE_CHECKING:
    from dgtui.engine.figures.model import Period, RunFigures, Stats, StorageFigures

_RUNS = ("Job", "Completed", "Partial", "Failed", "Success", "Mean time", "Longest", "Mean size", "Change")
_PERIOD = ("When", "Completed", "Partial", "Failed", "Mean time", "Mean size", "Stored")
_STORAGE = ("Storage", "Backups", "Held", "Added", "Free", "Of", "Growth a day", "Full in")


def stats(
    job: Annotated[str | None, typer.Option(metavar="J", help="Only of this job.")] = None,
    days: Annotated[int, typer.Option(metavar="N", min=1, max=36500, help="Of so many days back.")] = 30,
    as_json: AsJson = False,
) -> None:
    """Show how runs went, and how storages fill."""
    from dgtui.cli.watch import open_engine

    with open_engine() as engine:
        if job is not None and job not in engine.config.jobs and not engine.executions(job=job, limit=1):
            engine.config.job(job)
        found = engine.figures.stats(days=days, job=job)
    if as_json:
        print_json(found)
        return
    for line in stats_lines(found, width=output_width()):
        print_data(line)


def stats_lines(found: "Stats", *, width: int | None) -> list[str]:
    """All tables of `stats`."""
    from dgtui.cli.table import table_lines

    of = f" of {one_line(found.job)}" if found.job is not None else ""
    lines = [f"The last {found.days} days{of}, since {time_text(found.since)}"]
    if found.jobs:
        rows = [_run_row(one) for one in (*found.jobs, *([found.all] if len(found.jobs) > 1 else []))]
        lines += ["", *table_lines(_RUNS, rows, width=width)]
    else:
        lines += ["", "No run has ended in this time"]
    if found.job is not None and found.all.periods:
        lines += ["", *table_lines(_PERIOD, [_period_row(one) for one in found.all.periods], width=width)]
    if found.storages:
        lines += ["", *table_lines(_STORAGE, [_storage_row(one) for one in found.storages], width=width)]
    if found.errors:
        errors = [(one_line(one.kind), str(one.count), time_text(one.last_at)) for one in found.errors]
        lines += ["", *table_lines(("Error", "Times", "Last"), errors, width=width)]
    return lines


def _run_row(one: "RunFigures") -> tuple[str, ...]:
    return (
        one_line(one.name) or "all",
        str(one.completed),
        str(one.partial),
        str(one.failed),
        "-" if one.success_rate is None else f"{_floored(one.success_rate)} %",
        _took(one.mean_seconds),
        _took(one.longest_seconds),
        known_size(one.mean_size_bytes),
        "-" if one.size_change is None else f"{one.size_change:+.0%}".replace("%", " %"),
    )


def _floored(share: float) -> str:
    """One failure in a thousand is not 100 %."""
    return f"{int(share * 1000) / 10:.1f}".removesuffix(".0")


def _period_row(one: "Period") -> tuple[str, ...]:
    return (
        one.begins,
        str(one.completed),
        str(one.partial),
        str(one.failed),
        _took(one.mean_seconds),
        known_size(one.mean_size_bytes),
        known_size(one.mean_stored_bytes),
    )


def _took(seconds: float | None) -> str:
    return "-" if seconds is None else took_text(seconds)


def _storage_row(one: "StorageFigures") -> tuple[str, ...]:
    growth = one.outlook.growth_bytes_per_day
    return (
        one_line(one.name),
        str(one.backup_count),
        size_text(one.backup_bytes),
        size_text(one.added_bytes),
        known_size(one.free_bytes),
        known_size(one.total_bytes),
        "-" if growth is None else ("-" if growth < 0 else "+") + size_text(abs(growth)),
        full_text(one),
    )


def full_text(one: "StorageFigures") -> str:
    """In how many days a storage is full, or why that is not known."""
    days = one.outlook.days_until_full
    if days is None:
        return one.outlook.note if one.outlook.growth_bytes_per_day is not None else f"unknown: {one.outlook.note}"
    return "less than a day" if days < 1 else f"about {round(days)} days"


def metrics(
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="PATH", help="Put them there at one stroke, for the textfile collector."),
    ] = None,
) -> None:
    """Print what Prometheus asks for, in its text form."""
    from dgtui.cli.watch import open_engine

    with open_engine() as engine:
        running = engine.daemon_status().running
        if file is not None:
            engine.figures.write_metrics(file.absolute(), daemon_running=running)
            say(f"Written: {one_line(str(file))}")
            return
        text = engine.figures.metrics(daemon_running=running)
    print_data(text.removesuffix("\n"))
