"""The program's beginning: answers what needs nothing, then loads only what the command needs."""

import gc
import os
import sys
from types import TracebackType

_LAST_STREAM = 2
_WITHOUT_TERMINAL = """\
The screens need a terminal, and there is none here; the commands are:

  dgtui run JOB            back up as a job of the configuration says
  dgtui list               the backups there are
  dgtui restore BACKUP     get the data back
  dgtui check              examine the configuration
  dgtui demo               see all of it at work in a folder of its own

dgtui --help lists all of them."""


def main(arguments: list[str] | None = None) -> int:
    """Run the program; its exit code."""
    _take_streams()
    _hear_of_children()
    sys.excepthook = _report_fault
    return _run(sys.argv[1:] if arguments is None else arguments)


def _take_streams() -> None:
    """Where a standard stream is closed, open nothing in its place: a lock or a backup would get its number."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _LAST_STREAM:
        pass
    os.close(descriptor)


def _hear_of_children() -> None:
    """Where whoever started us ignores how children end, every dump that fails would pass for one that went well."""
    import signal

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def _run(arguments: list[str]) -> int:
    from dgtui.cli.outcome import report_error
    from dgtui.cli.output import lost_output, say
    from dgtui.engine.errors import EXIT_CANCELLED, EXIT_DONE, EXIT_FAILED, ConfigError, DataGuardianError

    try:
        code = _dispatch(arguments)
    except DataGuardianError as error:
        code = report_error(error)
    except FileNotFoundError:
        if _stands_somewhere():
            raise
        hint = "Go to a folder that is there (cd /), or name the whole path"
        code = report_error(ConfigError("The folder that you stand in was removed, so no path begins in it", hint=hint))
    except KeyboardInterrupt:
        return EXIT_CANCELLED
    for reason in lost_output():
        say(f"error: output was lost: {reason}")
        code = code if code != EXIT_DONE else EXIT_FAILED
    return code


def _stands_somewhere() -> bool:
    try:
        os.getcwd()  # noqa: PTH109  # nothing of pathlib is needed here
    except FileNotFoundError:
        return False
    return True


def _dispatch(arguments: list[str]) -> int:
    match arguments:
        case []:
            return _open_screens()
        case ["--version"]:
            return _print_version()
        # What timers start: the parser of all the other commands would cost more than the parsing.
        case ["--run-job", name] if not name.startswith("-"):
            return _run_job(name, as_json=False)
        case ["--run-job", name, "--json"] | ["--json", "--run-job", name] if not name.startswith("-"):
            return _run_job(name, as_json=True)
        case _:
            from dgtui.engine.memory import uncollected

            with uncollected():
                from dgtui.cli.application import run_command

            return run_command(arguments)


def _print_version() -> int:
    from dgtui import __version__
    from dgtui.cli.output import print_data
    from dgtui.engine.errors import EXIT_DONE

    print_data(f"dgtui {__version__}")
    return EXIT_DONE


def _open_screens() -> int:
    """The screens, which need a terminal to be drawn on."""
    from dgtui.cli.output import let_go
    from dgtui.engine.errors import EXIT_USAGE

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print(_WITHOUT_TERMINAL, file=sys.stderr)
        return EXIT_USAGE
    # Collected again once the first screen stands: to look for garbage while it is made would delay it.
    gc.disable()
    from dgtui.app import run

    code = run()
    let_go()
    return code


def _run_job(name: str, *, as_json: bool) -> int:
    from dgtui.engine.memory import uncollected

    with uncollected():
        from dgtui.cli.run_job import run_job

    return run_job(name, as_json=as_json)


def _report_fault(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A fault of the program itself: no traceback for users, but a way to see it. To be interrupted is none."""
    if issubclass(kind, KeyboardInterrupt):
        return
    if os.environ.get("DGTUI_TRACEBACK"):
        sys.__excepthook__(kind, error, trace)
        return
    print(f"error: a fault of dgtui itself: {kind.__name__}: {error}", file=sys.stderr)
    print("  hint: please report it, with what DGTUI_TRACEBACK=1 shows when you do the same again", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
