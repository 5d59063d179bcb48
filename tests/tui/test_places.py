"""Every place and its keys."""

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.command import CommandPalette
from textual.widgets import Button, OptionList

from dgtui.engine.locks import take_lock
from dgtui.engine.model import Execution
from dgtui.screens.confirm import ConfirmScreen
from dgtui.screens.copies import CopyChoiceScreen
from dgtui.screens.execution import ExecutionScreen
from dgtui.screens.forms.form import FormScreen
from dgtui.screens.keys import KeysScreen
from dgtui.screens.log import LogScreen
from dgtui.screens.restore import RestoreScreen
from dgtui.screens.run import RunScreen
from dgtui.screens.widgets.listing import Listing
from dgtui.wording.terminal import Look
from dgtui.wording.words import short_id, time_text
from tests.support.homes import Home
from tests.tui.conftest import make_shop, sqlite_table
from tests.tui.driver import Driver, make_app, screens

_RULES = 'schedule = "0 3 * * *"\nretention = { max_age = "30d" }'


def folder_at(execution: Execution, storage: str) -> Path:
    """Where a copy lies."""
    return next(Path(copy.path) for copy in execution.copies if copy.storage == storage)


def spoil(database: Path) -> None:
    """Make it something else."""
    database.write_bytes(b"this is no database, whatever its name says" * 100)


def drawn_lines(driver: Driver) -> str:
    """All that is seen."""
    return "\n".join(strip.text for strip in driver.screen._compositor.render_strips())


def drawn_rows(driver: Driver, selector: str) -> str:
    """The rows of a table as they are drawn."""
    listing = driver.widget(selector, Listing)
    return "\n".join(listing.render_line(y).text for y in range(1, listing.size.height))


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


async def choose_in_palette(driver: Driver, typed: str, title: str) -> None:
    """Type into the palette, and choose what stands first in it then."""
    palette = driver.screen
    assert isinstance(palette, CommandPalette)
    await driver.type(typed)

    def stands_first() -> bool:
        found = palette.query_one(OptionList)
        return found.highlighted == 0 and str(found.get_option_at_index(0).prompt).splitlines()[0] == title

    await driver.until(stands_first, f"{title} as the first of what is found")
    await driver.pilot.press("enter")
    await driver.until(lambda: driver.screen is not palette, "the end of the palette")


async def test_the_palette_changes_the_theme(home: Home, shop: Path) -> None:
    async with screens(home) as driver:
        await driver.press("ctrl+p")
        await choose_in_palette(driver, "theme", "Theme")
        await driver.until(lambda: isinstance(driver.screen, CommandPalette), "the themes")
        await choose_in_palette(driver, "ansi-light", "ansi-light")
        await driver.until(lambda: driver.app.theme == "ansi-light", "the theme")
        await driver.until(lambda: driver.focused == "datasources", "the place")


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


# The frame


async def test_numbers_and_clicks_change_the_place(home: Home, shop: Path) -> None:
    async with screens(home) as driver:
        for key, mode in zip(
            "0123456",
            ("overview", "datasources", "backups", "jobs", "storages", "notifications", "history"),
            strict=True,
        ):
            await driver.press(key)
            assert driver.app.current_mode == mode
        await driver.pilot.click("#tabs", offset=(3, 0))
        await driver.settle()
        assert driver.app.current_mode == "overview"


async def test_filter_and_escape(home: Home, shop: Path) -> None:
    home.configure("".join(sqlite_table(name, shop) for name in ("shop", "shop-old", "crm")))
    async with screens(home) as driver:
        await driver.press("slash")
        assert driver.focused == "filter"
        await driver.type("old")
        assert [row.split()[0] for row in driver.rows("#datasources")] == ["shop-old"]
        await driver.press("enter")
        assert driver.focused == "datasources"
        assert driver.text("#filtered").strip() == "filter: old   1 of 3 rows   Esc shows all"
        assert driver.text("#filtered") in drawn_lines(driver)
        home.configure("".join(sqlite_table(name, shop) for name in ("shop", "shop-old", "older")))
        driver.app.engine.reload()
        driver.app.config_changed()
        await driver.settle()
        assert "2 of 3 rows" in driver.text("#filtered")
        await driver.press("escape")
        assert len(driver.rows("#datasources")) == 3
        assert not driver.screen.query_one("#filtered").display


async def test_a_filtered_list_of_datasources_is_whole_again_by_escape_from_the_backups(home: Home, shop: Path) -> None:
    home.back_up()
    async with screens(home) as driver:
        await driver.press("2", "left", "slash")
        await driver.type("sho")
        await driver.press("enter", "right")
        assert driver.focused == "executions"
        assert "filter: sho   1 of 1 rows" in driver.text("#filtered")
        await driver.press("escape")
        assert driver.app.current_mode == "backups"
        assert not driver.widget("#sources", Listing).filter
        await driver.press("escape")
        assert driver.app.current_mode == "datasources"


async def test_sorting_by_key_and_by_mouse(home: Home, shop: Path) -> None:
    home.configure("".join(sqlite_table(name, shop) for name in ("shop", "alpha", "crm")))
    async with screens(home) as driver:

        def names() -> list[str]:
            return [row.split()[0] for row in driver.rows("#datasources")]

        assert names() == ["shop", "alpha", "crm"]
        await driver.press("s")
        assert names() == ["alpha", "crm", "shop"]
        assert driver.widget("#datasources", Listing).key == "shop", "the cursor stays on its row"
        await driver.press("S")
        assert names() == ["shop", "crm", "alpha"]
        await driver.pilot.click("#datasources", offset=(2, 0))
        assert names() == ["alpha", "crm", "shop"]


async def test_all_keys_are_listed_and_the_palette_finds_every_action(home: Home, shop: Path) -> None:
    async with screens(home) as driver:
        titles = {command.title for command in driver.app.get_system_commands(driver.screen)}
        assert {"Back up", "Restore", "Check", "New", "Edit", "Delete", "Filter", "Keys", "Quit"} <= titles
        assert "Go to History" in titles
        await driver.press("5")
        titles_there = [command.title for command in driver.app.get_system_commands(driver.screen)]
        assert titles_there.count("Audit log") == 1, "it has two keys there"
        await driver.press("1", "question_mark")
        assert isinstance(driver.screen, KeysScreen)
        keys = "\n".join(driver.rows("#keys"))
        for name in ("datasource.back_up", "datasource.restore", "list.filter", "list.sort", "app.quit"):
            assert name in keys
        await driver.press("escape", "ctrl+p")
        await choose_in_palette(driver, "history", "Go to History")
        await driver.until(lambda: driver.app.current_mode == "history", "the palette's command")


async def test_keys_can_be_changed(home: Home, shop: Path) -> None:
    async with screens(home) as driver:
        driver.app.set_keymap({"datasource.back_up": "f6"})
        await driver.press("b")
        assert driver.app.screen.id != "box"
        assert not driver.screen.query("#go")
        await driver.press("f6")
        assert driver.screen.query("#go")


async def test_markup_and_escapes_in_names_and_errors_are_shown_literally(home: Home, shop: Path) -> None:
    path = home.folder / "[bold red]x[/] \x1b[31m.db"
    home.configure(sqlite_table("shop", path) + 'description = "[b]not bold[/b]"\n')
    async with screens(home) as driver:
        assert "[bold red]x[/] \\x1b[31m.db" in driver.text("#details")
        await driver.press("b", "enter")
        panel = await driver.watch_to_end()
        assert panel.snapshot.status == "failed"
        assert "[bold red]x[/] \\x1b[31m.db" in driver.text("#outcome")
        await driver.press("l")
        await driver.press("escape", "escape", "6")
        assert "[bold red]x[/]" in driver.text("#details")


async def test_without_utf8_only_ascii_is_drawn(home: Home, shop: Path) -> None:
    home.back_up()
    async with screens(home, look=Look(unicode=False)) as driver:
        for key in "123456":
            await driver.press(key)
            drawn = "".join(strip.text for strip in driver.screen._compositor.render_strips())
            assert drawn.isascii(), sorted({character for character in drawn if not character.isascii()})


async def test_narrow_terminals_leave_columns_out(home: Home, shop: Path) -> None:
    home.configure(sqlite_table("shop", shop) + sqlite_table("the-shop-of-the-branch-in-the-old-town-hall", shop))
    for width, shown in ((80, False), (120, True)):
        async with screens(home, size=(width, 24)) as driver:
            header = driver.widget("#datasources", Listing).render_line(0).text
            assert ("Latency" in header) is shown
            assert "Last backup" in header
            assert "the-shop-of-the-branch-in-the-old-town-hall" in drawn_rows(driver, "#datasources")


async def test_one_endless_name_takes_no_column_from_the_others(home: Home, shop: Path) -> None:
    home.configure(sqlite_table("shop", shop) + sqlite_table("-".join(["the-shop-of-the-branch"] * 4), shop))
    async with screens(home, size=(120, 24)) as driver:
        header = driver.widget("#datasources", Listing).render_line(0).text
        assert "Latency" in header
        assert "Checked" in header
        assert "the-shop-of-the-branch-the-shop-of-the-branch" in drawn_rows(driver, "#datasources")


async def test_backups_show_ratio_duration_and_expiry_beside_the_datasources(home: Home, shop: Path) -> None:
    home.configure(sqlite_table("shop", shop), storages=("disk", "nas"), job=_RULES)
    kept, expiring = home.back_up(), home.back_up()
    home.engine().retention.pin(kept, "the audit")
    async with screens(home, size=(120, 40)) as driver:
        await driver.press("2")
        header = driver.widget("#executions", Listing).render_line(0).text.split()
        assert header == ["Taken", "Kind", "Size", "Ratio", "Took", "disk", "nas", "Expires", "Proven"]
        newest, oldest = driver.rows("#executions")
        assert re.search(r"in (29|30|31) d", newest), newest
        assert "pinned" in oldest
        assert expiring.execution_id[:8] in driver.text("#details")
        assert "would go on" in driver.text("#details").splitlines()[1]
    async with screens(home, size=(80, 24)) as driver:
        await driver.press("2")
        assert "Expires" not in driver.widget("#executions", Listing).render_line(0).text
        assert "pinned" in driver.rows("#executions")[1], "with the proof where there is no column for it"


async def test_quitting_with_nothing_running_just_quits(home: Home, shop: Path) -> None:
    async with screens(home) as driver:
        await driver.pilot.press("q")
        await driver.until(lambda: not driver.app.is_running or driver.app._exit, "the end")


@pytest.mark.parametrize(
    ("editor", "told"),
    [
        ("vi-of-a-test", ""),
        ("missing-editor", "could not be started"),
        ("vi 'never closed", "EDITOR cannot be read: No closing quotation"),
        ("failing-vi", "failing-vi ended with exit code 3"),
        ("killed-vi", "killed-vi ended with signal 9 (SIGKILL)"),
    ],
)
async def test_what_a_person_wrote_opens_in_the_editor_at_its_line(
    home: Home, shop: Path, monkeypatch: pytest.MonkeyPatch, editor: str, told: str
) -> None:
    note = home.folder / "note"
    program = home.folder / "vi-of-a-test"
    program.write_text(f'#!/bin/sh\necho "$@" > {note}\n')
    (home.folder / "failing-vi").write_text("#!/bin/sh\nexit 3\n")
    (home.folder / "killed-vi").write_text("#!/bin/sh\nkill -9 $$\n")
    for made in home.folder.glob("*vi*"):
        made.chmod(0o700)
    monkeypatch.setenv("EDITOR", str(home.folder / editor))
    monkeypatch.delenv("VISUAL", raising=False)
    app = make_app(home)
    async with app.run_test(notifications=True) as pilot:
        driver = Driver(app, pilot, [])
        await driver.settle()
        handed_over = []

        @contextlib.contextmanager
        def suspend(_: object) -> Iterator[None]:
            """As with a real terminal, it does not come back where something is raised within."""
            handed_over.append("to the editor")
            yield
            handed_over.append("back")

        monkeypatch.setattr(type(app), "suspend", suspend)
        await driver.press("e")
        assert handed_over in (["to the editor", "back"], [])
        if told:
            assert any(told in toast for toast in driver.toasts)
        else:
            assert note.read_text() == f"+1 {home.config_path}\n"
    app.close_engine()
    assert os.environ["EDITOR"].endswith(editor)


async def test_leaving_while_something_runs_says_that_it_goes_on(home: Home, shop: Path) -> None:
    async with screens(home) as driver:
        run_id = driver.app.engine.start_job("nightly")
        driver.app._stop_sampling.set()
        info = driver.app.engine.run_info(run_id)
        assert info is not None
        from dgtui.engine.run_follower import RunSnapshot
        from dgtui.engine.watching import WatchedRun
        from dgtui.screens.engine_app import RunsSampled

        snapshot = RunSnapshot(run_id=run_id, status="running", phase="dump")
        driver.app.post_message(RunsSampled((WatchedRun(info=info, snapshot=snapshot),)))
        await driver.settle()
        assert "nightly" in driver.text("#strip")
        await driver.press("q")
        assert isinstance(driver.screen, ConfirmScreen)
        assert "goes on" in "".join(str(widget.render()) for widget in driver.screen.query("Static"))
        await driver.press("escape")
        assert driver.app.is_running
        driver.screen.query_one("#strip").focus()
        await driver.press("enter")
        assert driver.run_screen().run_id == run_id


async def test_the_history_tells_on_a_narrow_terminal_what_was_restored_from_which_backup(
    home: Home, shop: Path
) -> None:
    execution = home.back_up()
    home.engine().mark_restored(execution, reason="by hand")
    source = f"shop from {short_id(execution.execution_id)}"
    async with screens(home, size=(80, 24)) as driver:
        await driver.press("6")
        listing = driver.widget("#history", Listing)
        drawn = [listing.render_line(number).text for number in range(3)]
        assert "Took" in drawn[0]
        assert source in drawn[1]
        assert "disk, nas" in drawn[2]
        minute, whole = drawn[2].split("  ")[0].strip(), time_text(execution.started_at)
        assert minute == whole[:16]
        await driver.press("down")
        assert "took" in driver.text("#details")
        await driver.pilot.resize_terminal(120, 40)
        await driver.settle()
        assert whole in listing.render_line(2).text
