"""Trying again what may go well the next time, with growing waits."""

from collections.abc import Callable
from typing import TypeVar

from dgtui.engine.errors import DataGuardianError

_LONGEST_WAIT_SECONDS = 600.0
T = TypeVar("T")


def with_retries(
    attempt: Callable[[], T],
    *,
    retries: int | None,
    wait: Callable[[float], object],
    tell: Callable[[DataGuardianError, float, int], None],
) -> T:
    """Do something, again and again where its error is worth it; raises the last error.

    `retries` is how often it is tried again; None leaves that to the kind of error. `tell` gets the error, the seconds
    until the next try, and its number.
    """
    number = 1
    while True:
        try:
            return attempt()
        except DataGuardianError as error:
            if number >= _tries(error, retries):
                raise
            seconds = min(error.retry.first_wait_seconds * 2 ** (number - 1), _LONGEST_WAIT_SECONDS)
            number += 1
            tell(error, seconds, number)
        wait(seconds)


def _tries(error: DataGuardianError, retries: int | None) -> int:
    if error.retry.tries < 2:
        return 1
    return error.retry.tries if retries is None else retries + 1
