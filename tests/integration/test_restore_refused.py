"""A restore that the server refuses: a copy whose bytes were compared is not read once more to find out why."""

import os
from pathlib import Path

import pytest

from dgtui.engine import starting
from dgtui.engine.archive import StoredArchive
from dgtui.engine.messages import LogMessage
from tests.support.forking import forked
from tests.support.shops import Shop

REFUSING = """
CREATE FUNCTION fits(int) RETURNS bool LANGUAGE sql AS 'SELECT true';
ALTER TABLE customers ADD CHECK (fits(id));
CREATE OR REPLACE FUNCTION fits(int) RETURNS bool LANGUAGE sql AS 'SELECT false';
"""


def refused(shop: Shop, monkeypatch: pytest.MonkeyPatch, jobs: int) -> tuple[str, list[str]]:
    """Restore over the shop what a server refuses; what it said, and the names of the checks that were made after."""
    execution = shop.home.engine().executions(job="nightly")[0]
    shop.home.close_catalogues()
    checks = shop.home.folder / "checks"
    checks.touch()
    engine = shop.home.engine(fork_workers=True)
    with monkeypatch.context() as patched:
        patched.setattr(starting, "fork_worker", forked(lambda: note_checks(checks)))
        run_id = engine.start_restore(execution, overwrite=True, jobs=jobs, safety=False, without_missing_roles=False)
    os.waitpid(int(engine.paths.lock(run_id).read_text()), 0)
    follower = engine.follower(run_id)
    said = [message.text for message in follower.poll() if isinstance(message, LogMessage)]
    problem = follower.snapshot.problem
    assert problem is not None, said
    assert (follower.snapshot.status, problem.kind) in (("failed", "RestoreError"), ("failed", "LoadFailed")), problem
    return "; ".join((problem.message, *problem.detail)), checks.read_text().split()


def note_checks(file: Path) -> None:
    """Let this process write down each reading of a copy that is made for its own sake."""
    for name in ("check", "check_stored"):
        note_calls(name, file)


def note_calls(name: str, file: Path) -> None:
    """Let this process write down the calls of a method of archives."""
    real = getattr(StoredArchive, name)

    def noting(archive: StoredArchive, *arguments: object, **named: object) -> None:
        with file.open("a") as notes:
            notes.write(f"{name}\n")
        real(archive, *arguments, **named)

    setattr(StoredArchive, name, noting)


@pytest.mark.parametrize("jobs", [1, 2])
def test_statements_that_fail(shop: Shop, monkeypatch: pytest.MonkeyPatch, jobs: int) -> None:
    shop.server.execute(REFUSING, database=shop.database)
    assert shop.home.back_up().status == "completed"
    before = shop.digest()
    message, checks = refused(shop, monkeypatch, jobs)
    assert f"{shop.database} is as it was" in message
    assert checks == []
    assert shop.digest() == before


@pytest.mark.parametrize("jobs", [1, 2])
def test_roles_that_are_not_there(shop: Shop, monkeypatch: pytest.MonkeyPatch, jobs: int) -> None:
    """Before anything is loaded no byte was compared yet."""
    shop.server.execute("CREATE ROLE owner_who_went")
    shop.server.execute("ALTER TABLE customers OWNER TO owner_who_went", database=shop.database)
    assert shop.home.back_up().status == "completed"
    shop.server.execute("REASSIGN OWNED BY owner_who_went TO postgres", database=shop.database)
    shop.server.execute("DROP ROLE owner_who_went")
    message, checks = refused(shop, monkeypatch, jobs)
    assert "do not exist on this server: owner_who_went" in message
    assert "This would belong to the user that restores: table public.customers (of owner_who_went)" in message
    assert checks == ["check"]
