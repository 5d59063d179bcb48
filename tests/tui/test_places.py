"""Every place and its keys."""

import shutil
from pathlib import Path

import pytest
from textual.widgets import Button

from dgtui.engine.locks import take_lock
from dgtui.engine.model import Execution
from dgtui.screens.confirm import ConfirmScreen
from dgtui.screens.copies import CopyChoiceScreen
from dgtui.screens.execution import ExecutionScreen
from dgtui.screens.forms.form import FormScreen
from dgtui.screens.log import LogScreen
from dgtui.screens.restore import RestoreScreen
from dgtui.screens.run import RunScreen
from dgtui.screens.widgets.listing import Listing
from tests.support.homes import Home
from tests.tui.conftest import make_shop, sqlite_table
from tests.tui.driver import screens

_RULES = 'schedule = "0 3 * * *"\nretention = { max_age = "30d" }'


def folder_at(execution: Execution, storage: str) -> Path:
    """Where a copy lies."""
    return next(Path(copy.path) for copy in execution.copies if copy.storage == storage)


def spoil(database: Path) -> None:
    """Make it something else."""
    database.write_bytes(b"this is no database, whatever its name says" * 100)


# Datasources


async def test_the_names_stand_before_the_engine_is_open(home: Home, shop: Path) -> None:
    async with screens(home, ready=False) as driver:
        assert driver.rows("#datasources")[0].startswith("shop  SQLite")
        assert driver.focused == "datasources"
        await driver.settle()
        assert "never" in driver.rows("#datasources")[0]


async def test_every_datasource_is_looked_at_and_told(home: Home, shop: Path) -> None:
    home.configure(sqlite_table("shop", shop) + "\n" + sqlite_table("gone", home.folder / "gone.db"))
    async with screens(home) as driver:
        shop_row, gone_row = driver.rows("#datasources")
        assert "● healthy" in shop_row
        assert "▲ warning" in gone_row
        assert "unreachable" in gone_row
        assert "● 1" in driver.text("#header")
        assert "▲ 1" in driver.text("#header")
        assert "SQLite 3" in driver.text("#details")
        await driver.press("down")
        assert "gone.db" in driver.text("#details")
        await driver.press("c", "c")
        assert "✖ critical" in driver.rows("#datasources")[1], "the third failure in a row"
        assert "unreachable ×3" in driver.rows("#datasources")[1]
        assert "✖ 1" in driver.text("#header")
        make_shop(home.folder / "gone.db")
        await driver.press("c")
        assert "● healthy" in driver.rows("#datasources")[1]
        assert "● 2" in driver.text("#header")


async def test_a_failed_backup_shows_in_the_row_and_its_error_is_told_with_the_hint(home: Home, shop: Path) -> None:
    async with screens(home) as driver:
        spoil(shop)
        await driver.press("b", "enter")
        panel = await driver.watch_to_end()
        assert panel.snapshot.status == "failed"
        assert panel.snapshot.problem is not None
        assert panel.snapshot.problem.message.splitlines()[0] in driver.text("#outcome")
        assert panel.snapshot.problem.hint in driver.text("#outcome")
        await driver.press("enter")
        assert not isinstance(driver.screen, RunScreen)
        assert "✖ failed" in driver.rows("#datasources")[0]
        await driver.press("6")
        assert panel.snapshot.problem.hint in driver.text("#details")


async def test_restore_of_what_was_never_backed_up_says_so(home: Home, shop: Path) -> None:
    async with screens(home) as driver:
        await driver.press("r")
        assert driver.toasts == ["shop has no backup yet\n→ b backs it up"]


async def test_restore_before_the_catalogue_has_answered_waits_for_it(home: Home, shop: Path) -> None:
    home.back_up()
    async with screens(home, ready=False) as driver:
        await driver.pilot.press("r")
        await driver.settle()
        assert driver.toasts == []
        await driver.until(lambda: isinstance(driver.screen, RestoreScreen), "the dialog")


@pytest.mark.parametrize("left", [False, True])
async def test_a_form_that_was_asked_for_before_the_engine_is_open_waits_for_it(
    home: Home, shop: Path, left: bool
) -> None:
    async with screens(home) as driver:
        app = driver.app
        app._engine, engine = None, app._engine
        await driver.pilot.press("n", *("3" if left else ""))
        assert not isinstance(driver.screen, FormScreen)
        app._engine = engine
        app.data_changed()
        await driver.settle()
        if left:
            await driver.press("1")
        assert isinstance(driver.screen, FormScreen) != left, "nobody waits for what they turned away from"


async def test_before_anybody_has_looked_nobody_says_that_nothing_runs(home: Home, shop: Path) -> None:
    async with screens(home, ready=False) as driver:
        driver.app.knows_runs = False
        driver.app.action_watch()
        await driver.settle()
        assert driver.toasts == ["What runs now is not known yet\n→ w again in a moment"]
        await driver.until(lambda: driver.app.knows_runs, "the first look")
        await driver.press("w")
        assert driver.toasts[-1] == "Nothing is running"


# Backups


async def test_copies_are_asked_for_live(home: Home, shop: Path) -> None:
    execution = home.back_up()
    async with screens(home) as driver:
        shutil.rmtree(folder_at(execution, "nas"))
        await driver.press("2")
        assert "○" in driver.rows("#executions")[0]
        assert "asked just now" in driver.text("#details")
        assert driver.app.engine.execution(execution.execution_id).copies[1].status == "missing"


async def test_the_rules_are_asked_again_when_copies_are_not_where_they_were(home: Home, shop: Path) -> None:
    """A copy in doubt holds back what no rule keeps: where it turns out to be gone, the reason is no longer true."""
    home.configure(sqlite_table("shop", shop), storages=("disk", "nas"), job="retention = { keep_last = 1 }")
    execution = home.back_up()
    async with screens(home) as driver:
        shutil.rmtree(folder_at(execution, "nas"))
        await driver.press("2")
        assert "on nas" not in driver.text("#details")
        assert "frees" in driver.text("#details")


@pytest.mark.parametrize("key", ["ctrl+r", "f5"])
async def test_what_changed_behind_our_back_is_seen_by_looking_again(home: Home, shop: Path, key: str) -> None:
    execution = home.back_up()
    async with screens(home) as driver:
        await driver.press("2")
        assert "○" not in driver.rows("#executions")[0]
        shutil.rmtree(folder_at(execution, "nas"))
        other = home.back_up()
        await driver.press(key)
        rows = driver.rows("#executions")
        assert len(rows) == 2
        assert "○" in rows[1]
        assert driver.widget("#executions", Listing).key == execution.execution_id, "the cursor stays"
        assert other.execution_id != execution.execution_id


async def test_everything_about_a_backup_and_how_to_restore_it_by_hand(home: Home, shop: Path) -> None:
    execution = home.back_up()
    async with screens(home) as driver:
        await driver.press("2", "enter")
        assert isinstance(driver.screen, ExecutionScreen)
        text = driver.text("#text")
        assert execution.execution_id in text
        assert "zstd -q -d" in text
        assert '"checksum": "sha256:' in text
        await driver.press("escape")
        assert driver.focused == "executions"


async def test_validating_one_copy_finds_damage(home: Home, shop: Path) -> None:
    execution = home.back_up()
    backup = next(folder_at(execution, "nas").glob("backup.*"))
    content = bytearray(backup.read_bytes())
    content[len(content) // 2] ^= 1
    backup.write_bytes(content)
    async with screens(home) as driver:
        await driver.press("2", "v")
        assert isinstance(driver.screen, CopyChoiceScreen)
        await driver.press("end", "enter")
        panel = await driver.watch_to_end()
        assert panel.snapshot.status == "failed"
        await driver.press("escape")
        assert "✖" in driver.rows("#executions")[0]
        await driver.press("r")
        assert "nas ✖: corrupt" in "".join(piece for piece in [driver.screen.query_one("#storage").render_line(0).text])


async def test_deleting_one_copy_and_then_the_last_good_backup(home: Home, shop: Path) -> None:
    execution = home.back_up()
    async with screens(home) as driver:
        await driver.press("2", "x", "end", "enter")
        assert isinstance(driver.screen, ConfirmScreen)
        assert driver.focused == "no"
        await driver.press("y")
        await driver.until(lambda: not folder_at(execution, "nas").exists(), "the copy to go")
        await driver.settle()
        assert folder_at(execution, "disk").exists()

        await driver.press("x", "home", "enter", "y")
        assert isinstance(driver.screen, ConfirmScreen), "the last good backup needs its job's name"
        assert driver.widget("#yes", Button).disabled
        await driver.fill("#word", "nightly")
        await driver.press("enter")
        await driver.until(lambda: not folder_at(execution, "disk").exists(), "the backup to go")
        await driver.settle()
        assert driver.rows("#executions") == []


async def test_no_is_no(home: Home, shop: Path) -> None:
    execution = home.back_up()
    async with screens(home) as driver:
        await driver.press("2", "x", "enter", "enter")
        assert folder_at(execution, "disk").exists()
        await driver.press("x", "escape")
        assert driver.focused == "executions"
        assert folder_at(execution, "disk").exists()


# Jobs, storages, history


async def test_a_job_runs_from_its_place(home: Home, shop: Path) -> None:
    async with screens(home) as driver:
        await driver.press("3")
        assert "never ran" in driver.rows("#jobs")[0]
        await driver.press("b")
        assert (await driver.watch_to_end()).snapshot.status == "completed"
        await driver.press("escape")
        assert "✔ completed" in driver.rows("#jobs")[0]
        await driver.press("enter")
        assert len(driver.rows("#executions")) == 1


async def test_the_names_of_jobs_are_told_apart_on_a_narrow_terminal(home: Home, shop: Path) -> None:
    """Schedules took the room, and left six signs of each name."""
    job = home.config_path.read_text().replace("nightly", "shop-weekly-to-the-cellar").replace("retries = 0", "")
    home.config_path.write_text(f'{job}\n[jobs.shop-weekly-to-the-office]\ndatasource = "shop"\nstorages = ["disk"]\n')
    async with screens(home, size=(60, 20)) as driver:
        await driver.press("3")
        table = driver.widget("#jobs", Listing)
        seen = {table.render_line(y).text[:15] for y in (1, 2)}
        assert "Schedule" not in table.render_line(0).text
        assert seen == {" shop-weekly-to"}


async def test_a_job_that_runs_already_is_not_started_twice(home: Home, shop: Path) -> None:
    async with screens(home) as driver:
        name = f"job-{driver.app.config.job_id('nightly')}"
        with take_lock(driver.app.engine.paths.locks / f"{name}.lock", purpose="a test"):
            await driver.press("3", "b")
            assert not isinstance(driver.screen, RunScreen)
            assert len(driver.toasts) == 1


async def test_a_hand_written_job_is_not_switched_off_behind_its_writers_back(home: Home, shop: Path) -> None:
    before = home.config_path.read_text()
    async with screens(home) as driver:
        await driver.press("3", "space")
        assert "written by a person" in driver.toasts[0]
    assert home.config_path.read_text() == before


async def test_storages_tell_their_room_and_what_lies_there(home: Home, shop: Path) -> None:
    home.back_up()
    async with screens(home) as driver:
        await driver.press("4")
        disk, nas = driver.rows("#storages")
        assert "● available" in disk
        assert "  1  " in disk
        assert "● available" in nas
        shutil.rmtree(home.storage("nas"))
        await driver.press("down", "t")
        assert "○ missing" in driver.rows("#storages")[1]
        assert str(home.storage("nas")) in driver.text("#details")


async def test_on_a_very_narrow_terminal_it_is_read_how_much_lies_at_a_storage(home: Home, shop: Path) -> None:
    home.back_up()
    async with screens(home, size=(60, 20)) as driver:
        await driver.press("4")
        listing = driver.widget("#storages", Listing)
        assert listing.render_line(0).text.split()[-2:] == ["Backups", "Size"]
        assert listing.render_line(1).text.rstrip().endswith("B")
        await driver.pilot.resize_terminal(80, 24)
        await driver.settle()
        assert "Expected" in listing.render_line(0).text


async def test_a_storage_is_read_into_a_catalogue_that_has_forgotten_it(home: Home, shop: Path) -> None:
    made = home.back_up()
    engine = home.engine()
    engine.catalog.forget_execution(made.execution_id)
    home.close_catalogues()
    async with screens(home) as driver:
        await driver.press("2")
        assert driver.rows("#sources") == []
        await driver.press("4", "i")
        assert any("1 learned" in toast for toast in driver.toasts)
        await driver.press("2")
        assert len(driver.rows("#executions")) == 1


async def test_the_history_filters_by_how_it_ended(home: Home, shop: Path) -> None:
    home.back_up()
    async with screens(home) as driver:
        await driver.press("6")
        assert len(driver.rows("#history")) == 1
        await driver.press("f")
        assert driver.rows("#history") == []
        assert "Shown: failed" in driver.text("#details")
        await driver.press("f", "f")
        assert len(driver.rows("#history")) == 1


async def test_the_whole_log_can_be_searched(home: Home, shop: Path) -> None:
    home.back_up()
    async with screens(home) as driver:
        await driver.press("6", "l")
        assert isinstance(driver.screen, LogScreen)
        assert driver.focused == "search"
        await driver.until(lambda: len(driver.rows("#log")) > 1, "the log")
        every = len(driver.rows("#log"))
        await driver.type("Connected")
        await driver.until(lambda: 0 < len(driver.rows("#log")) < every, "the lines that match")
        await driver.press("enter")
        assert driver.focused == "log"
