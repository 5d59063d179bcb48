"""When all objects are looked through for garbage."""

import gc
from collections.abc import Iterator

import pytest

from dgtui.screens.tidying import DUE, QUIET_SECONDS, TOO_MANY, YOUNG, Tidying


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.fixture
def usual() -> Iterator[None]:
    """What the garbage collector did before the test, it does after it."""
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    # What the tests have loaded stays out of it, as before.
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def test_it_is_done_while_nobody_types() -> None:
    clock = Clock()
    tidying = Tidying(clock)
    tidying.heard()
    assert not tidying.is_due(DUE)
    clock.now += QUIET_SECONDS
    assert tidying.is_due(DUE)
    assert not tidying.is_due(DUE - 1), "there is nothing to find yet"
    tidying.heard()
    assert not tidying.is_due(DUE)
    assert tidying.is_due(TOO_MANY), "who types for ever fills no memory"


def test_python_does_it_no_more_by_itself(usual: None) -> None:
    Tidying().begin()
    assert gc.get_threshold()[0] == YOUNG
    gc.collect()
    rounds = gc.get_count()[2]
    kept: list[list[object]] = []
    while gc.get_count()[2] < rounds + DUE + 5:
        kept.append([])
    assert gc.get_count()[2] >= rounds + DUE, "a look through all of them would have begun to count anew"
