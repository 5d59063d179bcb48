"""A restore whose worker is killed or cancelled at any step: the old content or the new, and a way on from there."""

import itertools
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from dgtui.engine import starting
from dgtui.engine.catalog.notifications import Notifications
from dgtui.engine.datasources.postgres_target import PostgresTarget
from dgtui.engine.facade import Engine
from dgtui.engine.restore_model import Restore
from dgtui.engine.settling import unsettled
from tests.support.changing import KINDS, Changing, changing
from tests.support.forking import forked
from tests.support.homes import Home
from tests.support.stopping import Stopping

FIRST_SWAP_STEPS = {
    "mariadb": "phase compare",
    "mariadb with a view": "phase compare",
    "mariadb in its own place": "phase compare",
    "mariadb within itself": "phase compare",
    "files": "phase compare",
}
"""For these kinds only what comes after this phase is tried step by step."""
KILLED_FROM = {
    **FIRST_SWAP_STEPS,
    "mariadb with a view": "phase swap",
    "mariadb in its own place": "phase swap",
    "mariadb within itself": "phase swap",
}
"""The same where each step takes a whole way on, and what comes before is as for other kinds."""


@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_every_step(
    kind: str, home: Home, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before or after, never between; what is left behind is named and goes; the next restore and the undo work."""
    stopping = Stopping(home, monkeypatch)
    seen: set[str] = set()
    with changing(kind, home, request) as source:
        for number in itertools.count(_first_step(source, KILLED_FROM.get(kind), stopping)):
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
    return source.start


def _first_step(source: Changing, phase: str | None, stopping: Stopping) -> int:
    """The number of the step to begin with; where not all are tried, a whole run tells it."""
    if phase is None:
        return 1
    assert stopping.at(0, _over(source)).status == "completed"
    source.undo(source.home.engine().restores()[0])
    return stopping.first(phase)


def _judge(source: Changing, killed: Restore, step: str, *, clean: bool) -> None:
    """What the next start finds and says, and what one command makes of it."""
    engine = source.home.engine(put_back=False)
    restore = engine.restore(killed.restore_id)
    listed = Notifications(engine.catalog).listed()
    told = [one.kind for one in listed if restore.restore_id in "".join(one.details[:1])]
    assert told == ["restore_completed" if restore.status == "completed" else "restore_failed"], step
    written = [one for one in engine.records.audit() if f"restore {restore.restore_id}" in one.details]
    assert [(one.action, one.outcome) for one in written] == [("restore", restore.status)], step
    if restore.partly_filled:
        content = _judge_partly_filled(source, engine, restore, step, finish=clean)
    elif (content := source.digest()) == source.backed_up:
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
            assert unsettled(engine.catalog) == []
    assert content == source.before, step


def _judge_partly_filled(source: Changing, engine: Engine, restore: Restore, step: str, *, finish: bool) -> object:
    """Both ways on are told and work: to the restored content, and to the former one, which comes back by itself."""
    short = restore.restore_id[:8]
    assert (restore.status, restore.in_place) == ("interrupted", False), step
    assert "phase compare" not in step, "it was loaded to its end, which the next start finds out"
    told = "\n".join(engine.reconciled)
    for command in (f"dgtui undo {short}", f"dgtui cleanup-restore {short} --finish"):
        assert command in told, step
    assert any(f"dgtui undo {short}" in finding.mend for finding in engine.check()), step
    if finish:
        done = source.home.dgtui("cleanup-restore", short, "--finish", "--yes")
        assert done.exit_code == 0, (step, done)
        assert source.digest() == source.backed_up, step
        assert source.beside() == set(), step
        _, undone, snapshot = source.undo(engine.restore(restore.restore_id))
    else:
        begun = source.home.engine()
        _, undone, snapshot = source.finished(begun, begun.restores()[0].restore_id)
        assert undone.undo_of == restore.restore_id, step
    assert undone.status == "completed", (step, snapshot.problem)
    assert source.beside() == set(), step
    return source.digest()


@pytest.mark.parametrize("kind", KINDS)
def test_cancelled_at_every_step(
    kind: str, home: Home, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`cancelled` says that nothing was changed, and nothing is left; once it is too late, it ends well."""
    stopping = Stopping(home, monkeypatch, sent=signal.SIGTERM)
    with changing(kind, home, request) as source:
        outcomes: list[str] = []
        for number in itertools.count(_first_step(source, FIRST_SWAP_STEPS.get(kind), stopping)):
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


def test_killed_when_what_keeps_the_properties_was_made(
    home: Home, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That database is named and goes as well; the next import would believe what it says of the target."""
    stopping = Stopping(home, monkeypatch)
    with changing("mariadb in its own place", home, request) as source:
        assert stopping.at(0, _over(source)).status == "completed"
        source.undo(source.home.engine().restores()[0])
        made = next(step for step in stopping.steps if step.startswith("CREATE DATABASE") and "__dgtui_like" in step)
        restore = stopping.at(stopping.first(made) + 1, _over(source))
        like = next(name for name in source.beside() if name.endswith("__dgtui_like"))
        engine = home.engine()
        assert like in "\n".join(engine.reconciled)
        engine.cleanup_restore(engine.restore(restore.restore_id))
        assert (source.beside(), source.digest()) == (set(), source.before)


def test_cancelled_while_the_server_makes_the_database(
    home: Home, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would go on making it, and after our look at what is to be removed."""
    made = home.folder / "made"

    def prepare() -> None:
        make = PostgresTarget.create_target

        def stopped_meanwhile(target: PostgresTarget, database: str, like: str | None = None) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            make(target, database, like)
            made.touch()

        monkeypatch.setattr(PostgresTarget, "create_target", stopped_meanwhile)

    with changing("postgres", home, request) as source:
        home.close_catalogues()
        engine = home.engine(fork_workers=True)
        monkeypatch.setattr(starting, "fork_worker", forked(prepare))
        run_id = source.start(engine)
        os.waitpid(int(engine.paths.lock(run_id).read_text()), 0)
        assert engine.restore(run_id).status == "cancelled"
        assert made.exists()
        assert source.beside() == set()
        assert source.digest() == source.before
