"""Errors as data: how an error is stored, and how a stored one becomes an error again."""

from dgtui.engine.errors import ERRORS_BY_KIND, EXIT_FAILED, DataGuardianError, Stopped
from dgtui.engine.model import Problem

WHY_IT_DIED = "Was it killed (for want of memory? dmesg tells), or the machine switched off?"
"""What is asked where a worker is gone that has not said why."""


def problem_of(error: DataGuardianError) -> Problem:
    """An error as messages and the catalogue store it; a class that is not in the tree goes by its parent's name."""
    kind = next((cls.__name__ for cls in type(error).__mro__ if cls.__name__ in ERRORS_BY_KIND), "DataGuardianError")
    return Problem(kind=kind, message=error.message, subject=error.subject, hint=error.hint, detail=error.detail)


def error_of(problem: Problem) -> DataGuardianError:
    """A stored error as one that can be raised."""
    error_class = ERRORS_BY_KIND.get(problem.kind, DataGuardianError)
    return error_class(problem.message, subject=problem.subject, hint=problem.hint, detail=problem.detail)


def was_stopped(problem: Problem | None) -> bool:
    """Whether a signal ended a run which nobody sent through this program."""
    return problem is not None and problem.kind == Stopped.__name__


def exit_code_of(problem: Problem) -> int:
    """The exit code that a headless command ends with for a stored error."""
    error_class = ERRORS_BY_KIND.get(problem.kind)
    return error_class.exit_code if error_class is not None else EXIT_FAILED
