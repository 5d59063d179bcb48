"""Filling a target in its own place: whatever fails, its former content is back, or it is said where that lies."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dgtui.engine import restore_place
from dgtui.engine.errors import Cancelled, DataGuardianError, PermissionDenied, RestoreError
from dgtui.engine.restore_model import Restore
from dgtui.engine.safety_copy import SafetyCopy
from tests.support.backup_folders import JOB_ID
from tests.support.importing import BROKEN, FORMER, GONE, LIKE, NEW, OWN, RESTORED, Database, ImportCase


@pytest.fixture
def case(tmp_path: Path) -> Iterator[ImportCase]:
    made = ImportCase(tmp_path)
    yield made
    made.catalog.close()


def test_the_content_is_exchanged_and_nothing_of_ours_is_left(case: ImportCase) -> None:
    """It has its own properties, which a restored database would not have had by itself."""
    case.put_in_place()
    case.holds(RESTORED, LIKE)
    assert (case.known.in_place, case.known.partly_filled) == (True, False)
    assert case.known.placing is not None
    assert case.known.placing.filled
    case.place.remove_leftovers()
    case.holds(RESTORED)
    assert case.place.saved > 0


def test_what_is_about_to_be_lost_is_written_down_before(case: ImportCase) -> None:
    """So that whoever finds it killed puts the former content back; and nothing cancels it from there on."""
    seen: list[Restore] = []

    def look() -> None:
        seen.append(case.known)
        case.cancellation.event.set()
        case.cancellation.check()

    case.server.before_drop = look
    case.put_in_place()
    case.holds(RESTORED, LIKE)
    (known,) = seen
    assert (known.partly_filled, known.in_place, known.storage) == (True, False, "disk")
    assert known.placing is not None
    assert (known.placing.beside, known.placing.like, known.placing.filled) == (NEW, LIKE, False)


def test_a_cancel_that_comes_in_time_leaves_nothing(case: ImportCase) -> None:
    save = case.place.save_former_content

    def saved_and_cancelled() -> SafetyCopy:
        case.cancellation.event.set()
        return save()

    case.place.save_former_content = saved_and_cancelled  # type: ignore[method-assign]
    with pytest.raises(Cancelled):
        case.put_in_place()
    case.holds(FORMER, NEW)


@pytest.mark.parametrize("end", [BROKEN, GONE, {"orders": 2}, RuntimeError("a mistake of ours")], ids=repr)
def test_what_cannot_be_filled_is_put_back(case: ImportCase, end: Any) -> None:
    """A statement that failed, a line that was lost, rows that never arrived, and what nobody thought of."""
    case.server.loads = [end]
    with pytest.raises(RuntimeError if isinstance(end, RuntimeError) else RestoreError) as caught:
        case.put_in_place()
    case.holds(FORMER, NEW)
    assert (case.known.partly_filled, case.known.in_place) == (False, False)
    assert any("The former content of shop is back" in line for line in case.said)
    if isinstance(caught.value, RestoreError):
        assert "its former content was put back" in caught.value.message


def test_a_killed_putting_back_is_not_taken_for_a_filled_target(case: ImportCase) -> None:
    """All was loaded, and the comparison failed: while the former content is put back, it is filled no more."""
    seen: list[bool] = []
    case.server.before_drop = lambda: seen.append(case.known.placing is not None and case.known.placing.filled)
    case.server.loads = [{"orders": 2}]
    with pytest.raises(RestoreError, match="put back"):
        case.put_in_place()
    assert seen == [False, False]


@pytest.mark.parametrize("end", [BROKEN, {"orders": 5}, {"orders": 5, "words": 1}], ids=repr)
def test_what_cannot_be_put_back_is_said_and_nothing_of_it_is_removed(case: ImportCase, end: Any) -> None:
    """Also where it was loaded without a word, and is not what was saved: what is needed to go on stays."""
    case.server.loads = [BROKEN, end]
    with pytest.raises(RestoreError, match="its former content could not be put back") as caught:
        case.put_in_place()
    assert case.known.partly_filled
    assert LIKE in case.server.databases
    folder = case.folder / "disk" / JOB_ID / "2025-02-13_060000"
    assert f"That content is whole in {folder}" in caught.value.message
    assert f"cd {folder} && sh -e RESTORE.txt" in caught.value.detail
    assert "dgtui undo r1-a-res" in caught.value.hint


def test_an_undo_that_cannot_be_put_back_names_a_command_that_works(tmp_path: Path) -> None:
    """No start puts it back by itself, and what it had saved itself is named."""
    case = ImportCase(tmp_path, undo_of="r0")
    case.server.loads = [BROKEN, BROKEN]
    with pytest.raises(RestoreError, match="could not be put back") as caught:
        case.put_in_place()
    saved = case.place.safety.execution.execution_id[:8]
    assert caught.value.hint.endswith(f"then run: dgtui restore {saved} --into shop --overwrite --in-place")
    case.catalog.close()


def test_a_safety_copy_that_turned_bad_is_replaced_by_the_next(case: ImportCase) -> None:
    case.server.loads = [BROKEN]
    case.spoil("disk", case.place.safety.execution)
    with pytest.raises(RestoreError, match="its former content was put back"):
        case.put_in_place()
    case.holds(FORMER, NEW)
    assert any(line.startswith("disk: ") and "damaged" in line for line in case.said)


def test_all_safety_copies_turned_bad(case: ImportCase) -> None:
    case.server.loads = [BROKEN]
    for name in ("disk", "nas"):
        case.spoil(name, case.place.safety.execution)
    with pytest.raises(RestoreError, match="could not be put back"):
        case.put_in_place()
    assert case.known.partly_filled


def test_a_server_that_starts_anew_is_waited_for(case: ImportCase, monkeypatch: pytest.MonkeyPatch) -> None:
    """As often as for every lost connection, with growing waits; then it is left to the next start."""
    waits: list[float] = []
    monkeypatch.setattr(restore_place, "time", SimpleNamespace(sleep=waits.append))
    case.server.loads = [BROKEN, GONE, GONE]
    with pytest.raises(RestoreError, match="its former content was put back"):
        case.put_in_place()
    case.holds(FORMER, NEW)
    assert waits == [5, 10]


def test_a_server_that_stays_away_is_not_waited_for_for_ever(case: ImportCase, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(restore_place, "time", SimpleNamespace(sleep=waits.append))
    case.server.loads = [BROKEN, GONE, GONE, GONE]
    with pytest.raises(RestoreError, match="could not be put back"):
        case.put_in_place()
    assert len(waits) == 2


def test_what_cannot_be_emptied_is_as_it_was(case: ImportCase) -> None:
    """Nothing of it was lost: nothing is put back, and nothing of ours stays."""
    case.server.keeps_when_dropped = [dict(FORMER)]
    with pytest.raises(RestoreError, match="could not be emptied: Lock wait timeout; nothing was changed"):
        case.put_in_place()
    case.holds(FORMER, NEW)
    assert not case.known.partly_filled
    assert not any("is put back" in line for line in case.said)


def test_what_was_emptied_in_part_is_put_back(case: ImportCase) -> None:
    case.server.keeps_when_dropped = [{"words": 2}]
    with pytest.raises(RestoreError, match="its former content was put back"):
        case.put_in_place()
    case.holds(FORMER, NEW)
    assert not case.known.partly_filled


def test_what_the_putting_back_cannot_empty_is_not_called_unchanged(case: ImportCase) -> None:
    """It holds what the import left, and lost nothing more by that."""
    case.server.loads = [BROKEN]
    drops = [None, {"orders": 1}]

    def refuse_the_second() -> None:
        rows = drops.pop(0)
        case.server.keeps_when_dropped = [rows] if rows is not None else []

    case.server.before_drop = refuse_the_second
    with pytest.raises(RestoreError, match="only partly filled") as caught:
        case.put_in_place()
    assert "nothing was changed" not in caught.value.message
    assert case.known.partly_filled


def test_a_copy_that_turned_bad_is_replaced_by_the_next(case: ImportCase) -> None:
    case.spoil("disk", case.execution)
    case.put_in_place()
    case.holds(RESTORED, LIKE)
    assert case.known.storage == "nas"
    assert [(copy.storage, copy.status) for copy in case.copies.found] == [("disk", "corrupt")]


def test_a_copy_that_was_left_out_before_is_not_tried(case: ImportCase) -> None:
    """The next ones are, from the one on that was loaded beside the target."""
    case.spoil("nas", case.execution)
    with pytest.raises(RestoreError, match="its former content was put back"):
        case.put_in_place(storage=1)
    case.holds(FORMER, NEW)
    assert [copy.storage for copy in case.copies.found] == ["nas"]


def test_what_cannot_be_read_any_more_is_seen_before_the_target_is_emptied(case: ImportCase) -> None:
    case.server.before_drop = lambda: pytest.fail("it was emptied")
    for name in ("disk", "nas"):
        for path in (case.folder / name / JOB_ID / str(case.execution.folder)).glob("backup.*"):
            path.unlink()
    with pytest.raises(DataGuardianError, match="missing"):
        case.put_in_place()
    case.holds(FORMER, NEW)
    assert not case.known.partly_filled


def test_the_properties_of_before_an_interruption_are_kept(case: ImportCase) -> None:
    """The target is what an interrupted import made of it; what it was like is known by what that one left."""
    case.server.databases["shop"].like = "latin1, of nobody"
    case.server.databases[LIKE] = Database(OWN)
    case.server.loads = [BROKEN]
    with pytest.raises(RestoreError, match="put back"):
        case.put_in_place()
    case.holds(FORMER, NEW, LIKE)


def test_only_an_empty_database_is_taken_for_ours(case: ImportCase) -> None:
    case.server.databases[LIKE] = Database(OWN, {"somebody's": 1})
    case.place.remove_leftovers()
    case.holds(FORMER, NEW, LIKE)
    case.server.databases[LIKE].rows = {}
    case.place.remove_leftovers()
    case.holds(FORMER)


@pytest.mark.parametrize(("order", "told"), [({"in_place": False}, "--in-place"), ({"safety": False}, "--no-safety")])
def test_it_has_to_be_asked_for_and_saved(tmp_path: Path, order: dict[str, bool], told: str) -> None:
    case = ImportCase(tmp_path, **order)
    with pytest.raises(RestoreError, match="shop holds a view") as caught:
        case.put_in_place()
    assert told in caught.value.hint
    case.holds(FORMER, NEW)
    assert not case.known.partly_filled
    case.catalog.close()


@pytest.mark.parametrize("fault", ["lost", "missing"])
def test_what_could_not_be_put_back_is_never_emptied(case: ImportCase, fault: str) -> None:
    """A backup would be taken in vain: it is not begun either."""
    setattr(case.server, fault, ("the routine f",))
    with pytest.raises(PermissionDenied, match="nothing was changed"):
        case.put_in_place()
    case.holds(FORMER, NEW)
    assert case.place.saved == 0


def test_a_database_of_ours_that_cannot_be_removed_is_named(case: ImportCase, monkeypatch: pytest.MonkeyPatch) -> None:
    """The restore is whole all the same."""
    drop = case.server.drop_target

    def refuse(name: str) -> None:
        if name == NEW:
            raise RestoreError("in use")
        drop(name)

    with monkeypatch.context() as patched:
        patched.setattr(case.server, "drop_target", refuse)
        case.put_in_place()
    assert f"{NEW} could not be removed: in use" in case.said
    case.holds(RESTORED, LIKE, NEW)
