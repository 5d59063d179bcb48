"""A restore whose worker is killed or cancelled at any step: the old content or the new, and a way on from there."""

import itertools
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from dgtui.engine.facade import Engine
from dgtui.engine.model import Restore
from tests.support.changing import Changing, changing
from tests.support.homes import Home
from tests.support.stopping import Stopping

FIRST_SWAP_STEPS = {"mariadb": "phase compare", "mariadb with a view": "phase compare", "files": "phase compare"}
"""For these kinds only what comes after this phase is tried step by step."""


@pytest.mark.parametrize("kind", ["postgres", "sqlite", "files", "mariadb"])
def test_killed_at_every_step(
    kind: str, home: Home, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before or after, never between; what is left behind is named and goes; the next restore and the undo work."""
    stopping = Stopping(home, monkeypatch)
    seen: set[str] = set()
    with changing(kind, home, request) as source:
        for number in itertools.count(_first_step(source, kind, stopping)):
            restore = stopping.at(number, _over(source))
            if len(stopping.steps) < number:
                assert restore.status == "completed"
                break
            seen.add(stopping.steps[-1])
            _judge(source, restore, f"{number} {stopping.steps[-1]}", clean=number % 2 == 1)
        assert {"phase swap", "phase record", "record running"} <= seen
        assert source.digest() == source.backed_up
        _, undone, snapshot = source.undo(restore)
        assert undone.status == "completed", snapshot.problem
        assert source.digest() == source.before
        assert home.litter() == []


def _over(source: Changing) -> Callable[[Engine], str]:
    return lambda engine: engine.start_restore(source.execution, overwrite=True)


def _first_step(source: Changing, kind: str, stopping: Stopping) -> int:
    """The number of the step to begin with; where not all are tried, a whole run tells it."""
    if kind not in FIRST_SWAP_STEPS:
        return 1
    assert stopping.at(0, _over(source)).status == "completed"
    source.undo(source.home.engine().restores()[0])
    return stopping.first(FIRST_SWAP_STEPS[kind])


def _judge(source: Changing, killed: Restore, step: str, *, clean: bool) -> None:
    """What the next start finds and says, and what one command makes of it."""
    engine = source.home.engine()
    restore = engine.restore(killed.restore_id)
    content = source.digest()
    if content == source.backed_up:
        assert (restore.status, restore.placing) == ("completed", None), step
        _, undone, snapshot = source.undo(restore)
        assert undone.status == "completed", (step, snapshot.problem)
        content = source.digest()
    else:
        assert restore.status == "interrupted", step
        if restore.placing is not None:
            assert f"dgtui cleanup-restore {restore.restore_id[:8]}" in "\n".join(engine.reconciled), step
            assert any(restore.restore_id[:8] in finding.mend for finding in engine.check()), step
        if clean and restore.placing is not None:
            engine.cleanup_restore(restore)
            kept = {Path(one.kept_as).name for one in engine.kept_replaced()}
            assert source.beside() <= kept, step
            assert engine.unsettled_restores() == []
    assert content == source.before, step


@pytest.mark.parametrize("kind", ["postgres", "sqlite", "files", "mariadb", "mariadb with a view"])
def test_cancelled_at_every_step(
    kind: str, home: Home, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`cancelled` says that nothing was changed, and nothing is left; once it is too late, it ends well."""
    stopping = Stopping(home, monkeypatch, sent=signal.SIGTERM)
    with changing(kind, home, request) as source:
        outcomes: list[str] = []
        for number in itertools.count(_first_step(source, kind, stopping)):
            restore = stopping.at(number, _over(source))
            step = f"{number} of {stopping.steps}"
            kept = {Path(one.kept_as).name for one in home.engine().kept_replaced()}
            assert restore.placing is None, step
            assert source.beside() <= kept, step
            outcomes.append(restore.status)
            if restore.status == "cancelled":
                assert source.digest() == source.before, step
                assert not home.engine().undo_choice(restore).possible
                continue
            assert (restore.status, source.digest()) == ("completed", source.backed_up), step
            if len(stopping.steps) < number:
                break
            _, undone, snapshot = source.undo(restore)
            assert (undone.status, source.digest()) == ("completed", source.before), snapshot.problem
        # Once it is too late, it stays too late.
        assert outcomes == sorted(outcomes)
        assert outcomes.count("completed") > 1
        assert home.litter() == []
