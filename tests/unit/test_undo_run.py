"""An undo on its way: what was cut before is settled first, and what was not done is not called done."""

import contextlib
import threading
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from dgtui.engine.datasources.loading import LoadError, LoadOutcome, TargetState
from dgtui.engine.errors import DatabaseConnectionError, RestoreError
from dgtui.engine.orders import RestoreOrder
from dgtui.engine.restore_model import Part, Placing, Restore
from dgtui.engine.undo import UndoRun
from tests.unit.test_cut_imports import restore as cut
from tests.unit.test_replacement import FULL, Target

ADDED = Part(kind="objects", added=("public.since",))
ROWS = Part(kind="rows", replaced=("public.orders",))


class Undone(Target):
    """A target that tells what was done to it, and whose rows are loaded as the test says."""

    loads_data_beside = False
    keeps_former_data = True

    def __init__(self, fault: BaseException | None = None, in_place: str | BaseException = "old") -> None:
        super().__init__(fault, in_place)
        self.states = {"shop": FULL, "shop_old": FULL}
        self.outcome = LoadOutcome()
        self.did: list[str] = []

    def create_target(self, name: str) -> None:
        self.did.append(f"create {name}")

    def drop_target(self, name: str) -> None:
        self.did.append(f"drop {name}")

    def settle_swap(self, *_: object) -> str:
        self.did.append("settle")
        return super().settle_swap()

    def target_state(self, name: str) -> TargetState:
        self.did.append(f"look at {name}")
        return super().target_state(name)

    def check_kept(self, name: str) -> None:
        self.did.append(f"check {name}")

    def kept_archive(self, name: str) -> str:
        return name

    def load_data(self, *_: object, **__: object) -> LoadOutcome:
        return self.outcome


def _undo(target: Undone, part: Part, kept_as: str | None = None, *earlier: Restore) -> UndoRun:
    """The undo of the restore `r1` of a part."""
    order = RestoreOrder(
        run_id="undo",
        ordered_at=datetime(2025, 2, 13, 7, tzinfo=UTC),
        execution_id="",
        datasource="crm",
        database="shop",
        safety=False,
        undo_of="r1",
        kept_as=kept_as,
        part=part,
    )
    task: Any = SimpleNamespace(
        order=order,
        target=target,
        saved=None,
        scratch=None,
        catalog=SimpleNamespace(
            save_restore=lambda _: None,
            restores=lambda: list(earlier),
            restore=lambda _: None,
            transaction=contextlib.nullcontext,
        ),
        run=SimpleNamespace(log=lambda *_, **__: None, phase=lambda _: None),
        cancellation=SimpleNamespace(
            check=lambda: None, too_late=lambda: None, shield=contextlib.nullcontext, event=threading.Event()
        ),
    )
    target.recorded = lambda: undo.record
    undo = UndoRun(task)
    return undo


def test_what_was_cut_before_is_settled_before_anything_is_looked_at() -> None:
    """It may still change which content is in place; where that cannot be told, nothing is undone."""
    target = Undone(in_place=DatabaseConnectionError("Down"))
    earlier = cut("r2", partly_filled=False, placing=Placing(beside="shop_new", keep_as="shop_x", mark="mark"))
    with pytest.raises(DatabaseConnectionError, match="Down"):
        _undo(target, ADDED, None, earlier).execute()
    assert target.did == ["settle"]


def test_rows_that_could_not_be_loaded_are_not_taken_back() -> None:
    """Nobody is told that they were, and where they lie is said."""
    target = Undone()
    target.outcome = LoadOutcome(errors=(LoadError(message="Disk full"),), error_count=1)
    undo = _undo(target, ROWS, "shop_old")
    with pytest.raises(RestoreError, match="could not be taken back: Disk full") as caught:
        undo.execute()
    assert caught.value.hint == "They lie in shop_old"
    assert not undo.record.in_place


@pytest.mark.parametrize("known", [True, False])
def test_what_may_hold_the_former_content_is_left_alone(known: bool) -> None:
    """Where nobody can tell whether the exchange was made, what lies beside the target stays; else it goes again."""
    target = Undone(RestoreError("Connection lost"), in_place="old" if known else DatabaseConnectionError("Down"))
    undo = _undo(target, ADDED)
    with pytest.raises(RestoreError, match="Connection lost"):
        undo.execute()
    since = target.did[target.did.index("create shop__dgtui_new") :]
    assert ("drop shop__dgtui_new" in since) == known
    assert (undo.record.placing is None) == known
