"""Names that restores give to what they make and keep: nothing is restored under one of them by hand."""

import sqlite3

import pytest

from dgtui.engine.errors import EXIT_FAILED
from tests.support.homes import Home
from tests.support.round_trips import table


@pytest.mark.parametrize("suffix", ["__dgtui_new", "__dgtui_like", "__dgtui_old_20260101000000_2", "__dgtui_part_1f"])
def test_nothing_is_restored_into_what_other_restores_take_for_theirs(home: Home, suffix: str) -> None:
    """The next restore into the target removed it as left behind, or an undo put it back as the former content."""
    path = home.folder / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (i int)")
    home.configure(table("shop", type="sqlite", path=str(path)))
    home.back_up()
    taken = f"{path}{suffix}"
    for choice in (), ("--dry-run",):
        refused = home.dgtui("restore", "nightly@latest", "--into", taken, "--yes", *choice)
        assert "is called as what dgtui itself makes and keeps beside a target" in refused.errors + refused.output
        assert choice or refused.exit_code == EXIT_FAILED
        assert "nothing was changed" in refused.errors + refused.output
    assert [entry.name for entry in home.folder.glob("*shop.db*")] == ["shop.db"]
    assert home.dgtui("restore", "nightly@latest", "--into", f"{path}__dgtui_mine", "--yes").exit_code == 0
