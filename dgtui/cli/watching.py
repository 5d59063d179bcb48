"""`health`."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dgtui.cli.looking import output_width
from dgtui.cli.options import MOST_ROWS, AsJson
from dgtui.cli.output import print_data, print_json, say
from dgtui.engine.errors import EXIT_DONE, EXIT_FAILED, ConfigError
from dgtui.wording.states import HEALTH_MARKS
from dgtui.wording.terminal import Look, look_of
from dgtui.wording.words import known_size, one_line, time_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dgtui.engine import Engine
    from dgtui.engine.health_model import HealthCheck, HealthState, Watched

_HISTORY = 50


def health(
    datasource: Annotated[
        str | None,
        typer.Argument(metavar="[DATASOURCE]", help="Only this one; else all datasources, storages and jobs."),
    ] = None,
    history: Annotated[bool, typer.Option("--history", help="The checks themselves, the newest first.")] = False,
    now: Annotated[bool, typer.Option("--now", help="Check at once, and show what that found.")] = False,
    limit: Annotated[
        int, typer.Option(metavar="N", min=1, max=MOST_ROWS, help="So many checks of --history.")
    ] = _HISTORY,
    as_json: AsJson = False,
) -> None:
    """Show how datasources, storages and jobs are. Exit code 1 where one is critical or was not checked in time."""
    from dgtui.cli.watch import open_engine

    with open_engine() as engine:
        chosen = _chosen(engine, datasource)
        if now:
            engine.health.check_now(chosen)
        states = [state for subject, state in engine.health.states().items() if subject in chosen]
        found = _history(engine, datasource, chosen, limit + 1) if history else []
        guarded = engine.daemon_status().running
    checks = found[:limit]
    if as_json:
        print_json(checks if history else states)
    elif history:
        _print(history_lines(checks, width=output_width()), "No checks yet: dgtui health --now makes some")
    else:
        lines = state_lines(states, look=look_of(sys.stdout), width=output_width())
        _print(lines, "Nothing is watched: there is no datasource in the configuration")
    if len(found) > limit:
        say(f"There are older ones: --limit {10 * limit} shows more")
    if not guarded:
        say("No daemon is running: health is checked only while the screens are open (dgtui daemon --install)")
    raise typer.Exit(exit_code_of_states(states))


def _chosen(engine: "Engine", datasource: str | None) -> "list[Watched]":
    from dgtui.engine.health_model import Watched

    if datasource is None:
        return engine.health.watched()
    if not engine.config.require_datasource(datasource).enabled:
        raise ConfigError(f"The datasource {datasource} is switched off", subject=datasource, hint="enabled = true")
    return [Watched(kind="datasource", name=datasource)]


def _history(engine: "Engine", datasource: str | None, chosen: "list[Watched]", limit: int) -> "list[HealthCheck]":
    return engine.health.history(chosen[0] if datasource is not None else None, limit=limit)


def _print(lines: "Sequence[str]", nothing: str) -> None:
    if len(lines) < 2:
        say(nothing)
        return
    for line in lines:
        print_data(line)


def exit_code_of_states(states: "Sequence[HealthState]") -> int:
    """1 where anything is critical, or was watched and is not any more, else 0."""
    bad = any(
        state.status == "critical" or (state.status == "unknown" and state.checked_at is not None) for state in states
    )
    return EXIT_FAILED if bad else EXIT_DONE


def state_lines(states: "Sequence[HealthState]", *, look: Look, width: int | None) -> list[str]:
    """The table of `health`."""
    from dgtui.cli.table import table_lines

    rows = [
        (
            f"{HEALTH_MARKS[state.status].shown(look)} {state.status}",
            state.subject.kind,
            one_line(state.subject.name),
            latency_text(state.latency_seconds),
            time_text(state.checked_at),
            _facts(state),
        )
        for state in states
    ]
    return table_lines(("Status", "Kind", "Name", "Latency", "Checked", "Details"), rows, width=width)


def latency_text(seconds: float | None) -> str:
    """`12 ms`, `12 s`; a dash where there was no answer."""
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.0f} ms" if seconds < 10 else f"{seconds:.0f} s"


def _facts(state: "HealthState") -> str:
    """What is wrong, else what is known."""
    if state.message:
        times = f" ×{state.failures}" if state.failures > 1 else ""
        result = f"{state.result}{times}: " if state.result not in (None, "ok") else ""
        return result + one_line(state.message)
    figures = state.figures
    facts = [
        figures.product,
        f"{figures.connection_count} connections" if figures.connection_count is not None else "",
        known_size(figures.size_bytes) if figures.size_bytes is not None else "",
        f"{known_size(figures.disk_free_bytes)} free" if figures.disk_free_bytes is not None else "",
        f"last good backup {time_text(figures.last_good_at)}" if figures.last_good_at is not None else "",
    ]
    return ", ".join(filter(None, facts))


def history_lines(checks: "Sequence[HealthCheck]", *, width: int | None) -> list[str]:
    """The table of `health --history`."""
    from dgtui.cli.table import table_lines

    rows = [
        (
            time_text(check.checked_at),
            check.subject.kind,
            one_line(check.subject.name),
            check.result,
            latency_text(check.latency_seconds),
            one_line(check.message or "; ".join(concern.message for concern in check.concerns)),
        )
        for check in checks
    ]
    return table_lines(("Checked", "Kind", "Name", "Result", "Latency", "Message"), rows, width=width)
