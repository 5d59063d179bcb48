"""All commands under their names."""

from collections.abc import Callable
from typing import Annotated, Any

import typer
import typer.core

from dgtui.cli import (
    backing_up,
    checking,
    cleaning,
    demonstrating,
    figuring,
    following,
    guarding,
    looking,
    recording,
    rehearsing,
    restored,
    restoring,
    storing,
    timetabling,
    undoing,
    validating,
    watching,
)
from dgtui.cli.options import MessagesAsJson
from dgtui.engine.errors import EXIT_DONE


def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
    run_job: Annotated[
        str | None, typer.Option("--run-job", metavar="NAME", help="The same as: dgtui run NAME", show_default=False)
    ] = None,
    as_json: MessagesAsJson = False,
) -> None:
    """DataGuardian: back up databases and file trees, and get them back.

    Without a command the screens open.
    """
    from dgtui import __version__
    from dgtui.cli.output import print_data

    if version:
        print_data(f"dgtui {__version__}")
        raise typer.Exit(EXIT_DONE)
    if context.invoked_subcommand is not None:
        if run_job is not None or as_json:
            raise typer.BadParameter("--run-job and --json stand alone here; a command takes its own --json after it")
        return
    if run_job is None:
        raise typer.BadParameter("no command is given; dgtui --help lists them")
    backing_up.run(run_job, as_json=as_json)


_TEXTS = frozenset({"description", "reason"})
"""Parameters that may be empty, as nothing is looked up by them."""


class Command(typer.core.TyperCommand):
    """A command that takes no empty name."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # typer hands over its own kind
        """Carry it out, unless a name is empty."""
        for parameter in self.params:
            given = ctx.params.get(parameter.name or "")
            empty = "" in given if isinstance(given, list | tuple) else given == ""
            if not empty or parameter.name in _TEXTS:
                continue
            if isinstance(parameter, typer.core.TyperOption | typer.core.TyperArgument):
                # An unset variable of a script: `--into "$NAME" --overwrite` would replace what nobody named.
                raise typer.BadParameter("it is empty", ctx=ctx, param=parameter)
        return super().invoke(ctx)


_COMMANDS: dict[str, Callable[..., None]] = {
    "run": backing_up.run,
    "backup": backing_up.backup,
    "list": looking.list_executions,
    "show": looking.show,
    "status": looking.status,
    "follow": following.follow,
    "cancel": following.cancel,
    "validate": validating.validate,
    "restore": restoring.restore,
    "restores": restored.restores,
    "rehearse": rehearsing.rehearse,
    "mark-restored": rehearsing.mark_restored,
    "undo": undoing.undo,
    "drop-replaced": undoing.drop_replaced,
    "cleanup-restore": undoing.cleanup_restore,
    "delete": storing.delete,
    "forget-storage": storing.forget_storage,
    "scan": storing.scan,
    "health": watching.health,
    "cleanup": cleaning.cleanup,
    "pin": cleaning.pin,
    "unpin": cleaning.unpin,
    "check": checking.check,
    "daemon": guarding.daemon,
    "jobs": timetabling.jobs,
    "enable": timetabling.enable,
    "disable": timetabling.disable,
    "notifications": recording.notifications,
    "notify": recording.notify,
    "audit": recording.audit,
    "stats": figuring.stats,
    "metrics": figuring.metrics,
    "demo": demonstrating.demo,
}


def application(command: str | None = None) -> typer.Typer:
    """The command line with all commands; with only that one where it is known, which takes a tenth of the time."""
    app = typer.Typer(
        name="dgtui",
        epilog="Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 partial, 4 already running, "
        "5 damage found, 129 the terminal went away, 130 cancelled, 143 stopped by SIGTERM.",
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    app.callback(invoke_without_command=True)(root)
    wanted = _COMMANDS if command not in _COMMANDS else {command: _COMMANDS[command]}
    for name, function in wanted.items():
        app.command(name, cls=Command)(function)
    return app


def run_command(arguments: list[str]) -> int:
    """Carry out what the arguments say; the exit code. Raises DataGuardianError."""
    try:
        typer.main.get_command(application(arguments[0])).main(arguments, prog_name="dgtui")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else EXIT_DONE
    return EXIT_DONE
