"""Bringing what an interrupted restore left to a clean end, however often that is interrupted itself."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from dgtui.engine.catalog import Catalog
from dgtui.engine.datasources.loading import TargetState
from dgtui.engine.errors import DatabaseConnectionError, EndNotKnown, JobBusy, RestoreError
from dgtui.engine.locks import take_lock
from dgtui.engine.model import Problem
from dgtui.engine.reconcile_restores import name_leftovers
from dgtui.engine.restore_leftovers import clean_up, empty_again
from dgtui.engine.restore_model import Part, PartChange, Placing, Restore
from dgtui.engine.restore_task import target_lock_name
from dgtui.engine.runs import RunPaths
from dgtui.engine.settling import (
    forget_leftovers,
    not_known,
    restore_findings,
    settle,
    settle_earlier,
)
from tests.unit.test_cut_imports import restore as cut

OWN = "utf8mb4, of shop_owner"
HALF = "utf8mb4, of shop_owner, half loaded"


class FakeServer:
    """A server whose databases are the words that tell their properties and content; it fails at a step."""

    def __init__(self, databases: dict[str, str], fails_at: int | None = None) -> None:
        self.databases = databases
        self.fails_at = fails_at
        self.in_place: str | Exception = "old"
        self.within = False
        self.name, self.kind, self.location = "crm", "mysql", "here"
        self.settings = SimpleNamespace(keep_replaced=3600)
        self._steps = 0

    def beside_name(self, database: str, suffix: str) -> str:
        return database + suffix

    def target_state(self, database: str) -> TargetState:
        return TargetState(exists=database in self.databases)

    def target_exists(self, database: str) -> bool:
        return database in self.databases

    def drop_if_there(self, database: str) -> None:
        if self.target_exists(database):
            self.drop_target(database)

    def drop_target(self, database: str) -> None:
        self._step()
        self.databases.pop(database, None)

    def create_target(self, database: str, like: str | None = None) -> None:
        self._step()
        assert database not in self.databases
        self.databases[database] = self.databases.get(like or "", "latin1, of nobody").removesuffix(", half loaded")

    def settle_swap(self, *_: object) -> str:
        if isinstance(self.in_place, Exception):
            raise self.in_place
        return self.in_place

    settle_part = settle_data = settle_swap

    def lies_in_target(self, _: str) -> bool:
        return self.within

    def _step(self) -> None:
        self._steps += 1
        if self._steps == self.fails_at:
            raise RestoreError("The server is gone")


def emptied(databases: dict[str, str], fails_at: int | None = None) -> dict[str, str]:
    """The databases after `shop` was emptied, or as far as that came."""
    empty_again(FakeServer(databases, fails_at), "shop")  # type: ignore[arg-type]
    return databases


def test_a_target_that_is_emptied_keeps_its_own_properties() -> None:
    assert emptied({"shop": HALF, "other": OWN}) == {"shop": OWN, "other": OWN}
    assert emptied({"shop": HALF, "shop__dgtui_new": "left by another"}) == {"shop": OWN}


@pytest.mark.parametrize("step", range(1, 6))
def test_emptying_that_was_cut_is_brought_to_its_end(step: int) -> None:
    """Once the target is dropped, what it was like is known by the pattern alone."""
    databases = {"shop": HALF}
    with pytest.raises(RestoreError, match="gone"):
        emptied(databases, step)
    assert emptied(databases) == {"shop": OWN}


def test_what_somebody_removed_is_not_made_anew() -> None:
    assert emptied({"other": OWN}) == {"other": OWN}


NEW, KEPT = "shop__dgtui_new", "shop__dgtui_old"
SWAPPING = Placing(beside=NEW, keep_as=KEPT, mark="m")
CHANGE = PartChange(database="shop", beside=NEW, keep_as=KEPT)
EXCHANGING = Placing(beside=NEW, keep_as=KEPT, mark="m", change=CHANGE)
LOADING = Placing(beside=NEW, keep_as=KEPT, mark="m", rows=True)
PART = Part(kind="objects", replaced=("orders",))


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    made = Catalog(tmp_path)
    yield made
    made.close()


def swapping(placing: Placing = SWAPPING, **more: Any) -> Restore:
    """A restore of whose last step nobody saw the end."""
    problem = Problem(kind="Interrupted", message=f"It died; {not_known('shop')}", subject="shop", hint="Look")
    return cut("r1", **{"partly_filled": False, "placing": placing, "problem": problem, **more})


def settled(catalog: Catalog, server: FakeServer, restore: Restore) -> Restore:
    """The record once the server was asked, as it was written down."""
    catalog.save_restore(restore)
    known = settle(catalog, server, restore)  # type: ignore[arg-type]
    assert catalog.restore(restore.restore_id) == known
    return known


def test_a_swap_that_was_made_is_a_restore(catalog: Catalog) -> None:
    server = FakeServer({"shop": OWN, KEPT: OWN})
    server.in_place = "new"
    known = settled(catalog, server, swapping())
    assert (known.status, known.in_place, known.problem, known.placing) == ("completed", True, None, None)
    assert (known.kept_as, known.kept_until is None, known.finished_at is None) == (KEPT, False, False)


@pytest.mark.parametrize("within", [True, False])
def test_where_nothing_was_there_nothing_is_kept(catalog: Catalog, within: bool) -> None:
    server = FakeServer({"shop": OWN})
    server.in_place, server.within = "new", within
    known = settled(catalog, server, swapping(Placing(beside=NEW, keep_as=KEPT, mark="m", existed=within)))
    assert (known.in_place, known.kept_as, known.kept_until) == (True, None, None)


@pytest.mark.parametrize("placing", [SWAPPING, EXCHANGING])
def test_what_was_not_made_left_the_new_content_beside(catalog: Catalog, placing: Placing) -> None:
    known = settled(
        catalog, FakeServer({"shop": OWN, NEW: OWN}), swapping(placing, part=PART if placing.change else None)
    )
    assert (known.status, known.in_place, known.part) == ("interrupted", False, None)
    assert known.placing == Placing(beside=NEW)
    assert known.problem is not None
    assert known.problem.message == "It died; shop is as it was"
    assert "cleanup-restore r1" in known.problem.hint


@pytest.mark.parametrize("change", [None, CHANGE])
def test_an_undo_that_was_not_made_leaves_nothing_to_remove(catalog: Catalog, change: PartChange | None) -> None:
    undone = cut("r0", status="completed", partly_filled=False, placing=None, kept_as=KEPT)
    catalog.save_restore(undone)
    placing = Placing(beside=KEPT, keep_as="shop__dgtui_old_2", mark="m", disposable=False, change=change)
    server = FakeServer({"shop": OWN, KEPT: OWN})
    known = settled(catalog, server, swapping(placing, undo_of="r0"))
    assert (known.placing, known.problem is not None and "cleanup-restore" in known.problem.hint) == (None, False)
    assert catalog.restore("r0") == undone
    assert KEPT in server.databases


@pytest.mark.parametrize("change", [None, CHANGE])
def test_what_an_undo_that_was_made_put_back_is_not_kept_any_more(catalog: Catalog, change: PartChange | None) -> None:
    catalog.save_restore(cut("r0", status="completed", partly_filled=False, placing=None, kept_as=KEPT))
    placing = Placing(beside=KEPT, keep_as="shop__dgtui_old_2", mark="m", disposable=False, change=change)
    server = FakeServer({"shop": OWN, KEPT: OWN, "shop__dgtui_old_2": OWN})
    server.in_place = "new"
    assert settled(catalog, server, swapping(placing, undo_of="r0")).in_place
    before = catalog.restore("r0")
    assert before is not None
    assert (before.kept_as, before.kept_until) == (None, None)
    assert KEPT in server.databases


@pytest.mark.parametrize("there", [True, False])
def test_a_part_is_kept_where_its_kind_does_so(catalog: Catalog, there: bool) -> None:
    server = FakeServer({"shop": OWN, NEW: OWN, **({KEPT: OWN} if there else {})})
    server.in_place = "new"
    known = settled(catalog, server, swapping(EXCHANGING, part=PART))
    assert (known.in_place, known.part, known.placing) == (True, PART, None)
    assert (known.part_kept_as, known.kept_until is not None) == (KEPT if there else None, there)
    assert NEW not in server.databases


@pytest.mark.parametrize("in_place", ["old", "new"])
def test_what_rows_were_loaded_by_is_removed_whatever_came_of_it(catalog: Catalog, in_place: str) -> None:
    server = FakeServer({"shop": OWN, NEW: "marks"})
    server.in_place = in_place
    known = settled(catalog, server, swapping(LOADING, part=PART))
    assert (known.in_place, known.placing) == (in_place == "new", None)
    assert server.databases == {"shop": OWN}


def test_the_verdict_on_rows_is_written_down_before_what_told_it_is_removed(catalog: Catalog) -> None:
    """Asked once more, nobody could tell any more."""
    server = FakeServer({"shop": OWN, NEW: "marks"}, fails_at=1)
    server.in_place = "new"
    with pytest.raises(RestoreError, match="gone"):
        settled(catalog, server, swapping(LOADING))
    known = catalog.restore("r1")
    assert known is not None
    assert (known.in_place, known.placing) == (True, Placing(beside=NEW))


@pytest.mark.parametrize("placing", [SWAPPING, EXCHANGING, LOADING])
def test_what_cannot_be_asked_stays_unknown(catalog: Catalog, placing: Placing) -> None:
    server = FakeServer({})
    server.in_place = DatabaseConnectionError("Down")
    with pytest.raises(DatabaseConnectionError):
        settled(catalog, server, swapping(placing))
    assert catalog.restore("r1") == swapping(placing)


def test_before_a_restore_only_the_ended_ones_into_its_place_are_settled(catalog: Catalog) -> None:
    elsewhere = msgspec.structs.replace(swapping(), datasource="other")
    others = [swapping(target="other"), elsewhere, swapping(status="running")]
    for number, other in enumerate(others):
        catalog.save_restore(msgspec.structs.replace(other, restore_id=f"o{number}"))
    catalog.save_restore(swapping())
    server = FakeServer({"shop": OWN})
    run = SimpleNamespace(log=lambda _: None)
    settle_earlier(catalog, server, cut("r9", placing=None), run)  # type: ignore[arg-type]
    left = {one.restore_id: one.placing.mark for one in catalog.restores() if one.placing is not None}
    assert left == {"o0": "m", "o1": "m", "o2": "m", "r1": None}


def test_what_nobody_can_tell_names_the_way_on(catalog: Catalog) -> None:
    catalog.save_restore(swapping(LOADING))
    server = FakeServer({"shop": OWN})
    server.in_place = EndNotKnown("Nobody knows")
    with pytest.raises(EndNotKnown) as caught:
        settle_earlier(catalog, server, cut("r9", placing=None), SimpleNamespace(log=lambda _: None))  # type: ignore[arg-type]
    assert "dgtui cleanup-restore r1" in caught.value.hint


def test_only_what_is_known_to_be_gone_is_forgotten(catalog: Catalog) -> None:
    catalog.save_restore(swapping())
    catalog.save_restore(cut("r2", partly_filled=False))
    forget_leftovers(catalog, cut("r9", placing=None))
    assert [one.placing for one in catalog.restores() if one.restore_id == "r1"] == [SWAPPING]
    assert [one.placing for one in catalog.restores() if one.restore_id == "r2"] == [None]


class Cleaning:
    """A clean-up after the restore `r1`, with the command's own way to the target."""

    def __init__(self, catalog: Catalog, folder: Path, server: FakeServer, restore: Restore) -> None:
        catalog.save_restore(restore)
        self.catalog = catalog
        self.server = server
        self.paths = RunPaths(folder)
        self._config: Any = SimpleNamespace(datasource=lambda _: server)
        self._restore = restore

    def run(self) -> tuple[str, ...]:
        return clean_up(self.catalog, self._config, self.paths, self._restore)

    @property
    def left(self) -> Placing | None:
        known = self.catalog.restore("r1")
        assert known is not None
        return known.placing


def test_cleaning_up_removes_what_lies_beside_and_nothing_else(catalog: Catalog, tmp_path: Path) -> None:
    server = FakeServer({"shop": OWN, NEW: OWN, "shop__dgtui_like": OWN, KEPT: OWN})
    left = Placing(beside=NEW, like="shop__dgtui_like")
    cleaning = Cleaning(catalog, tmp_path, server, swapping(left))
    assert cleaning.run() == ("shop is as it was", f"{NEW} was removed", "shop__dgtui_like was removed")
    assert set(server.databases) == {"shop", KEPT}
    assert cleaning.left is None


def test_cleaning_up_settles_first(catalog: Catalog, tmp_path: Path) -> None:
    """What is beside the target may be its former content by now."""
    server = FakeServer({"shop": OWN, NEW: OWN})
    server.in_place = "new"
    cleaning = Cleaning(catalog, tmp_path, server, swapping())
    assert cleaning.run()[0] == "shop holds the restored content; nothing is left beside it"
    assert set(server.databases) == {"shop", NEW}


def test_cleaning_up_takes_the_restored_content_for_no_leftover(catalog: Catalog, tmp_path: Path) -> None:
    server = FakeServer({"shop": OWN})
    Cleaning(catalog, tmp_path, server, swapping(Placing(beside="shop"), in_place=True)).run()
    assert server.databases == {"shop": OWN}


@pytest.mark.parametrize("existed", [True, False])
def test_a_target_that_held_nothing_is_given_back_as_it_was(catalog: Catalog, tmp_path: Path, existed: bool) -> None:
    server = FakeServer({"shop": HALF})
    Cleaning(catalog, tmp_path, server, swapping(Placing(beside="shop", existed=existed))).run()
    assert server.databases == ({"shop": OWN} if existed else {})


def test_cleaning_up_leaves_what_an_undo_would_have_put_back(catalog: Catalog, tmp_path: Path) -> None:
    """As former versions wrote it down."""
    server = FakeServer({"shop": OWN, KEPT: OWN})
    cleaning = Cleaning(catalog, tmp_path, server, swapping(Placing(beside=KEPT, disposable=False), undo_of="r0"))
    assert cleaning.run() == ("shop is as it was",)
    assert set(server.databases) == {"shop", KEPT}
    assert cleaning.left is None


def test_what_nobody_can_tell_is_let_go_when_somebody_says_so(catalog: Catalog, tmp_path: Path) -> None:
    server = FakeServer({"shop": OWN})
    server.in_place = EndNotKnown("Nobody knows")
    cleaning = Cleaning(catalog, tmp_path, server, swapping(LOADING, safety_execution_id="0123456789", tables=("a b",)))
    sentences = cleaning.run()
    assert sentences[0] == "Nobody knows"
    assert "dgtui restore 01234567 --into shop --data-only --overwrite --table 'a b'" in sentences[1]
    assert cleaning.left is None


def test_nothing_is_cleaned_up_beside_a_restore_or_in_a_half_filled_target(catalog: Catalog, tmp_path: Path) -> None:
    server = FakeServer({"shop": OWN, NEW: OWN})
    cleaning = Cleaning(catalog, tmp_path, server, swapping(Placing(beside=NEW)))
    lock = cleaning.paths.locks / f"{target_lock_name(server, 'shop')}.lock"  # type: ignore[arg-type]
    with take_lock(lock, purpose="a restore"), pytest.raises(JobBusy):
        cleaning.run()
    with pytest.raises(RestoreError, match="only partly filled"):
        Cleaning(catalog, tmp_path, server, cut("r1")).run()
    assert set(server.databases) == {"shop", NEW}


def test_the_check_tells_what_is_left_and_what_mends_it(catalog: Catalog) -> None:
    catalog.save_restore(cut("r1"))
    catalog.save_restore(cut("r2", target="other", partly_filled=False))
    catalog.save_restore(cut("r3", partly_filled=False, placing=None))
    catalog.save_restore(cut("r4", target="third", status="running", partly_filled=False))
    assert {(one.level, one.mend) for one in restore_findings(catalog)} == {
        ("error", "dgtui undo r1"),
        ("warning", "dgtui cleanup-restore r2"),
    }


def test_what_several_restores_left_in_turn_is_named_once(catalog: Catalog) -> None:
    """Each replaced what the one before had left, so that the command of the newest removes it."""
    placing = Placing(beside=NEW)
    for name, more in (("r1", {}), ("r2", {}), ("r3", {"datasource": "elsewhere"})):
        catalog.save_restore(cut(name, **{"partly_filled": False, "placing": placing, **more}))
    told = name_leftovers(catalog)
    assert [line.partition("Restore ")[2].partition(" left")[0] for line in told] == ["r3", "r2"]
