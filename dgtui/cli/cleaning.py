"""`cleanup`, `pin` and `unpin`."""

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dgtui.cli.asking import confirm
from dgtui.cli.options import AsJson, Execution, Yes
from dgtui.cli.output import print_data, print_json_object, print_lines, say
from dgtui.engine.errors import EXIT_DONE, EXIT_PARTIAL
from dgtui.wording.words import one_line, short_id, size_text, time_text, time_texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dgtui.engine.cleanup import CleanupReport
    from dgtui.engine.retention import Going

_NAMED_AT_MOST = 200
"""More removals than these are summed up where nobody asks for each."""


def cleanup(
    job: Annotated[
        str | None, typer.Option(metavar="J", help="Only the backups of this job.", show_default=False)
    ] = None,
    storage: Annotated[
        str | None, typer.Option(metavar="S", help="Only what lies at this storage.", show_default=False)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go; remove nothing.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Show each backup, also what stays, and why.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Remove what no rule keeps, and what broken runs left."""
    from dgtui.cli.watch import open_engine
    from dgtui.engine.cleanup import Scope

    scope = Scope(
        jobs=None if job is None else (job,),
        storages=None if storage is None else (storage,),
        everything=everything,
    )
    with open_engine() as engine:
        report = engine.retention.preview(scope)
        going = _number_going(report, scope.storages) > 0
        if not as_json:
            _show(report, scope.storages, everything=everything)
        elif dry_run:
            print_json_object(_as_data(report, scope.storages, everything=everything, done=False))
        if dry_run:
            raise typer.Exit(_exit_code(report))
        if going:
            confirm("remove backups", word="remove", yes=yes)
            done = engine.retention.clean_up(scope)
        else:
            # Nothing to ask about; what is written down of it may be behind the rules, or owed, all the same.
            done = engine.retention.bring_up_to_date(scope)
    if as_json:
        print_json_object(_as_data(done, scope.storages, everything=everything, done=True))
    else:
        _say_done(done, told=not going)
    raise typer.Exit(_exit_code(done))


def _say_done(done: "CleanupReport", *, told: bool) -> None:
    """What became of it; `told` where the preview said all that there was."""
    for failure in () if told else done.not_removed:
        say(f"not removed: {one_line(failure.path or failure.storage)}: {one_line(failure.problem.message)}")
    for note in done.notes:
        say(f"note: {one_line(note)}")
    if done.removed or not told:
        say(f"{len(done.removed)} removed, {size_text(done.freed_bytes)} freed")


def _exit_code(report: "CleanupReport") -> int:
    return EXIT_PARTIAL if report.not_removed else EXIT_DONE


def _allowed(report: "CleanupReport", storages: tuple[str, ...] | None) -> "list[Going]":
    return [one for one in report.plan.going if storages is None or one.storage in storages]


def _number_going(report: "CleanupReport", storages: tuple[str, ...] | None) -> int:
    strays = sum(one.may_go(report.plan.made_at) for one in report.strays)
    return sum(one.count for one in _allowed(report, storages)) + strays


def _to_be_freed(report: "CleanupReport", storages: tuple[str, ...] | None) -> int:
    strays = sum(one.bytes for one in report.strays if one.may_go(report.plan.made_at))
    return sum(one.bytes for one in _allowed(report, storages)) + strays


def _show(report: "CleanupReport", storages: tuple[str, ...] | None, *, everything: bool) -> None:
    from dgtui.cli.looking import output_width
    from dgtui.cli.table import column_lines
    from dgtui.wording.retention_text import stray_text

    now, number = report.plan.made_at, _number_going(report, storages)
    each = everything or number <= _NAMED_AT_MOST
    columns = _each(report, storages, everything=everything) if each else _summed_up(_allowed(report, storages))
    if any(columns.values()):
        print_lines(column_lines(list(columns), list(columns.values()), width=output_width()))
    for stray in report.strays:
        word = "remove" if stray.may_go(now) else "left"
        print_data(f"{word}  {one_line(stray.path)}  {size_text(stray.bytes)}  {stray_text(stray)}")
    for failure in report.not_removed:
        say(f"cannot look at {one_line(failure.storage)}: {one_line(failure.problem.message)}")
    say(f"{number:,} to remove, {size_text(_to_be_freed(report, storages))} to be freed")
    if not each:
        say("--all names each of them and what stays, --json each of them")


def _each(
    report: "CleanupReport", storages: tuple[str, ...] | None, *, everything: bool
) -> "Mapping[str, Sequence[str]]":
    """A line for each backup at each storage."""
    from dgtui.wording.retention_text import end_text, reason_text

    now = report.plan.made_at
    told = [*report.plan.removals, *(report.plan.kept if everything else ())]
    told = [one for one in told if storages is None or one.storage in storages]
    name = cache(one_line)
    return {
        "What": ["remove" if not one.stays else "keep" for one in told],
        "ID": [short_id(one.execution_id) for one in told],
        "Taken": time_texts(one.taken_at for one in told),
        "Job": [name(one.job) for one in told],
        "Storage": [name(one.storage) for one in told],
        "Frees": [size_text(one.bytes) for one in told],
        "Why": ["; ".join(filter(None, (reason_text(one), end_text(one, now)))) for one in told],
    }


def _summed_up(going: "Sequence[Going]") -> "Mapping[str, Sequence[str]]":
    """A line for all that goes of a job from a storage for the same reason."""
    from dgtui.wording.retention_text import REMOVALS

    return {
        "What": ["remove" for _ in going],
        "Backups": [f"{one.count:,}" for one in going],
        "From": [time_text(one.oldest) for one in going],
        "To": [time_text(one.newest) for one in going],
        "Job": [one_line(one.job) for one in going],
        "Storage": [one_line(one.storage) for one in going],
        "Frees": [size_text(one.bytes) for one in going],
        "Why": [REMOVALS[one.removed_by] for one in going],
    }


def _as_data(
    report: "CleanupReport", storages: tuple[str, ...] | None, *, everything: bool, done: bool
) -> dict[str, Any]:
    removals = [one for one in report.plan.removals if storages is None or one.storage in storages]
    data: dict[str, Any] = {
        "dry_run": not done,
        "to_remove": removals,
        "removed": report.removed,
        "not_removed": report.not_removed,
        "strays": report.strays,
        "notes": report.notes,
        "freed_bytes": report.freed_bytes if done else _to_be_freed(report, storages),
    }
    if everything:
        data["kept"] = [one for one in report.plan.kept if storages is None or one.storage in storages]
    return data


def pin(
    execution: Execution,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why it is kept.", show_default=False)] = "",
) -> None:
    """Keep a backup whatever the rules say."""
    from dgtui.cli.watch import open_engine

    with open_engine() as engine:
        wanted = engine.execution(execution)
        engine.retention.pin(wanted, reason)
    say(one_line(f"Pinned   {wanted.job} of {time_text(wanted.started_at)}  [{short_id(wanted.execution_id)}]"))


def unpin(execution: Execution) -> None:
    """Leave a backup to the retention rules again."""
    from dgtui.cli.watch import open_engine

    with open_engine() as engine:
        wanted = engine.execution(execution)
        engine.retention.unpin(wanted)
    say(one_line(f"Unpinned {wanted.job} of {time_text(wanted.started_at)}  [{short_id(wanted.execution_id)}]"))
