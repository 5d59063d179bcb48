"""Rehearsals on real databases: proven and gone again, whatever happens; the source is never touched."""

import contextlib
from pathlib import Path

import pytest

from dgtui.engine.catalog.notifications import Notifications
from dgtui.engine.catalog.proofs import Proof
from dgtui.engine.facade import Engine
from tests.support.changing import Changing, changing
from tests.support.homes import Home

ROWS = {"postgres": 500, "sqlite": 200, "mariadb with a view": 500}


def rehearsed(source: Changing, **choices: str | bool) -> tuple[Engine, Proof]:
    """Rehearse the source's backup, to the end."""
    engine = source.home.engine()
    run_id = engine.start_rehearsal(source.execution, **choices)  # type: ignore[arg-type]
    source.home.finish(engine, run_id)
    proof = engine.proofs.get(run_id)
    assert proof is not None
    return engine, proof


@pytest.mark.parametrize("kind", ["postgres", "sqlite", "files", "mariadb with a view"])
def test_a_backup_is_proven_and_nothing_of_it_stays(kind: str, home: Home, request: pytest.FixtureRequest) -> None:
    with changing(kind, home, request) as source:
        engine, proof = rehearsed(source, deep=True)
        assert proof.status == "completed", proof.problem
        assert proof.proven_at is not None
        assert proof.duration_seconds is not None
        assert proof.report is not None
        assert {entry.content for entry in proof.report.objects} == {"equal"}
        assert (proof.storage, proof.leftover) == ("disk", None)
        if kind in ROWS:
            assert proof.rows is not None
            assert proof.rows >= ROWS[kind]
        assert source.digest() == source.before, "the source is not touched"
        assert source.beside() == set()
        assert home.litter() == []
        assert engine.restores() == [], "a rehearsal is no restore"
        assert engine.proofs.last_by_execution()[source.execution.execution_id] == proof
        kinds = [one.kind for one in Notifications(engine.catalog).listed()]
        assert kinds.count("rehearsal_completed") == 1


def _private_processes() -> set[str]:
    """What belongs to private servers, wherever it is: processes and folders."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = process.joinpath("cmdline").read_bytes()
            if b"/dgtui-rehearsal-" in command:
                found.add(command.decode(errors="replace"))
    for folder in ("/tmp", "/var/tmp"):
        found |= {str(path) for path in Path(folder).glob("dgtui-rehearsal-*")}
    return found


def test_a_private_server_proves_a_backup_and_is_gone(home: Home, request: pytest.FixtureRequest) -> None:
    with changing("postgres", home, request) as source:
        before = _private_processes()
        _, proof = rehearsed(source, place="private")
        assert proof.status == "completed", proof.problem
        assert (proof.rows, proof.place, proof.leftover) == (500, "a private PostgreSQL server", None)
        assert _private_processes() - before == set()
        assert home.litter() == []
        assert source.digest() == source.before
