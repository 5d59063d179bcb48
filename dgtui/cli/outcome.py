"""How things ended: the one place where errors and states become words and exit codes."""

from typing import TYPE_CHECKING

from dgtui.cli.output import say
from dgtui.engine.errors import (
    EXIT_CANCELLED,
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_PARTIAL,
    DataGuardianError,
)
from dgtui.wording.problem_text import problem_lines

if TYPE_CHECKING:
    from dgtui.engine.model import Problem
    from dgtui.engine.run_follower import RunSnapshot

EXIT_HUNG_UP = 129
"""The terminal went away while a run was watched; the run goes on."""

_EXIT_CODES = {"completed": EXIT_DONE, "partial": EXIT_PARTIAL, "cancelled": EXIT_CANCELLED}


def report_error(error: DataGuardianError) -> int:
    """Say what went wrong and what to do next; the exit code."""
    from dgtui.engine.problems import problem_of

    report_problem(problem_of(error))
    return error.exit_code


def report_problem(problem: "Problem", *, label: str = "error") -> None:
    """Say a stored error: what happened, to what, the next step, and the tool's last lines."""
    for line in problem_lines(problem, label=label):
        say(line)


def exit_code_of_run(snapshot: "RunSnapshot") -> int:
    """The exit code of a command that watched a run to its end."""
    from dgtui.engine.problems import exit_code_of

    by_problem = exit_code_of(snapshot.problem) if snapshot.problem is not None else EXIT_FAILED
    return _EXIT_CODES.get(snapshot.status, by_problem)
