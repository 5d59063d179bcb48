"""Which cut imports the daemon puts back by itself: those that nobody has begun to put right."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dgtui.config import load_config
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.notifications import Notifications
from dgtui.engine.datasources.loading import TargetState
from dgtui.engine.datasources.mysql import MysqlDatasource
from dgtui.engine.guardian.duty import DutyContext
from dgtui.engine.guardian.put_back_duty import PutBackDuty
from dgtui.engine.putting_back import cut_imports, put_back_cut_imports
from dgtui.engine.restore_model import Placing, Restore
from dgtui.engine.runs import RunPaths
from dgtui.engine.settling_import import way_back


def restore(name: str, **more: Any) -> Restore:
    """A restore that was cut while it filled its target, unless it is said otherwise."""
    known: dict[str, Any] = {
        "datasource": "crm",
        "execution_id": "e",
        "target": "shop",
        "status": "interrupted",
        "partly_filled": True,
        "placing": Placing(beside="shop__dgtui_new", like="shop__dgtui_like"),
    }
    at = datetime(2025, 2, 13, 6, tzinfo=UTC)
    return Restore(restore_id=name, started_at=at, **{**known, **more})


def test_what_was_saved_of_a_partly_filled_target_is_no_way_back() -> None:
    """The undo of a cut import was cut as well, and so was another one: only what the first one saved is whole."""
    first = restore("r1")
    whole = restore("r0", status="completed", partly_filled=False, in_place=True)
    touched_nothing = restore("u0", status="failed", partly_filled=False, undo_of="r1")
    elsewhere = restore("r9", target="other")
    since = [restore("u2", undo_of="r1"), elsewhere, touched_nothing, restore("u1", undo_of="r1"), first, whole]
    older = [restore("r-1"), restore("r-2", target="other")]
    for cut in (since[0], since[3], first):
        assert way_back([*since, *older], cut) == first
    assert way_back([*since, *older], elsewhere) == older[1]
    assert way_back([whole, *older], older[0]) == older[0]


def test_an_undo_that_was_cut_is_known_by_what_it_undoes() -> None:
    """It restored another backup: the one that the cut import had saved."""
    first = restore("r1")
    undo = restore("u1", undo_of="r1", execution_id="saved by r1")
    assert way_back([undo, first], undo) == first


def test_another_server_may_have_a_target_of_the_same_name() -> None:
    cut = restore("r2")
    elsewhere = msgspec.structs.replace(restore("r1"), datasource="another")
    assert way_back([cut, elsewhere], cut) == cut


def test_what_another_restore_saved_may_be_whole() -> None:
    """Nobody knows whether the target was mended by hand since the first one was cut."""
    later = restore("r5", execution_id="another")
    assert way_back([later, restore("r1")], later) == later


def test_one_that_was_cut() -> None:
    cut = restore("r1")
    assert cut_imports([cut, restore("r0", status="completed", partly_filled=False)]) == [cut]
    failed = restore("r1", status="failed")
    assert cut_imports([failed]) == [failed]


def test_whatever_was_begun_since_is_left_alone() -> None:
    """An undo that failed is not tried again and again, and somebody may be restoring just now."""
    for status in ("queued", "running", "failed", "completed", "cancelled"):
        later = restore("r2", status=status, partly_filled=False)
        assert cut_imports([later, restore("r1")]) == []
    swapping = Placing(beside="shop__dgtui_new", keep_as="shop__dgtui_old", mark="m")
    for more in ({"in_place": True}, {"placing": swapping}):
        assert cut_imports([restore("r2", partly_filled=False, **more), restore("r1")]) == []
    killed_before = restore("r2", partly_filled=False, placing=None, undo_of="r1")
    assert [one.restore_id for one in cut_imports([killed_before, restore("r1")])] == ["r1"]
    other = restore("r2", target="other", status="running", partly_filled=False)
    assert [one.restore_id for one in cut_imports([other, restore("r1")])] == ["r1"]


def test_what_is_not_known_to_be_cut_is_left_alone() -> None:
    """All may be there, which reconciliation finds out; and an undo that failed would fail again."""
    filled = Placing(beside="shop__dgtui_new", like="shop__dgtui_like", filled=True)
    assert cut_imports([restore("r1", placing=filled)]) == []
    assert cut_imports([restore("r1", status="failed", undo_of="r0")]) == []
    assert cut_imports([restore("r1", partly_filled=False)]) == []


def test_what_is_left_to_people_is_named_at_every_start(tmp_path: Path) -> None:
    """The putting back failed: it is not tried again, and said each time until something whole is there."""
    config = tmp_path / "config.toml"
    config.write_text('[datasources.crm]\ntype = "mysql"\nhost = "127.0.0.1"\nport = 1\ndatabase = "shop"\n')
    config.chmod(0o600)
    catalog, paths = Catalog(tmp_path), RunPaths(tmp_path / "state")
    paths.make()
    catalog.save_restore(restore("r1"))
    catalog.save_restore(restore("r2", status="failed", partly_filled=False, undo_of="r1", placing=None))
    for _ in range(2):
        (told,) = put_back_cut_imports(catalog, load_config(config), paths)
        assert "still only partly filled" in told
        assert "dgtui undo r1" in told
    catalog.save_restore(restore("r3", status="completed", partly_filled=False, in_place=True, placing=None))
    assert put_back_cut_imports(catalog, load_config(config), paths) == ()
    catalog.close()


def test_what_cannot_be_put_back_is_told_once_and_tried_with_growing_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[datasources.crm]\ntype = "mysql"\nhost = "127.0.0.1"\nport = 1\ndatabase = "shop"\n')
    config.chmod(0o600)
    catalog, paths, log = Catalog(tmp_path), RunPaths(tmp_path / "state"), list[str]()
    paths.make()
    catalog.save_restore(restore("r1"))
    began = now = datetime(2025, 2, 13, 6, tzinfo=UTC)
    context = DutyContext(load_config(config), catalog, paths, log=lambda text, _level: log.append(text))
    duty, seen, tries = PutBackDuty(context), list[str](), list[float]()
    ask = MysqlDatasource.target_state

    def noted(target: MysqlDatasource, database: str) -> TargetState:
        seen.append(database)
        return ask(target, database)

    monkeypatch.setattr(MysqlDatasource, "target_state", noted)
    while now < began + timedelta(hours=2):
        asked = len(seen)
        duty.run(now)
        if len(seen) > asked:
            tries.append((now - began).total_seconds() / 60)
        due = duty.next_due(now)
        assert due is not None
        now = due
    assert tries == [0, 1, 3, 7, 15, 30, 45, 60, 75, 90, 105]
    assert len(log) == 1
    assert "127.0.0.1:1" in log[0]
    PutBackDuty(context).run(now)
    (told,) = Notifications(catalog).listed()
    assert (told.kind, told.subject, told.message) == ("restore_failed", "crm", log[0])
    assert "dgtui undo r1" in told.details[-1]
    catalog.close()
