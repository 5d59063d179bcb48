"""Runs as the screens show them: cancelled, several at a time, started elsewhere, outliving the screens."""

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from textual.widgets import Button
from textual.widgets._toast import Toast

from dgtui.engine.catalog.notifications import Notifications
from dgtui.engine.messages import StorageMessage
from dgtui.engine.run_follower import RunSnapshot
from dgtui.engine.runs import RunInfo
from dgtui.engine.watching import WatchedRun
from dgtui.screens.confirm import ConfirmScreen
from dgtui.screens.engine_app import RunsSampled
from dgtui.screens.jobs import JobsScreen
from dgtui.screens.log import GrowingLog, LogScreen
from dgtui.screens.run import RunScreen
from dgtui.screens.widgets.listing import Listing
from dgtui.screens.widgets.strip import RunStrip
from dgtui.wording.terminal import Look
from tests.support.homes import Home
from tests.support.postgres import PostgresServer
from tests.tui.conftest import make_shop, sqlite_table
from tests.tui.driver import Driver, screens
from tests.tui.still_life import still_screens

NAME = "[red]shop[/red]"


@pytest.fixture
def slow_shop(home: Home, shop: Path) -> Path:
    """A shop and a CRM whose runs wait for the gate of the home to open."""
    other = home.folder / "crm.db"
    make_shop(other)
    crm = f'[jobs.crm]\ndatasource = "crm"\nstorages = ["disk"]\n{home.gate}\n'
    home.configure(sqlite_table("shop", shop) + sqlite_table("crm", other), job=home.gate, more=crm)
    return shop


async def see_it_run(driver: Driver) -> RunScreen:
    """Wait until the run whose panel is open says that it runs."""
    await driver.until(lambda: isinstance(driver.screen, RunScreen), "the panel")
    panel = driver.run_screen()
    await driver.until(lambda: panel.snapshot.status == "running", "the run")
    return panel


async def see_running(driver: Driver, names: Sequence[str], storages: tuple[StorageMessage, ...] = ()) -> None:
    """Show that these backups are under way, whatever truly is."""
    driver.app._stop_sampling.set()
    runs = [
        WatchedRun(
            info=RunInfo(run_id=name, operation="backup", title=name),
            snapshot=RunSnapshot(run_id=name, status="running", phase="dump", storages=storages),
        )
        for name in names
    ]
    driver.app.post_message(RunsSampled(tuple(runs)))
    await driver.settle()


def pointed_line(driver: Driver) -> str:
    """The line of the strip that the pointer is on."""
    lines = [line for line in driver.text("#strip").splitlines() if line.startswith("▸")]
    assert len(lines) == 1, driver.text("#strip")
    return lines[0]


async def test_cancelling_asks_first_and_says_so_until_everything_is_cleaned_up(home: Home, slow_shop: Path) -> None:
    async with screens(home) as driver:
        await driver.press("b", "enter")
        panel = await see_it_run(driver)
        assert "getting ready" in driver.text("#panel"), "the job's own command is at work"
        await driver.press("x")
        assert isinstance(driver.screen, ConfirmScreen)
        assert driver.focused == "no"
        assert [str(button.label) for button in driver.screen.query(Button)] == ["Cancel it", "Keep running"]
        await driver.press("enter")
        assert not panel.snapshot.ended, "no was no"
        await driver.pilot.press("x")
        await driver.until(lambda: isinstance(driver.screen, ConfirmScreen), "the question")
        await driver.pilot.press("y")
        await driver.until(lambda: "cancelling: waiting" in driver.text("#panel") or panel.snapshot.ended, "the word")
        assert (await driver.watch_to_end()).snapshot.status == "cancelled"
        assert "cancelling: waiting" not in driver.text("#panel")
        await driver.press("escape")
        assert "cancelled" in driver.rows("#datasources")[0]
    assert home.litter() == []


async def test_a_run_whose_end_is_told_in_the_panel_does_not_go_on_in_the_strip_below(
    home: Home, slow_shop: Path
) -> None:
    async with screens(home) as driver:
        await driver.press("b", "enter")
        await see_it_run(driver)
        await driver.press("h")
        strip = driver.widget("#strip", RunStrip)
        await driver.until(lambda: strip.display and "nightly" in strip.text, "the run in the strip")
        await driver.press("w")
        home.open_gate()
        assert (await driver.watch_to_end()).snapshot.status == "completed"
        assert not strip.display


async def test_who_leaves_from_the_panel_is_told_that_the_run_goes_on(home: Home, slow_shop: Path) -> None:
    """The keys of the place below stand there still, and `q` is what a hand finds in a hurry."""
    async with screens(home) as driver:
        await driver.press("b", "enter")
        await see_it_run(driver)
        await driver.press("q")
        assert isinstance(driver.screen, ConfirmScreen)
        await driver.press("escape")
        await see_it_run(driver)


async def test_a_run_that_waits_no_more_is_not_told_as_waiting(home: Home, slow_shop: Path) -> None:
    async with screens(home) as driver:
        await driver.press("3", "b")
        await see_it_run(driver)
        await driver.press("h")
        await driver.until(lambda: any("running" in row for row in driver.rows("#jobs")), "the run in its job's row")
        assert not any("queued" in row for row in driver.rows("#jobs"))
        home.open_gate()


async def test_several_runs_stand_in_the_strip_of_every_place_and_each_opens(home: Home, slow_shop: Path) -> None:
    async with screens(home) as driver:
        nightly = home.engine().start_job("nightly")
        await driver.until(lambda: "nightly" in driver.text("#strip"), "the run that was started elsewhere")
        crm = driver.app.engine.start_job("crm")
        await driver.until(lambda: len(driver.app.runs) == 2 or driver.app.known_run(crm) is not None, "both runs")
        for key in "2345":
            await driver.press(key)
            assert "nightly" in driver.text("#strip"), f"the strip of place {key}"
        driver.screen.query_one("#strip").focus()
        await driver.pilot.press("enter")
        await driver.until(lambda: isinstance(driver.screen, RunScreen), "the panel")
        assert driver.run_screen().run_id == nightly
        home.open_gate()
        assert (await driver.watch_to_end()).snapshot.status == "completed"
        await driver.press("escape")
        await driver.until(lambda: not driver.app.runs, "the end of both")
        assert not driver.screen.query_one("#strip").display


async def test_the_table_has_the_keys_again_once_the_strip_is_gone(home: Home, slow_shop: Path) -> None:
    async with screens(home) as driver:
        home.engine().start_job("nightly")
        await driver.until(lambda: "nightly" in driver.text("#strip"), "the run")
        driver.screen.query_one("#strip").focus()
        await driver.settle()
        assert driver.focused == "strip"
        home.open_gate()
        await driver.until(lambda: not driver.screen.query_one("#strip").display, "the end of the strip")
        await driver.settle()
        assert driver.focused == "datasources"
        assert driver.widget("#datasources", Listing).key == "shop"
        await driver.press("down")
        assert driver.widget("#datasources", Listing).key == "crm"


async def test_the_strip_names_the_storage_that_a_run_waits_for(home: Home, shop: Path) -> None:
    async with screens(home, size=(80, 24)) as driver:
        silent = StorageMessage(name="[b]nas[/]", state="writing", silent_seconds=12)
        await see_running(driver, ["nightly"], storages=(StorageMessage(name="disk", state="writing"), silent))
        assert "[b]nas[/]: no answer for 12 s" in driver.text("#strip")
        assert "disk" not in driver.text("#strip")


async def test_what_is_told_stands_above_the_details_and_the_strip(home: Home, shop: Path) -> None:
    async with screens(home, size=(80, 24)) as driver:
        await see_running(driver, ["one", "two"])
        driver.app.tell("The server does not answer", hint="Is it running?", severity="error")
        await driver.until(lambda: bool(driver.screen.query(Toast)), "the toast")
        await driver.settle()

        def top(selector: str) -> int:
            return driver.screen.query_one(selector).region.y

        def end_of_toast() -> int:
            return driver.screen.query(Toast).first().region.bottom

        details = top("#details")
        assert end_of_toast() == details < top("#strip") == 21
        driver.app.post_message(RunsSampled(()))
        await driver.settle()
        await driver.until(lambda: end_of_toast() == top("#details") == details + 2, "the room of the strip")


async def test_the_strip_shows_the_run_that_is_pointed_to_however_many_there_are(home: Home, shop: Path) -> None:
    names = [f"run-{number}" for number in range(7)]
    async with screens(home) as driver:
        await see_running(driver, names)
        driver.screen.query_one("#strip").focus()
        await driver.settle()
        assert driver.text("#strip").splitlines()[3].strip() == "and 4 more"
        for key, passed in (("down", names), ("up", names[::-1])):
            for name in passed:
                assert name in pointed_line(driver)
                assert len(driver.text("#strip").splitlines()) == 4
                if name != passed[-1]:
                    await driver.press(key)
        await driver.press("down", "down", "down", "down")
        await see_running(driver, names[2:])
        assert "run-4" in pointed_line(driver), "the pointer stays on its run"
        await see_running(driver, names[:2])
        assert "run-1" in pointed_line(driver)
        assert "more" not in driver.text("#strip")


async def test_a_run_that_a_script_started_is_seen_to_its_end(home: Home, slow_shop: Path) -> None:
    async with screens(home) as driver:
        script = threading.Thread(target=home.dgtui, args=("--run-job", "nightly"))
        script.start()
        await driver.until(lambda: "nightly" in driver.text("#strip"), "the script's run")
        await driver.press("w")
        home.open_gate()
        assert (await driver.watch_to_end()).snapshot.status == "completed"
        await driver.press("enter")
        assert "just now" in driver.rows("#datasources")[0]
        script.join()


async def test_a_crash_of_a_screen_leaves_the_run_alone(
    home: Home, slow_shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(self: JobsScreen) -> None:
        raise ZeroDivisionError("a fault of a screen")

    monkeypatch.setattr(JobsScreen, "gather", crash)
    engine = home.engine()

    async def open_the_jobs() -> None:
        async with screens(home) as driver:
            await driver.press("b", "enter")
            await see_it_run(driver)
            await driver.press("h")
            await driver.pilot.press("3")
            await driver.pilot.pause()

    with pytest.raises(ZeroDivisionError, match="a fault of a screen"):
        await open_the_jobs()
    run_id = engine.running()[0].run_id
    home.open_gate()
    assert home.finish(engine, run_id).status == "completed"


async def test_markup_in_names_of_databases_and_tables_in_log_lines_and_in_a_servers_errors_is_shown_literally(
    home: Home, shop: Path, postgres_server: PostgresServer
) -> None:
    with postgres_server.database() as database, postgres_server.connect(database) as connection:
        connection.execute(f'CREATE TABLE "{NAME}" AS SELECT 1 AS i')
        connection.commit()
        text = f'host = "127.0.0.1"\nport = {postgres_server.port}\nusername = "postgres"\n'
        real = f'[datasources.shop]\ntype = "postgres"\n{text}database = "{database}"\n'
        gone = f'[datasources.gone]\ntype = "postgres"\n{text}database = "{NAME}"\n'
        home.configure(real + gone)
        async with screens(home) as driver:
            await driver.press("down")
            assert f'There is no database "{NAME}"' in driver.text("#details")
            await driver.press("up", "b", "enter")
            assert (await driver.watch_to_end()).snapshot.status == "completed"
            await driver.press("l")
            assert isinstance(driver.screen, LogScreen)
            await driver.until(lambda: any(NAME in row for row in driver.rows("#log")), "the table in the log")
            await driver.press("escape", "escape", "2", "r")
            assert any(NAME in row for row in driver.rows("#tables"))
            driver.app.tell(f"a message of {NAME}")
            await driver.settle()
            drawn = "".join(strip.text for strip in driver.screen._compositor.render_strips())
            assert f"a message of {NAME}" in drawn


async def test_what_ended_a_run_is_told_once(home: Home, shop: Path) -> None:
    """On a small terminal there is no room for saying it again as a warning."""
    home.storage("nas").write_text("no folder")
    async with screens(home) as driver:
        await driver.press("b", "enter")
        panel = await driver.watch_to_end()
        assert (panel.snapshot.status, panel.snapshot.problem is None) == ("partial", False)
        reason = panel.snapshot.problem.message if panel.snapshot.problem is not None else ""
        assert driver.text("#outcome").count(reason) == 1
        await driver.press("l")
        assert len([row for row in driver.rows("#log") if reason in row and "  nas: " not in row]) == 1
        listed = Notifications(driver.app.engine.catalog).listed()
        (told,) = (one for one in listed if one.kind == "backup_partial")
        assert len([line for line in told.details if reason in line]) == 1


def test_a_log_that_grows_keeps_every_line_once(home: Home, shop: Path) -> None:
    run_id = home.back_up().execution_id
    engine = home.engine()
    file = engine.paths.messages(run_id)
    lines = file.read_bytes().splitlines(keepends=True)
    every = GrowingLog(run_id, Look()).read(engine)
    growing = GrowingLog(run_id, Look())
    seen = []
    for count in range(len(lines) + 1):
        file.write_bytes(b"".join(lines[:count]))
        # Nobody writes to a file that is not whole: the run counts as interrupted, and that is told at the end.
        seen.append(len([row for row in growing.read(engine) if not row.key.startswith("end")]))
    assert seen == sorted(seen)
    assert len(set(seen)) > 2, "it grew"
    assert growing.read(engine) == every
    assert len({row.key for row in every}) == len(every)


async def test_a_run_whose_log_was_cleared_away_is_not_called_interrupted(tmp_path: Path) -> None:
    async with still_screens(tmp_path) as driver:
        await driver.press("6", "l")
        assert isinstance(driver.screen, LogScreen)
        assert driver.rows("#log") == []


async def test_a_run_whose_worker_was_killed_is_recorded_by_the_screens_that_saw_it(home: Home, shop: Path) -> None:
    """Without a daemon it stood in History as running for as long as the screens were open."""
    home.configure(sqlite_table("shop", shop), job='before = ["sh", "-c", "kill -9 $PPID"]')
    async with screens(home) as driver:
        await driver.press("b", "enter")
        panel = await driver.watch_to_end()
        assert panel.snapshot.died
        await driver.until(lambda: driver.app.engine.execution(panel.run_id).status == "interrupted", "the record")
        await driver.press("escape", "6")
        [row] = driver.rows("#history")
        assert "interrupted" in row
        assert "The worker ended without notice" in driver.text("#details")
