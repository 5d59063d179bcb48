"""Rehearsing with the keyboard, what the history tells of it, and restores that were done by hand."""

from pathlib import Path

import pytest
from textual.widgets import Button, Input, Static

from dgtui.engine.model import Execution
from dgtui.screens.confirm import ConfirmScreen
from dgtui.screens.execution import ExecutionScreen
from dgtui.screens.marking import MarkRestoredScreen
from dgtui.screens.rehearse import RehearseScreen
from dgtui.screens.widgets.choice import Choice, Tick
from dgtui.screens.widgets.listing import Listing
from tests.support.changing import changing
from tests.support.homes import Home
from tests.tui.conftest import make_shop, sqlite_table
from tests.tui.driver import Driver, screens
from tests.tui.test_restore_and_undo import choose, restore_here


@pytest.mark.started
async def test_a_rehearsal_is_made_as_it_was_chosen_and_stands_in_the_history(
    home: Home, request: pytest.FixtureRequest
) -> None:
    with changing("postgres", home, request):
        async with screens(home) as driver:
            await driver.press("2", "e")
            assert isinstance(driver.screen, RehearseScreen)
            await choose(driver, "#storage", "nas")
            await choose(driver, "#place", "private")
            driver.widget("#deep", Tick).focus()
            await driver.press("space")
            driver.screen.query_one("#go").focus()
            await driver.press("enter")
            panel = await driver.watch_to_end()
            assert panel.snapshot.status == "completed", panel.snapshot.problem
            await driver.press("escape")
            proof = driver.app.engine.proofs.get(panel.run_id)
            assert proof is not None
            assert (proof.storage, proof.place) == ("nas", "a private PostgreSQL server")
            assert proof.report is not None
            assert proof.report.deep

            await driver.press("6")
            assert "rehearsal" in driver.rows("#history")[0]
            assert "completed" in driver.rows("#history")[0]
            assert "a private PostgreSQL server" in driver.text("#details")
            assert f"{proof.rows:,} rows" in driver.text("#details")
            await driver.press("enter")
            assert isinstance(driver.screen, ExecutionScreen)
            assert "Rehearsals:" in driver.text("#text")


def spoil(execution: Execution) -> None:
    """Change a byte in each copy."""
    for copy in execution.copies:
        backup = next(Path(copy.path).glob("backup.*"))
        content = bytearray(backup.read_bytes())
        content[len(content) // 2] ^= 1
        backup.write_bytes(content)


async def test_a_rehearsal_that_failed_is_among_the_failures_with_its_reason(home: Home, shop: Path) -> None:
    spoil(home.back_up())
    async with screens(home) as driver:
        await driver.press("2", "e", "enter")
        panel = await driver.watch_to_end()
        assert panel.snapshot.status == "failed"
        assert panel.snapshot.problem is not None
        await driver.press("escape", "6", "f")
        (row,) = driver.rows("#history")
        assert "rehearsal" in row
        assert panel.snapshot.problem.message.splitlines()[0][:40] in driver.text("#details")
        await driver.press("l")
        assert "Log of" in str(driver.screen.query_one("#box").border_title)


@pytest.mark.parametrize(
    ("key", "usual"), [("", "in the scratch folder"), ('rehearse_in = "spare"', "at spare, as the job says")]
)
async def test_only_places_of_the_same_kind_are_offered(home: Home, shop: Path, key: str, usual: str) -> None:
    make_shop(home.folder / "spare.db")
    tree = f'[datasources.tree]\ntype = "files"\npath = "{home.folder}"\n'
    tables = sqlite_table("shop", shop) + sqlite_table("spare", home.folder / "spare.db") + tree
    home.configure(tables, storages=("disk", "nas"), job=key)
    home.back_up()
    async with screens(home) as driver:
        await driver.press("2", "e")
        options = [option.label for option in driver.widget("#place", Choice).options]
        other = "at shop" if key else "at spare"
        assert options == [usual, other]
        assert driver.focused == "go"
        await driver.press("escape")
        assert driver.focused == "executions"


async def test_a_restore_by_hand_is_recorded_from_the_backups_and_from_the_history(home: Home, shop: Path) -> None:
    home.back_up()
    async with screens(home) as driver:
        await driver.press("2", "m")
        assert isinstance(driver.screen, MarkRestoredScreen)
        await driver.press("enter")
        assert said(driver) == "A reason is needed"
        await driver.type("the disk died")
        await driver.fill("#at", "yesterday")
        await driver.press("enter")
        assert said(driver) == "'yesterday' is no time such as 2025-02-13T06:00"
        driver.widget("#at", Input).value = ""
        await driver.press("enter")
        assert driver.focused == "executions"
        (restore,) = driver.app.engine.restores()
        assert (restore.by_hand, restore.reason) == (True, "the disk died")

        await driver.press("6")
        assert "restore" in driver.rows("#history")[0]
        assert "0.0 s" not in driver.rows("#history")[0], "nobody knows how long it took"
        await driver.press("u")
        assert f"It was done by hand: what {restore.target} held before was not kept here" in driver.text("#how")
        await driver.press("escape", "enter")
        assert driver.text("#text").count("by hand") == 1
        assert "no copy" not in driver.text("#text")
        await driver.press("escape", "m")
        assert driver.focused == "history", "a restore is no backup"
        await driver.press("down", "m")
        await driver.type("once more")
        await driver.press("enter")
        assert {one.reason for one in driver.app.engine.restores()} == {"the disk died", "once more"}
        assert len(driver.rows("#history")) == 3


def said(driver: Driver) -> str:
    """What is wrong with what was entered."""
    return str(driver.widget("#wrong", Static).content)


async def test_dropping_the_only_way_back_says_so(home: Home, request: pytest.FixtureRequest) -> None:
    with changing("sqlite", home, request):
        async with screens(home) as driver:
            restore = await restore_here(driver)
            await driver.press("6", "down", "x")
            assert "Undo is then a restore of its safety backup." in question(driver)
            await driver.press("escape")
            engine = driver.app.engine
            engine.delete(engine.execution(restore.safety_execution_id or ""), force=True)
            await driver.press("ctrl+r")
            driver.widget("#history", Listing).move_to(restore.restore_id)
            await driver.press("x")
            assert "Its safety backup is gone: after this the restore cannot be undone." in question(driver)


def question(driver: Driver) -> str:
    """The text of the question that is asked."""
    assert isinstance(driver.screen, ConfirmScreen)
    return "\n".join(str(widget.content) for widget in driver.screen.query(Static))


async def test_the_button_that_enter_presses_is_seen_below_however_many_datasources(home: Home, shop: Path) -> None:
    others = [f"d{number:03}" for number in range(200)]
    home.configure("".join(sqlite_table(name, shop) for name in ("shop", *others)))
    home.back_up()
    async with screens(home, size=(80, 24)) as driver:
        await driver.press("2", "e")
        button, box = driver.widget("#go", Button), driver.screen.query_one("#box")
        assert driver.screen.focused is button
        await driver.until(lambda: box.region.contains_region(button.region), "the button")
