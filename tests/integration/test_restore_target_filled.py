"""A target that held nothing when the restore began, and that somebody filled while the backup was loaded beside it."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dgtui.engine import restore, restore_report, starting
from dgtui.engine.restore_model import Restore
from tests.support.changing import Changing, changing
from tests.support.forking import forked
from tests.support.homes import Home
from tests.support.postgres import PostgresServer


@dataclass
class Target:
    """Another place for the content of a source."""

    name: str
    make: Callable[[], object]
    """Make it, empty."""
    fill: Callable[[], object]
    """Write something into it, and make it before where it is not there."""
    objects: Callable[[], set[str]]
    """The names of what it holds."""
    beside: Callable[[], set[str]]
    """What the program has laid beside it."""


@contextlib.contextmanager
def _target(kind: str, home: Home, request: pytest.FixtureRequest) -> Iterator[Target]:
    path = home.folder / "elsewhere" / "target"
    path.parent.mkdir()
    if kind == "postgres":
        yield from _database(request.getfixturevalue("postgres_server"))
    elif kind == "sqlite":
        yield Target(
            name=str(path),
            make=lambda: _run(path, "PRAGMA user_version = 1"),
            fill=lambda: _run(path, "CREATE TABLE theirs (a)"),
            objects=lambda: {name for (name,) in _run(path, "SELECT name FROM sqlite_schema")},
            beside=lambda: _beside(path),
        )
    else:

        def fill() -> None:
            path.mkdir(exist_ok=True)
            path.joinpath("theirs").write_text("theirs")

        yield Target(
            str(path), path.mkdir, fill, lambda: {entry.name for entry in path.iterdir()}, lambda: _beside(path)
        )


def _beside(path: Path) -> set[str]:
    return {other.name for other in path.parent.iterdir()} - {path.name}


def _run(path: Path, statement: str) -> list[tuple[str]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


def _database(server: PostgresServer) -> Iterator[Target]:
    name = "filled_meanwhile"

    def make() -> None:
        server.execute(f"CREATE DATABASE {name}")

    def fill() -> None:
        if name not in server.databases():
            make()
        server.execute("CREATE TABLE theirs (a int)", name)

    def objects() -> set[str]:
        found = server.execute("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace", name)
        return {relname for (relname,) in found}

    def beside() -> set[str]:
        return {other for other in server.databases() if other.startswith(f"{name}__dgtui")}

    try:
        yield Target(name, make, fill, objects, beside)
    finally:
        for other in {name, *beside()} & set(server.databases()):
            server.drop_database(other)


KINDS = pytest.mark.parametrize("kind", ["postgres", "sqlite", "files"])
THERE = pytest.mark.parametrize("there", [True, False], ids=["empty before", "not there before"])


@KINDS
@THERE
def test_what_somebody_wrote_meanwhile_is_not_replaced(
    kind: str, there: bool, home: Home, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody asked for that, and nothing of it was saved."""
    with changing(kind, home, request) as source, _target(kind, home, request) as target:
        if there:
            target.make()
        record = _restore_while(target.fill, source, target, monkeypatch)
        assert (record.status, record.placing) == ("failed", None)
        assert record.problem is not None
        assert "Somebody else made or changed" in record.problem.message
        assert (target.objects(), target.beside()) == ({"theirs"}, set())


@KINDS
@THERE
def test_where_it_may_be_replaced_it_is_saved_before(
    kind: str, there: bool, home: Home, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As what was there from the beginning is, and the undo puts it back."""
    with changing(kind, home, request) as source, _target(kind, home, request) as target:
        if there:
            target.make()
        record = _restore_while(target.fill, source, target, monkeypatch, overwrite=True)
        assert record.status == "completed", record.problem
        assert record.safety_execution_id is not None
        assert record.kept_as is not None
        assert target.beside() == {Path(record.kept_as).name}
        engine = home.engine()
        assert home.finish(engine, engine.start_undo(record)).status == "completed"
        assert target.objects() == {"theirs"}


def _restore_while(
    others: Callable[[], object],
    source: Changing,
    target: Target,
    monkeypatch: pytest.MonkeyPatch,
    *,
    overwrite: bool = False,
) -> Restore:
    """Restore into a target; when all is loaded beside it, others do something to it. The record of it."""
    real = restore_report.load_and_compare

    def load(*arguments: object, **named: object) -> object:
        comparison = real(*arguments, **named)  # type: ignore[arg-type]
        others()
        return comparison

    def prepare() -> None:
        monkeypatch.setattr(restore, "load_and_compare", load)

    source.home.close_catalogues()
    engine = source.home.engine(fork_workers=True)
    with monkeypatch.context() as patched:
        patched.setattr(starting, "fork_worker", forked(prepare))
        run_id = engine.start_restore(source.execution, database=target.name, overwrite=overwrite)
    source.home.finish(engine, run_id)
    return engine.restore(run_id)
