"""What all places have in common, on a real engine: keys, filter, sorting, palette, widths, signs, leaving."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.command import CommandPalette
from textual.widgets import OptionList

from dgtui.screens.confirm import ConfirmScreen
from dgtui.screens.keys import KeysScreen
from dgtui.screens.widgets.listing import Listing
from dgtui.wording.terminal import Look
from dgtui.wording.words import short_id, time_text
from tests.support.homes import Home
from tests.tui.conftest import sqlite_table
from tests.tui.driver import Driver, make_app, screens

_RULES = 'schedule = "0 3 * * *"\nretention = { max_age = "30d" }'


def drawn_lines(driver: Driver) -> str:
    """All that is seen."""
    return "\n".join(strip.text for strip in driver.screen._compositor.render_strips())


def drawn_rows(driver: Driver, selector: str) -> str:
    """The rows of a table as they are drawn."""
    listing = driver.widget(selector, Listing)
    return "\n".join(listing.render_line(y).text for y in range(1, listing.size.height))


async def test_numbers_and_clicks_change_the_place(home: Home, shop: Path) -> None:
    async with screens(home) as driver:
        for key, mode in zip(
            "01234567",
            ("overview", "datasources", "backups", "jobs", "storages", "notifications", "history", "audit"),
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


async def test_all_keys_are_listed_and_the_palette_finds_every_action(home: Home, shop: Path) -> None:
    async with screens(home) as driver:
        titles = {command.title for command in driver.app.get_system_commands(driver.screen)}
        assert {"Back up", "Restore", "Check", "New", "Edit", "Delete", "Filter", "Keys", "Quit"} <= titles
        assert "Go to History" in titles
        await driver.press("question_mark")
        assert isinstance(driver.screen, KeysScreen)
        keys = "\n".join(driver.rows("#keys"))
        for name in ("datasource.back_up", "datasource.restore", "list.filter", "list.sort", "app.quit"):
            assert name in keys
        await driver.press("escape", "ctrl+p")
        await choose_in_palette(driver, "history", "Go to History")
        await driver.until(lambda: driver.app.current_mode == "history", "the palette's command")


async def test_the_palette_changes_the_theme(home: Home, shop: Path) -> None:
    async with screens(home) as driver:
        await driver.press("ctrl+p")
        await choose_in_palette(driver, "theme", "Theme")
        await driver.until(lambda: isinstance(driver.screen, CommandPalette), "the themes")
        await choose_in_palette(driver, "ansi-light", "ansi-light")
        await driver.until(lambda: driver.app.theme == "ansi-light", "the theme")
        await driver.until(lambda: driver.focused == "datasources", "the place")


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
