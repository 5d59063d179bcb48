"""A swap of which nobody can tell whether it was made: what lies beside the target may be its former content."""

import os
from collections.abc import Callable

import pytest

from dgtui.engine import starting
from dgtui.engine.datasources.postgres_target import PostgresTarget
from dgtui.engine.datasources.sqlite_target import SqliteTarget
from dgtui.engine.errors import DatabaseConnectionError, RestoreError
from dgtui.engine.facade import Engine
from dgtui.engine.restore_model import Restore
from dgtui.engine.settling import unsettled
from tests.support.changing import Changing, changing
from tests.support.forking import forked
from tests.support.homes import Home

TARGETS = {"sqlite": SqliteTarget, "postgres": PostgresTarget}


def _lost(*_: object) -> None:
    raise RestoreError("The line was lost")


def _unreachable(*_: object) -> None:
    raise DatabaseConnectionError("Nobody answers")


@pytest.mark.parametrize("kind", TARGETS)
def test_nothing_beside_the_target_is_touched_until_it_is_known(
    kind: str, home: Home, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by the restore itself nor by the next one or an undo; once the target answers, it is settled."""
    with changing(kind, home, request) as source:
        _, earlier, _ = source.restore()
        source.change(2)
        before = source.digest()
        with monkeypatch.context() as patched:
            patched.setattr(TARGETS[kind], "settle_swap", _unreachable)
            with patched.context() as swapless:
                swapless.setattr(TARGETS[kind], "swap", _lost)
                cut = _restored(source, monkeypatch, source.start)
            beside = source.beside()
            assert any(name.endswith("__dgtui_new") for name in beside)
            _judge(source, cut, before)
            for start in source.start, lambda engine: source.start_undo(engine, earlier):
                again = _restored(source, monkeypatch, start)
                assert (again.status, again.took_effect) == ("failed", False)
                assert again.problem is not None
                assert "Nobody answers" in again.problem.message
                assert source.beside() == beside
                _judge(source, cut, before)
        _, ended, snapshot = source.restore()
        assert (ended.status, source.digest()) == ("completed", source.backed_up), snapshot.problem
        assert unsettled(home.engine().catalog) == []


def _restored(source: Changing, monkeypatch: pytest.MonkeyPatch, start: Callable[[Engine], str]) -> Restore:
    """Start a restore or an undo in a fork of this process, to its end; its record."""
    source.home.close_catalogues()
    engine = source.home.engine(fork_workers=True)
    with monkeypatch.context() as patched:
        patched.setattr(starting, "fork_worker", forked(lambda: None))
        run_id = start(engine)
    os.waitpid(int(engine.paths.lock(run_id).read_text()), 0)
    return engine.restore(run_id)


def _judge(source: Changing, cut: Restore, content: object) -> None:
    """Assert that the target is as it was, and that the record says that this is not known."""
    record = source.home.engine().restore(cut.restore_id)
    assert record.problem is not None
    assert "which of them cannot be told now" in record.problem.message
    assert f"dgtui cleanup-restore {record.restore_id[:8]}" in record.problem.hint
    assert record.placing is not None
    assert record.placing.mark is not None
    assert source.digest() == content
