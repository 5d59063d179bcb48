"""Errors in words."""

from typing import TYPE_CHECKING

from dgtui.wording.words import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dgtui.engine.model import Problem


def other_warnings(warnings: "Iterable[str]", problem: "Problem | None") -> list[str]:
    """The warnings that tell of something else than the problem, which is told anyway."""
    return [warning for warning in warnings if problem is None or problem.message not in warning]


def problem_lines(problem: "Problem", *, label: str = "error") -> list[str]:
    """The lines that tell of an error."""
    first, *more = problem.message.split("\n")
    subject = "" if not problem.subject or problem.subject in problem.message else f" ({problem.subject})"
    # Nobody made a mistake where somebody wanted it to stop.
    lines = [first if problem.kind == "Cancelled" else f"{label}: {first}", *(f"  {line}" for line in more)]
    lines[-1] += subject
    if problem.hint:
        lines.append(f"  hint: {problem.hint}")
    lines += (f"  | {line}" for line in problem.detail)
    return [one_line(line) for line in lines]
