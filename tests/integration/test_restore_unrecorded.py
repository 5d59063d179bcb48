"""A restore of which one line cannot be recorded: it is made or it is not, and says which of the two."""

import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dgtui.engine import starting
from dgtui.engine.catalog import Catalog
from dgtui.engine.datasources.loading import Selection
from dgtui.engine.errors import CatalogError
from dgtui.engine.facade import Engine
from dgtui.engine.restore_traces import left_behind
from tests.support.changing import Changing, changing
from tests.support.forking import forked
from tests.support.homes import Home

_WRITES = ("save_restore", "save_execution", "save_copy")


def _failing_at(number: int, writes: Path) -> Callable[[], None]:
    """Let the Nth write of the catalogue fail, in this process from now on; `writes` gets the name of each."""

    def watch(method: str) -> None:
        real = getattr(Catalog, method)

        def write(*arguments: Any) -> None:
            with writes.open("a") as file:
                file.write(f"{method}\n")
            if len(writes.read_text().splitlines()) == number:
                raise CatalogError("The catalogue is busy")
            real(*arguments)

        setattr(Catalog, method, write)

    def prepare() -> None:
        for method in _WRITES:
            watch(method)

    return prepare


WAYS: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("sqlite", "restore", {}),
    ("sqlite", "undo", {}),
    ("sqlite", "restore", {"selection": Selection(tables=("word",))}),
    ("postgres", "restore", {}),
    ("postgres", "restore", {"selection": Selection(tables=("public.word",))}),
    ("postgres", "restore", {"selection": Selection(backup_type="data_only", tables=("public.word",))}),
    ("mariadb in its own place", "restore", {}),
)


@pytest.mark.parametrize(("kind", "act", "choices"), WAYS)
def test_whichever_line_cannot_be_written(
    kind: str,
    act: str,
    choices: dict[str, object],
    home: Home,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its target holds the one content or the other, the record says which, and nothing else is begun by itself."""
    writes = home.folder / "writes"
    with changing(kind, home, request) as source:
        seen: list[str] = []
        for number in itertools.count(1):
            source.change(number + 1)
            start, before, after = _about_to(act, source, choices)
            writes.write_text("")
            home.close_catalogues()
            engine = home.engine(fork_workers=True)
            with monkeypatch.context() as patched:
                patched.setattr(starting, "fork_worker", forked(_failing_at(number, writes)))
                run_id = start(engine)
            os.waitpid(int(engine.paths.lock(run_id).read_text()), 0)
            names = writes.read_text().splitlines()
            if len(names) < number:
                break
            seen.append(names[number - 1])
            found = source.digest()
            assert found in (before, after) or choices, names
            _judge(engine, source, run_id, names, made=found != before)
            assert source.digest() == found, names
        assert len(seen) > 4, seen
        assert source.digest() != before


def test_what_is_there_is_told_where_nothing_can_be_written_any_more(
    home: Home, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the disk of the state folder is full by now: the restore ends, and says that nothing was changed."""

    def full(*_: object) -> None:
        raise CatalogError("The disk is full")

    def full_from_now_on(*_: object) -> None:
        monkeypatch.setattr(Catalog, "save_restore", full)
        full()

    def fill_at_the_safety_copy() -> None:
        monkeypatch.setattr(Catalog, "save_execution", full_from_now_on)

    with changing("sqlite", home, request) as source:
        source.change(2)
        before = source.digest()
        home.close_catalogues()
        engine = home.engine(fork_workers=True)
        with monkeypatch.context() as patched:
            patched.setattr(starting, "fork_worker", forked(fill_at_the_safety_copy))
            run_id = source.start(engine)
        os.waitpid(int(engine.paths.lock(run_id).read_text()), 0)
        texts = [json.loads(line).get("text", "") for line in engine.paths.messages(run_id).read_text().splitlines()]
        assert source.digest() == before
        assert any(text.endswith("is as it was") for text in texts), texts


def _about_to(act: str, source: Changing, choices: dict[str, object]) -> tuple[Callable[[Engine], str], object, object]:
    """What is started, and the target's content before and after it."""
    before = source.digest()
    if act == "restore":
        return lambda engine: source.start(engine, **choices), before, source.backed_up
    _, restore, snapshot = source.restore()
    assert restore.status == "completed", snapshot.problem
    return lambda engine: source.start_undo(engine, restore), source.backed_up, before


def _judge(engine: Engine, source: Changing, run_id: str, names: list[str], *, made: bool) -> None:
    left = engine.restore(run_id)
    assert (left.took_effect, left.partly_filled) == (made, False), names
    # The next start puts right what it finds.
    engine = source.home.engine()
    record = engine.restore(run_id)
    assert record.status == ("completed" if made else "failed"), (names, record.problem)
    assert made or record.placing is None, names
    told = {one.kept_as for one in engine.kept_replaced()} | set(left_behind(record))
    assert source.beside() <= {Path(name).name for name in told}, names
