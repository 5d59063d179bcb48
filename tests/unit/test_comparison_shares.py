"""Comparing tables whose rows each loading may divide up among their parts in another way."""

from dgtui.engine.comparison import compare_objects
from dgtui.engine.datasources.loading import Selection
from dgtui.engine.model import ObjectInfo, Share


def _before(*rows: int, exact: bool = True) -> list[ObjectInfo]:
    return [ObjectInfo(name=f"t{number}", rows=count, rows_exact=exact) for number, count in enumerate(rows)]


def _after(*rows: int) -> list[Share]:
    return [Share(name=f"t{number}", rows=count, rows_exact=True, of="t") for number, count in enumerate(rows)]


def test_as_many_rows_in_other_parts_are_no_difference() -> None:
    found = compare_objects(_before(3, 4), _after(7, 0), Selection(), "full")
    assert found.whole
    assert not found.sentences
    assert [entry.outcome for entry in found.objects] == ["restored", "restored"]


def test_fewer_rows_in_all_are_told_of_each_part() -> None:
    found = compare_objects(_before(3, 4), _after(6, 0), Selection(), "full")
    assert found.wrong_rows == ("t0 has 6 rows, the backup says 3", "t1 has 0 rows, the backup says 4")
    assert not found.whole


def test_rows_of_another_table_make_up_for_nothing() -> None:
    found = compare_objects(
        _before(3, 4), [*_after(7), ObjectInfo(name="t1", rows=0, rows_exact=True)], Selection(), "full"
    )
    assert len(found.wrong_rows) == 2


def test_a_part_that_is_not_there_is_missing() -> None:
    found = compare_objects(_before(3, 4), _after(7), Selection(), "full")
    assert found.missing == ("t1",)


def test_estimates_of_parts_are_compared_taken_together() -> None:
    assert not compare_objects(_before(3, 400, exact=False), _after(350, 0), Selection(), "full").sentences
    assert compare_objects(_before(3, 400, exact=False), _after(3, 0), Selection(), "full").estimated_rows
