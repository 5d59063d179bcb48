"""`rehearse` and `mark-restored`."""

from typing import TYPE_CHECKING, Annotated

import typer

from dgtui.cli.options import AsJson, Execution, MessagesAsJson
from dgtui.cli.output import print_json, say
from dgtui.wording.words import one_line, short_id, time_text

if TYPE_CHECKING:
    from dgtui.engine import Engine
    from dgtui.engine.model import Execution as Row


def rehearse(
    execution: Annotated[
        str,
        typer.Argument(
            metavar="EXECUTION|JOB",
            help="A backup as `list` names it, or a job: its newest good backup.",
            show_default=False,
        ),
    ],
    storage: Annotated[
        str | None,
        typer.Option("--from", metavar="STORAGE", help="The copy to use; else the first good one.", show_default=False),
    ] = None,
    place: Annotated[
        str | None,
        typer.Option(
            "--place",
            metavar="DATASOURCE",
            help="Where: a datasource, or `private` for a PostgreSQL server of its own.",
            show_default=False,
        ),
    ] = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Compare the content of each table with the backup by a checksum.")
    ] = False,
    as_json: MessagesAsJson = False,
) -> None:
    """Prove a backup: restore it for a try, compare, remove it."""
    from dgtui.cli.watch import open_engine, start_and_watch

    with open_engine() as engine:
        backup = wanted(engine, execution)

        def start() -> str:
            return engine.start_rehearsal(backup, storage=storage, place=place, deep=deep)

        raise typer.Exit(start_and_watch(engine, start, as_json=as_json))


def wanted(engine: "Engine", reference: str) -> "Row":
    """The execution that is named, or the newest good one of the job of this name. Raises ConfigError."""
    known = reference in engine.config.jobs or engine.executions(job=reference, limit=1)
    return engine.execution(f"{reference}@latest" if known else reference)


def mark_restored(
    execution: Execution,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the record.", show_default=False)],
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="When, such as 2025-02-13T06:00; else now.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Record a restore that was done by hand."""
    from dgtui.cli.watch import open_engine
    from dgtui.engine.restore_by_hand import moment_of

    moment = moment_of(at) if at is not None else None
    with open_engine() as engine:
        restore = engine.mark_restored(engine.execution(execution), reason=reason, at=moment)
    if as_json:
        print_json(restore)
        return
    say(
        one_line(
            f"Recorded: {restore.target} was restored from {short_id(restore.execution_id)} by hand, "
            f"{time_text(restore.started_at)}  [{short_id(restore.restore_id)}]"
        )
    )
