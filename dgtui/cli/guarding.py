"""`daemon`."""

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from dgtui.cli.options import AsJson
from dgtui.cli.output import print_data, print_json, say
from dgtui.engine.errors import EXIT_DONE, EXIT_FAILED, ConfigError
from dgtui.wording.words import one_line, time_text

if TYPE_CHECKING:
    from dgtui.engine.guardian.runner import DutyState
    from dgtui.engine.guardian.status import DaemonStatus
    from dgtui.engine.guardian.unit import Unit

_JOURNAL_LEVELS = {"info": 6, "warning": 4, "error": 3}


def daemon(
    status: Annotated[bool, typer.Option("--status", help="Tell whether one runs, and how it stands.")] = False,
    install: Annotated[
        bool, typer.Option("--install", help="Write a unit for systemd, and say how to use it.")
    ] = False,
    user: Annotated[bool, typer.Option("--user", help="With --install: for this user alone.")] = False,
    print_only: Annotated[bool, typer.Option("--print", help="With --install: print the unit only.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run the timetable and watch, until told to stop."""
    if (status and install) or (as_json and not status) or ((user or print_only) and not install):
        raise ConfigError("--user and --print go with --install, --json with --status", hint="See dgtui daemon --help")
    if status:
        raise typer.Exit(_show_status(as_json=as_json))
    if install:
        return _install(user=user, print_only=print_only)
    from dgtui.config import state_folder
    from dgtui.engine.audit import DAEMON_VARIABLE
    from dgtui.engine.guardian.daemon import run_daemon

    # Its workers inherit it: the audit log shows that nobody started them by hand.
    os.environ[DAEMON_VARIABLE] = "1"
    return run_daemon(None, state_folder(), log=_log)


def _install(*, user: bool, print_only: bool) -> None:
    from dgtui.engine.guardian.unit import daemon_unit, install_unit

    unit = daemon_unit(user=user)
    if print_only:
        print_data(unit.text.rstrip("\n"))
        return
    install_unit(unit)
    say(f"Written: {unit.path}")
    for sentence in unit.effects:
        say(sentence)
    _name_secrets(unit)
    say("It takes up its work with:")
    for command in unit.commands:
        print_data(command)


def _name_secrets(unit: "Unit") -> None:
    """Say which secrets the daemon will not find in its environment, and where they belong."""
    from dgtui.config import load_config

    try:
        missing = unit.unset(load_config().secret_variables())
    except ConfigError as error:
        say(f"warning: The configuration is wrong, so its secrets were not looked at: {error.message}")
        return
    if missing:
        say(f"A shell's environment does not reach it. Put these lines into {unit.environment_file} (chmod 600):")
    for name, keys in missing.items():
        say(f"  {name}=...   for {', '.join(keys)}")


def _log(text: str, level: str) -> None:
    """A line on stderr; systemd's journal reads its severity from the number before it."""
    severity = f"<{_JOURNAL_LEVELS[level]}>" if "JOURNAL_STREAM" in os.environ else ""
    say(severity + one_line(text))


def _show_status(*, as_json: bool) -> int:
    from dgtui.config import state_folder
    from dgtui.engine.guardian.status import daemon_status
    from dgtui.engine.runs import RunPaths

    # Not through the engine: this is asked above all when the configuration is wrong.
    status = daemon_status(RunPaths(state_folder()))
    if as_json:
        print_json(status)
    else:
        for line in status_lines(status):
            print_data(line)
    return EXIT_DONE if status.running else EXIT_FAILED


def status_lines(status: "DaemonStatus") -> list[str]:
    """How the daemon stands, for people."""
    if not status.running:
        full = ["The disk of the state folder is full: no run begins, and a daemon waits for room"]
        start = "No daemon is running: start one with dgtui daemon, or see dgtui daemon --install"
        return [start, *(full if status.disk_full else [])]
    lines = [f"A daemon is running: pid {status.pid or 'unknown'}, since {time_text(status.since)}"]
    if status.disk_full:
        lines.append("The disk of the state folder is full: no run begins, and what follows is from before")
    if status.report is None:
        return lines
    if status.report.config_problem is not None:
        first, *more = status.report.config_problem.message.splitlines()
        lines.append("The configuration is wrong, and the last good one is in use:")
        lines += [f"  {one_line(line)}" for line in (first, *more)]
    return lines + [f"  {_duty_line(duty)}" for duty in status.report.duties]


def _duty_line(duty: "DutyState") -> str:
    if duty.running_since is not None:
        state = f"at work since {time_text(duty.running_since)}"
    elif duty.next_due is not None and duty.next_due > datetime.now(UTC):
        state = f"next at {time_text(duty.next_due)}"
    else:
        state = "waits"
    failure = "" if duty.problem is None else f"; failed last: {one_line(duty.problem.message)}"
    return f"{duty.name:<20} {state}{failure}"
