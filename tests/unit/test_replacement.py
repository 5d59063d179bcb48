"""The last step of a restore or undo: written down before it is made, and told apart where it fails on its way."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from dgtui.engine.datasources.loading import TargetState
from dgtui.engine.errors import Cancelled, DatabaseConnectionError, RestoreError, SwapImpossible
from dgtui.engine.model import Copy, ObjectInfo
from dgtui.engine.restore_model import Part, PartChange, Placing, Restore
from dgtui.engine.restore_swap import Replacement
from tests.unit.test_cut_imports import restore as cut

FULL = TargetState(exists=True, objects=(ObjectInfo(name="public.orders"),))
EMPTY = TargetState(exists=True)
NONE = TargetState(exists=False)
CHANGE = PartChange(database="shop", beside="shop_new", keep_as="shop_part", tables=("public.orders",))
PART = Part(kind="objects", replaced=("public.orders",))


class Target:
    """A datasource whose swap ends as the test says, and whose content is what a settling tells."""

    swaps_in_steps = False

    def __init__(self, fault: BaseException | None = None, in_place: str | BaseException = "old") -> None:
        self.settings = SimpleNamespace(keep_replaced=3600)
        self.states: dict[str, TargetState] = {}
        self.dropped: list[str] = []
        self.within = False
        self.announces = True
        self._fault = fault
        self._in_place = in_place
        self.recorded: Callable[[], Restore] = lambda: cut("none")
        self.shields: Callable[[], int] = lambda: 0
        self.shielded = False
        self.known_at_the_swap: Restore | None = None

    def beside_name(self, database: str, suffix: str) -> str:
        return database + suffix

    def name_to_keep(self, beside: str, database: str, suffix: str) -> str:
        return f"{database}{'.within' if self.within and beside else ''}{suffix}"

    def target_state(self, name: str) -> TargetState:
        return self.states.get(name, NONE)

    def drop_target(self, name: str) -> None:
        self.dropped.append(name)

    def lies_in_target(self, _: str) -> bool:
        return self.within

    def swap_mark(self, _: str) -> str:
        return "mark"

    def swap(self, *_: object) -> None:
        self._end()

    def replace_part(
        self, change: PartChange, _archive: object, _run: object, announce: Callable[[str, Part], None]
    ) -> bool:
        if self.announces:
            announce("mark", PART)
        self._end()
        return True

    def settle_swap(self, *_: object) -> str:
        return self._settle()

    def settle_part(self, *_: object) -> str:
        return self._settle()

    def _end(self) -> None:
        self.known_at_the_swap = self.recorded()
        self.shielded = self.shields() > 0
        if self._fault is not None:
            raise self._fault

    def _settle(self) -> str:
        if isinstance(self._in_place, BaseException):
            raise self._in_place
        return self._in_place


class Step:
    """A restore into `shop` that has come to its last step."""

    def __init__(self, target: Target) -> None:
        self.saved: list[Restore] = []
        self.earlier: list[Restore] = []
        self.log: list[str] = []
        self.shields = 0
        self.too_late = False
        self.cancelled = threading.Event()
        target.recorded = lambda: self.saved[-1]
        target.shields = lambda: self.shields
        task: Any = SimpleNamespace(
            order=SimpleNamespace(database="shop", run_id="run"),
            target=target,
            catalog=SimpleNamespace(save_restore=self.saved.append, restores=lambda: self.earlier),
            run=SimpleNamespace(log=lambda text, level="": self.log.append(text), phase=lambda _: None),
            cancellation=SimpleNamespace(
                check=self._check, too_late=self._too_late, shield=self._shield, event=self.cancelled
            ),
        )
        started = cut("run", status="running", partly_filled=False, placing=None)
        self.replacement = Replacement(task, started)

    def _check(self) -> None:
        if self.cancelled.is_set():
            raise Cancelled("Cancelled")

    def _too_late(self) -> None:
        self.too_late = True

    @contextlib.contextmanager
    def _shield(self) -> Iterator[None]:
        self.shields += 1
        yield
        self.shields -= 1

    @property
    def record(self) -> Restore:
        """The record as it was written down last."""
        assert self.saved[-1] == self.replacement.record
        return self.saved[-1]


def swap(target: Target, state: TargetState = FULL, *, disposable: bool = True) -> Step:
    """Swap `shop_new` in, whatever comes of it."""
    step = Step(target)
    with contextlib.suppress(RestoreError, SwapImpossible, KeyboardInterrupt):
        step.replacement.swap("shop_new", state, disposable=disposable)
    return step


def exchange(target: Target, *, disposable: bool = True) -> Step:
    """Exchange a part, whatever comes of it."""
    step = Step(target)
    with contextlib.suppress(RestoreError, KeyboardInterrupt):
        step.replacement.exchange_part(CHANGE, None, disposable=disposable)
    return step


FAULTS = (RestoreError("In use"), SwapImpossible("A view"), KeyboardInterrupt())


@pytest.mark.parametrize("fault", FAULTS, ids=["error", "impossible", "interrupted"])
@pytest.mark.parametrize("disposable", [True, False])
def test_after_a_swap_that_was_not_made_only_what_was_restored_is_left(fault: BaseException, disposable: bool) -> None:
    """What an undo would have put back is kept on: nothing says that it was left behind."""
    step = swap(Target(fault), disposable=disposable)
    assert step.record.placing == (Placing(beside="shop_new") if disposable else None)
    assert (step.record.in_place, step.record.kept_as) == (False, None)


@pytest.mark.parametrize("fault", [FAULTS[0], FAULTS[2]], ids=["error", "interrupted"])
@pytest.mark.parametrize("disposable", [True, False])
def test_after_an_exchange_that_was_not_made_the_same(fault: BaseException, disposable: bool) -> None:
    step = exchange(Target(fault), disposable=disposable)
    assert step.record.placing == (Placing(beside="shop_new") if disposable else None)
    assert (step.record.in_place, step.record.part, step.record.part_kept_as) == (False, None, None)


@pytest.mark.parametrize("act", [swap, exchange])
def test_what_is_about_to_be_made_is_written_down_before(act: Callable[[Target], Step]) -> None:
    """With what tells later whether it was made, and under which name the former content lies then."""
    target = Target()
    act(target)
    assert target.known_at_the_swap is not None
    placing = target.known_at_the_swap.placing
    assert placing is not None
    assert (placing.beside, placing.mark) == ("shop_new", "mark")
    assert placing.keep_as is not None
    assert not target.known_at_the_swap.in_place


@pytest.mark.parametrize("act", [swap, exchange])
def test_cancelling_comes_before_or_too_late(act: Callable[[Target], Step]) -> None:
    target = Target()
    assert act(target).too_late
    assert target.shielded, "a cancelled swap would end half-way"


@pytest.mark.parametrize("act", ["swap", "exchange_part"])
def test_a_restore_that_is_cancelled_before_its_swap_makes_none(act: str) -> None:
    target = Target()
    step = Step(target)
    step.cancelled.set()
    with pytest.raises(Cancelled):
        getattr(step.replacement, act)(*(("shop_new", FULL) if act == "swap" else (CHANGE, None)))
    assert (target.known_at_the_swap, step.saved) == (None, [])


@pytest.mark.parametrize("act", [swap, exchange])
def test_what_was_made_all_the_same_is_in_place(act: Callable[[Target], Step]) -> None:
    """The answer was lost, and not the change."""
    target = Target(RestoreError("Connection lost"), in_place="new")
    target.states["shop_part"] = FULL
    step = act(target)
    assert (step.record.in_place, step.record.placing) == (True, None)
    assert step.record.kept_as is not None or step.record.part_kept_as == "shop_part"
    assert step.record.kept_until is not None
    assert any("all the same" in line for line in step.log)


def test_a_part_that_is_not_kept_is_not_said_to_be() -> None:
    step = exchange(Target(RestoreError("Connection lost"), in_place="new"))
    assert (step.record.in_place, step.record.part_kept_as, step.record.kept_until) == (True, None, None)


@pytest.mark.parametrize("act", ["swap", "exchange_part"])
def test_what_cannot_be_told_stays_written_down(act: str) -> None:
    """Whoever finds the record asks again, and until then nothing beside the target is removed."""
    step = Step(Target(RestoreError("Connection lost"), in_place=DatabaseConnectionError("Down")))
    with pytest.raises(RestoreError, match="cut: Connection lost; shop holds its former content or the restored one"):
        getattr(step.replacement, act)(*(("shop_new", FULL) if act == "swap" else (CHANGE, None)))
    assert step.record.placing is not None
    assert step.record.placing.mark == "mark"
    assert step.replacement.touched
    assert not step.record.in_place


@pytest.mark.parametrize(
    ("before", "since", "kept"),
    [(FULL, FULL, True), (NONE, NONE, False), (EMPTY, EMPTY, False), (EMPTY, FULL, True), (NONE, FULL, True)],
    ids=["full", "not there", "empty", "filled meanwhile", "made and filled meanwhile"],
)
def test_the_former_content_is_kept_where_there_is_any(before: TargetState, since: TargetState, kept: bool) -> None:
    """What somebody wrote between the look and the swap is kept as well."""
    target = Target()
    target.target_state = lambda name: since if target.known_at_the_swap and "old" in name else NONE  # type: ignore[method-assign]
    step = swap(target, before)
    assert (step.record.in_place, step.record.placing) == (True, None)
    assert (step.record.kept_as is not None) == kept
    assert (target.dropped != []) == (before.exists and not kept)


def test_what_is_kept_within_the_target_has_its_own_name() -> None:
    target = Target()
    target.within = True
    step = swap(target)
    assert (step.record.in_place, step.record.placing) == (True, None)
    assert str(step.record.kept_as).startswith("shop.within__dgtui_old_")
    assert target.dropped == []


def test_an_exchange_that_failed_before_it_began_has_left_nothing_to_ask_for() -> None:
    target = Target(RestoreError("In use"), in_place=AssertionError("asked"))
    target.announces = False
    step = Step(target)
    step.replacement.note(placing=None)
    with pytest.raises(RestoreError, match="In use"):
        step.replacement.exchange_part(CHANGE, None)
    assert (step.record.placing, step.record.part) == (None, None)


@pytest.mark.parametrize("whole", [True, False])
def test_what_is_replaced_is_saved_once(monkeypatch: pytest.MonkeyPatch, whole: bool) -> None:
    """The record names the backup before it begins, and says where it is not."""
    step = Step(Target())
    failed = Copy(storage="nas", status="missing", path="", checked_at=step.replacement.record.started_at)
    execution = SimpleNamespace(
        execution_id="safety-1", status="completed" if whole else "partial", copies=() if whole else (failed,)
    )
    known: list[str | None] = []

    def take(_task: object, record: Restore) -> Any:
        known.append(step.record.safety_execution_id)
        return SimpleNamespace(execution=execution)

    monkeypatch.setattr("dgtui.engine.restore_swap.take_safety_copy", take)
    first = step.replacement.save_former_content()
    assert step.replacement.save_former_content() is first
    assert known == [step.record.safety_execution_id]
    assert known[0] is not None
    assert step.record.warnings == (() if whole else ("The safety backup safety-1 is not at nas: it failed",))


def test_what_earlier_ones_left_under_the_same_names_is_gone() -> None:
    step = swap(Target())
    step.earlier = [cut("earlier", partly_filled=False)]
    step.replacement.finish()
    assert [(one.restore_id, one.placing) for one in step.saved[-1:]] == [("earlier", None)]


def test_a_name_that_is_taken_is_not_used() -> None:
    target = Target()
    target.states = {"shop_x": FULL, "shop_x_2": EMPTY}
    assert Step(target).replacement.free_name("_x") == "shop_x_3"


@pytest.mark.parametrize("seconds", [0, 3600])
def test_what_nobody_keeps_is_dropped_at_once(seconds: int) -> None:
    target = Target()
    step = swap(target)
    kept = step.record.kept_as
    target.settings.keep_replaced = seconds
    ended = step.replacement.finish()
    assert ended.status == "completed"
    assert (target.dropped, ended.kept_as, ended.dropped_at is None) == (
        ([], kept, True) if seconds else ([kept], None, False)
    )


def test_what_cannot_be_dropped_is_kept_and_told() -> None:
    target = Target()

    def refuse(name: str) -> None:
        raise RestoreError("In use")

    step = swap(target)
    target.settings.keep_replaced = 0
    target.drop_target = refuse  # type: ignore[method-assign]
    assert step.replacement.finish().kept_as is not None
    assert "could not be removed: In use" in step.log[-1]
