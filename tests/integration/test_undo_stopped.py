"""An undo whose worker is killed or cancelled at any step: it was made or it was not, and can be made then."""

import itertools
import signal
from pathlib import Path

import pytest

from dgtui.engine.restore_model import Restore
from tests.support.changing import Changing, changing
from tests.support.homes import Home
from tests.support.stopping import Stopping


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize(
    ("kind", "way"),
    [("postgres", "kept"), ("sqlite", "kept"), ("files", "kept"), ("postgres", "safety"), ("sqlite", "safety")],
)
def test_stopped_at_every_step(
    kind: str,
    way: str,
    sent: signal.Signals,
    home: Home,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its record says which; where it was made it can be undone, where not it can be made after all."""
    stopping = Stopping(home, monkeypatch, sent=sent)
    with changing(kind, home, request) as source:
        restore = _restored(source, way)
        # What comes before is a restore like any other.
        first = 1
        if way == "safety":
            assert stopping.at(0, lambda engine: source.start_undo(engine, restore)).status == "completed"
            first = stopping.first("phase swap")
            restore = _restored(source, way)
        statuses = []
        for number in itertools.count(first):
            undo = stopping.at(number, lambda engine, restore=restore: source.start_undo(engine, restore))  # type: ignore[misc]
            step = f"{number} of {stopping.steps}"
            made = _made(source, undo, restore, step, killed=sent == signal.SIGKILL)
            if len(stopping.steps) < number:
                break
            statuses.append(made)
            if made:
                restore = _restored(source, way)
        assert statuses == sorted(statuses)
        assert set(statuses) == {False, True}
        _, again, snapshot = source.undo(undo)
        assert (again.status, source.digest()) == ("completed", source.backed_up), snapshot.problem
        assert home.litter() == []


def _restored(source: Changing, way: str) -> Restore:
    """A restore that is undone in that way."""
    engine, restore, snapshot = source.restore(safety=way == "safety")
    assert restore.status == "completed", snapshot.problem
    if way == "safety":
        restore = engine.drop_replaced(restore)
    assert engine.undo_choice(restore).way == way
    return restore


def _made(source: Changing, left: Restore, restore: Restore, step: str, *, killed: bool) -> bool:
    """Whether the undo was made, once it is clear that all the world says so."""
    engine = source.home.engine()
    undo = engine.restore(left.restore_id)
    assert killed or (undo, undo.placing) == (left, None), step
    made = source.digest() == source.before
    assert made or source.digest() == source.backed_up, step
    assert undo.status == ("completed" if made else "interrupted" if killed else "cancelled"), step
    if undo.placing is not None:
        engine.cleanup_restore(undo)
    kept = {Path(one.kept_as).name for one in engine.kept_replaced()}
    assert source.beside() <= kept, step
    assert engine.undo_choice(undo).possible == made, step
    assert engine.undo_choice(engine.restore(restore.restore_id)).possible != made, step
    return made
