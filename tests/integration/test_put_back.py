"""An import in place that was killed: every next start puts the former content back by itself, and nothing else."""

import os
import signal
from collections.abc import Callable

import pytest

from dgtui.engine.facade import Engine
from dgtui.engine.putting_back import cut_imports
from tests.integration.test_restore_in_place import HANG, WAIT, NastyShop, safety_of
from tests.support.daemons import StartDaemon
from tests.support.homes import Home, wait_until
from tests.support.mariadb import MariadbServer


@pytest.fixture
def shop(home: Home, mariadb: MariadbServer) -> NastyShop:
    """A database that its user may not swap."""
    return NastyShop(home, mariadb)


@pytest.mark.parametrize("dropped", [False, True])
def test_a_worker_killed_during_the_import(shop: NastyShop, *, dropped: bool) -> None:
    """The very next command puts the former content back by itself, whatever it is, and says so; once."""
    run_id = cut(shop, filling(shop))
    assert shop.digest() != shop.before
    if dropped:  # as it is between the two statements that empty it
        shop.server.drop_database(shop.database)
    listed = shop.home.dgtui("list")
    assert listed.exit_code == 0, listed
    assert "ended interrupted" in listed.errors, listed
    engine = shop.home.engine()
    undone, restore = engine.restores()
    assert f"dgtui follow {undone.restore_id[:8]}" in listed.errors, listed
    assert (undone.undo_of, restore.restore_id, restore.status) == (run_id, run_id, "interrupted")
    assert safety_of(engine, restore).status == "completed"
    assert shop.home.finish(engine, undone.restore_id).status == "completed"
    assert shop.digest() == shop.before
    assert len(shop.home.engine().restores()) == 2
    shop.nothing_left()


def test_a_putting_back_that_is_killed_is_begun_anew(shop: NastyShop) -> None:
    """Before it touched anything: the next start begins once more, and so it ends well."""
    run_id = cut(shop, filling(shop))
    shop.misbehave(1, how=WAIT, program="mariadb-dump")
    engine = shop.home.engine()
    undone = engine.restores()[0].restore_id
    shop.wait_for_the_tool(engine, undone)
    os.kill(int(engine.paths.lock(undone).read_text()), signal.SIGKILL)
    wait_until(lambda: not engine.paths.is_alive(undone), "the death of the worker")
    shop.behave()
    engine = shop.home.engine()
    again = engine.restores()[0]
    assert (again.undo_of, engine.restore(undone).status) == (run_id, "interrupted")
    assert again.restore_id != undone
    assert shop.home.finish(engine, again.restore_id).status == "completed"
    assert shop.digest() == shop.before
    shop.nothing_left()


def test_nothing_else_is_done_with_what_is_partly_filled(shop: NastyShop) -> None:
    """A backup begins the putting back and is refused; so is a restore while that goes on; then all is as ever."""
    cut(shop, filling(shop))
    shop.misbehave(2, how=WAIT)
    refused = shop.home.dgtui("run", "nightly")
    assert refused.exit_code == 1, refused
    assert "only partly filled" in refused.errors, refused
    engine = shop.home.engine()
    undone = engine.restores()[0]
    assert undone.undo_of is not None
    busy = shop.home.dgtui("restore", "nightly@latest", "--overwrite", "--yes")
    assert busy.exit_code == 4, busy
    assert shop.home.back_up().status == "failed"
    shop.tools.joinpath("go").touch()
    assert shop.home.finish(engine, undone.restore_id).status == "completed"
    assert shop.digest() == shop.before
    assert shop.home.back_up().status == "completed"


def test_what_cannot_be_put_back_is_named_at_every_start(shop: NastyShop) -> None:
    """The safety backup is out of reach: nothing is begun, each start says why; once it is there again, it is."""
    run_id = cut(shop, filling(shop))
    port = shop.server.port
    shop.home.config_path.write_text(shop.home.config_path.read_text().replace(f"port = {port}", "port = 1"))
    for _ in range(2):
        told = shop.home.dgtui("list").errors
        assert "only partly filled" in told
        assert "tried again at the next start" in told
    assert len(shop.home.engine(look_only=True).restores()) == 1
    shop.configure()
    engine = shop.home.engine()
    assert engine.restores()[0].undo_of == run_id
    assert shop.home.finish(engine, engine.restores()[0].restore_id).status == "completed"
    assert shop.digest() == shop.before


def filling(shop: NastyShop) -> Callable[[Engine], str]:
    """A restore that fills it in its own place."""
    return lambda engine: engine.start_restore(shop.execution, database=shop.database, overwrite=True, in_place=True)


def cut(shop: NastyShop, start: Callable[[Engine], str]) -> str:
    """Begin a restore, and kill its worker while it fills the target."""
    shop.misbehave(2, how=HANG)
    engine = shop.home.engine(put_back=False)
    run_id = start(engine)
    shop.wait_for_the_tool(engine, run_id)
    os.kill(int(engine.paths.lock(run_id).read_text()), signal.SIGKILL)
    wait_until(lambda: not engine.paths.is_alive(run_id), "the death of the worker")
    shop.behave()
    return run_id


def test_an_undo_that_is_cut_as_well(shop: NastyShop) -> None:
    """What it saved is only partly filled: that is not offered as the way back, and what the first one saved is."""
    first = cut(shop, filling(shop))
    second = cut(shop, lambda engine: engine.start_undo(engine.restore(first), in_place=True))
    engine = shop.home.engine(put_back=False)
    told = "\n".join(engine.reconciled)
    assert f"dgtui undo {first[:8]}" in told
    assert f"dgtui undo {second[:8]}" not in told
    assert {f"dgtui undo {first[:8]}"} == {finding.mend for finding in engine.check() if "partly" in finding.message}
    refused = shop.home.dgtui("undo", second[:8], "--yes")
    assert refused.exit_code == 2, refused
    assert first[:8] in refused.errors
    done = shop.home.dgtui("undo", first[:8], "--yes")
    assert done.exit_code == 0, done
    assert shop.digest() == shop.before
    shop.nothing_left()


def test_the_daemon_puts_back_what_was_cut(shop: NastyShop, start_daemon: StartDaemon) -> None:
    """Nobody is there to do it: once, as soon as the server can be asked, and with what is there by then saved."""
    run_id = cut(shop, filling(shop))
    engine = shop.home.engine(put_back=False)
    daemon = start_daemon().wait_ready()
    daemon.wait_for(lambda: engine.restores()[0].status == "completed", "the undo")
    undone, restore = engine.restores()
    assert (undone.undo_of, restore.restore_id, restore.status) == (run_id, run_id, "interrupted")
    assert "was cut" in undone.reason
    assert undone.safety_execution_id is not None
    assert "Putting back" in daemon.log
    assert shop.digest() == shop.before
    assert cut_imports(engine.restores()) == []
    daemon.stop()
    shop.nothing_left()
