"""`cleanup`, `pin` and `unpin`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dgtui.cli.asking import confirm
from dgtui.cli.options import AsJson, Execution, Yes
from dgtui.cli.output import print_data, print_json, say
from dgtui.engine.errors import EXIT_DONE, EXIT_PARTIAL
from dgtui.wording.words import one_line, short_id, size_text, time_text

if TYPE_CHECKING:
    from dgtui.engine.cleanup import CleanupReport
    from dgtui.engine.retention import Verdict


def cleanup(
    job: Annotated[
        str | None, typer.Option(metavar="J", help="Only the backups of this job.", show_default=False)
    ] = None,
    storage: Annotated[
        str | None, typer.Option(metavar="S", help="Only what lies at this storage.", show_default=False)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go; remove nothing.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Show also what stays, and why.")] = False,
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
        going = bool(_going(report, scope.storages))
        if not as_json:
            _show(report, scope.storages, everything=everything)
        elif dry_run or not going:
            print_json(_as_data(report, scope.storages, everything=everything, done=False))
        if dry_run or not going:
            raise typer.Exit(_exit_code(report))
        confirm("remove backups", word="remove", yes=yes)
        done = engine.retention.clean_up(scope)
    if as_json:
        print_json(_as_data(done, scope.storages, everything=everything, done=True))
    else:
        for failure in done.not_removed:
            say(f"not removed: {one_line(failure.path or failure.storage)}: {one_line(failure.problem.message)}")
        for note in done.notes:
            say(f"note: {one_line(note)}")
        say(f"{len(done.removed)} removed, {size_text(done.freed_bytes)} freed")
    raise typer.Exit(_exit_code(done))


def _exit_code(report: "CleanupReport") -> int:
    return EXIT_PARTIAL if report.not_removed else EXIT_DONE


def _removals(report: "CleanupReport", storages: tuple[str, ...] | None) -> "list[Verdict]":
    return [one for one in report.plan.removals if storages is None or one.storage in storages]


def _going(report: "CleanupReport", storages: tuple[str, ...] | None) -> list[object]:
    strays = [one for one in report.strays if one.may_go(report.plan.made_at)]
    return [*_removals(report, storages), *strays]


def _show(report: "CleanupReport", storages: tuple[str, ...] | None, *, everything: bool) -> None:
    from dgtui.cli.looking import output_width
    from dgtui.cli.table import table_lines
    from dgtui.wording.retention_text import end_text, reason_text, stray_text

    now = report.plan.made_at
    rows = [
        (
            "remove" if not one.stays else "keep",
            short_id(one.execution_id),
            time_text(one.taken_at),
            one_line(one.job),
            one_line(one.storage),
            size_text(one.bytes),
            "; ".join(filter(None, (reason_text(one), end_text(one, now)))),
        )
        for one in [*_removals(report, storages), *(report.plan.kept if everything else ())]
        if storages is None or one.storage in storages
    ]
    if rows:
        headers = ("What", "ID", "Taken", "Job", "Storage", "Frees", "Why")
        print_data("\n".join(table_lines(headers, rows, width=output_width())))
    for stray in report.strays:
        word = "remove" if stray.may_go(now) else "left"
        print_data(f"{word}  {one_line(stray.path)}  {size_text(stray.bytes)}  {stray_text(stray)}")
    for failure in report.not_removed:
        say(f"cannot look at {one_line(failure.storage)}: {one_line(failure.problem.message)}")
    say(f"{len(_going(report, storages))} to remove, {size_text(_to_be_freed(report, storages))} to be freed")


def _to_be_freed(report: "CleanupReport", storages: tuple[str, ...] | None) -> int:
    freed = sum(one.bytes for one in _removals(report, storages))
    return freed + sum(one.bytes for one in report.strays if one.may_go(report.plan.made_at))


def _as_data(
    report: "CleanupReport", storages: tuple[str, ...] | None, *, everything: bool, done: bool
) -> dict[str, Any]:
    import msgspec

    removals = _removals(report, storages)
    data: dict[str, Any] = {
        "dry_run": not done,
        "to_remove": msgspec.to_builtins(removals),
        "removed": msgspec.to_builtins(report.removed),
        "not_removed": msgspec.to_builtins(report.not_removed),
        "strays": msgspec.to_builtins(report.strays),
        "notes": list(report.notes),
        "freed_bytes": report.freed_bytes if done else _to_be_freed(report, storages),
    }
    if everything:
        kept = [one for one in report.plan.kept if storages is None or one.storage in storages]
        data["kept"] = msgspec.to_builtins(kept)
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
