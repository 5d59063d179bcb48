"""What others write into a MariaDB database after the safety backup was begun, and before its content is replaced."""

from collections.abc import Callable
from typing import Any

import pytest

from dgtui.engine import restore_swap, starting
from dgtui.engine.datasources.mysql_contents import dump_blocks
from dgtui.engine.restore_model import Restore
from tests.integration.test_mysql_inside import OneDatabase, dump_of
from tests.support.forking import forked
from tests.support.homes import Home
from tests.support.mariadb import MariadbServer, as_user


@pytest.fixture
def shop(home: Home, mariadb: MariadbServer) -> OneDatabase:
    """A database whose user may make no other, backed up and changed since."""
    shop = OneDatabase(mariadb)
    shop.fill("7")
    home.configure(as_user(mariadb.config(shop.name), shop.user))
    assert home.back_up().status == "completed"
    shop.change()
    return shop


def _after_the_safety_backup(monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> None:
    """Have a worker run what others do then."""
    owner: Any = restore_swap
    real = owner.take_safety_copy

    def followed(*arguments: Any, **named: Any) -> Any:
        result = real(*arguments, **named)
        work()
        return result

    monkeypatch.setattr(starting, "fork_worker", forked(lambda: setattr(owner, "take_safety_copy", followed)))


def _restored(home: Home) -> Restore:
    engine = home.engine(fork_workers=True)
    run_id = engine.start_restore(engine.executions(job="nightly")[0], overwrite=True)
    home.finish(engine, run_id)
    return engine.restore(run_id)


def _kept(shop: OneDatabase) -> list[str]:
    statement = f"SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{shop.name}'"
    return sorted(name for (name,) in shop.server.execute(statement) if name.startswith("__dgtui"))


def test_what_is_written_late_is_kept_within_a_database_that_is_exchanged_within_itself(
    home: Home, shop: OneDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the time of all that is kept, after an undo too; no backup takes it along, and it can be dropped."""
    late = (
        "UPDATE hen SET eggs = 77 WHERE id = 1",
        "INSERT INTO hen (farm) VALUES (2)",
        "INSERT INTO plain VALUES (9)",
    )
    _after_the_safety_backup(monkeypatch, lambda: shop.run(*late))
    restore = _restored(home)
    assert restore.status == "completed", restore.problem
    assert restore.kept_as is not None
    assert restore.kept_until is not None
    [hen] = [name for name in _kept(shop) if name.endswith("_hen")]
    [plain] = [name for name in _kept(shop) if name.endswith("_plain")]
    assert shop.server.execute(f"SELECT id, eggs FROM {hen} ORDER BY id", database=shop.name)[0] == (1, 77)
    assert len(shop.server.execute(f"SELECT * FROM {hen}", database=shop.name)) == 3
    assert shop.server.execute(f"SELECT a FROM {plain}", database=shop.name) == [(9,)]
    assert b"__dgtui" not in b"".join(dump_blocks(dump_of(shop), 60.0))
    undone = home.dgtui("undo", restore.restore_id[:8], "--yes")
    assert undone.exit_code == 0, undone
    assert len(shop.server.execute(f"SELECT * FROM {hen}", database=shop.name)) == 3
    for kept in home.engine().kept_replaced():
        dropped = home.dgtui("drop-replaced", kept.restore_id[:8], "--yes")
        assert dropped.exit_code == 0, dropped
    assert _kept(shop) == []
