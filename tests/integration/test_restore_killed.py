"""A restore whose worker is killed at any step: the old content or the new, and a way on from there."""

import itertools
import os
from pathlib import Path

import pytest

from dgtui.engine import facade
from dgtui.engine.model import Restore
from tests.support.changing import Changing, changing
from tests.support.homes import Home
from tests.support.stopping import stopped_at

FIRST_SWAP_STEPS = {"mariadb": "compare", "files": "compare"}
"""For these kinds only what comes after this phase is tried step by step."""


@pytest.mark.parametrize("kind", ["postgres", "sqlite", "files", "mariadb"])
def test_killed_at_every_step(
    kind: str, home: Home, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Before or after, never between; what is left behind is named and goes; the next restore and the undo work."""
    steps = tmp_path / "steps"
    seen: set[str] = set()
    with changing(kind, home, request) as source:
        for number in itertools.count(_first_step(source, kind, monkeypatch, steps)):
            steps.write_text("")
            restore = _killed_at(source, number, monkeypatch, steps)
            last = steps.read_text().splitlines()[-1]
            if not last.startswith(f"{number} "):
                assert restore.status == "completed"
                break
            seen.add(last.partition(" ")[2])
            _judge(source, restore, last, clean=number % 2 == 1)
        assert {"phase swap", "phase record", "record running"} <= seen
        assert source.digest() == source.backed_up
        _, undone, snapshot = source.undo(restore)
        assert undone.status == "completed", snapshot.problem
        assert source.digest() == source.before
        assert home.litter() == []


def _first_step(source: Changing, kind: str, monkeypatch: pytest.MonkeyPatch, steps: Path) -> int:
    """The number of the step to begin with; where not all are tried, a whole run tells it."""
    if kind not in FIRST_SWAP_STEPS:
        return 1
    steps.write_text("")
    assert _killed_at(source, 0, monkeypatch, steps).status == "completed"
    source.undo(source.home.engine().restores()[0])
    return next(
        int(line.partition(" ")[0])
        for line in steps.read_text().splitlines()
        if line.endswith(f"phase {FIRST_SWAP_STEPS[kind]}")
    )


def _killed_at(source: Changing, number: int, monkeypatch: pytest.MonkeyPatch, steps: Path) -> Restore:
    source.home.close_catalogues()
    engine = source.home.engine(fork_workers=True)
    with monkeypatch.context() as patched:
        patched.setattr(facade, "fork_worker", stopped_at(number, steps))
        run_id = engine.start_restore(source.execution, overwrite=True)
    os.waitpid(int(engine.paths.lock(run_id).read_text()), 0)
    return engine.restore(run_id)


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
