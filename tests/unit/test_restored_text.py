"""Texts about restores that were made."""

from dgtui.wording.restored_text import replaced_too


def test_one_restore_is_told_as_one() -> None:
    assert replaced_too(1, "shop") == "1 later restore into shop is replaced as well"
    assert replaced_too(2, "shop") == "2 later restores into shop are replaced as well"
