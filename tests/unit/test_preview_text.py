"""What a restore would do, in words: nothing that is not known is passed over."""

from dgtui.engine.messages import now
from dgtui.engine.preview import RestorePreview
from dgtui.engine.restore_outlook import ObjectChange, RestoreOutlook
from dgtui.wording.preview_text import effect_facts, rows_fact


def said(*numbers: tuple[int | None, int | None], exact: bool = True) -> str:
    """The fact on objects of so many rows in the backup, which are counted there, and in the target."""
    objects = tuple(
        ObjectChange(f"t{place}", "both", before, before is not None, after, after is not None and exact)
        for place, (before, after) in enumerate(numbers)
    )
    fact = rows_fact(RestoreOutlook(execution_id="e", taken_at=now(), looked_at=now(), objects=objects))
    return fact[1] if fact is not None else ""


def test_objects_whose_rows_are_not_known_are_told_beside_those_that_are() -> None:
    assert said((500, 501), (None, 100)) == (
        "~501 there now, ~500 in the backup; 1 of 1 object has other numbers; of 1 more they are not known"
    )
    assert said((500, 501), (7, 7)) == "508 there now, 507 in the backup; 1 of 2 objects have other numbers"
    assert said((None, 100)) == ""


def test_estimates_that_are_near_each_other_are_no_difference() -> None:
    assert said((500, 501), (7, 7), exact=False) == (
        "~508 there now, ~507 in the backup; 1 of 2 objects may have the same, by estimate"
    )
    assert said((500, 501), (9, 1000), (0, 90), (4, 0), exact=False) == (
        "~1,591 there now, ~513 in the backup; 3 of 4 objects have other numbers, 1 may have the same, by estimate"
    )
    assert said((500, 501), exact=True) == "501 there now, 500 in the backup; 1 of 1 object has other numbers"


def test_many_warnings_of_the_backup_are_shortened_and_stand_before_all_else() -> None:
    warnings = tuple(f"table {number} is odd" for number in range(5))
    outlook = RestoreOutlook(execution_id="0123456789", taken_at=now(), looked_at=now(), backup_warnings=warnings)
    preview = RestorePreview(datasource="shop", label="", target="shop", exists=True, object_count=1, outlook=outlook)
    assert effect_facts(preview)[:5] == [
        *(("Warning", f"the backup ended with: table {number} is odd") for number in range(3)),
        ("Warning", "and with 2 more: dgtui show 01234567"),
        effect_facts(preview)[4],
    ]
    assert effect_facts(preview)[4][0] == "Lost"
