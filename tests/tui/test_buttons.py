"""Which button has the focus can be told from the others, in every theme, and nothing covers one; marks can be read."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from rich.style import Style
from textual.widgets import Button, Input
from textual.widgets._toast import Toast, ToastRack

from dgtui.screens.confirm import ConfirmScreen
from dgtui.screens.widgets.choice import Choice
from dgtui.screens.widgets.listing import Listing
from tests.tui.driver import Driver
from tests.tui.still_life import still_app
from tests.tui.test_pictures import PLACES, SIZES

THEMES = ("dataguardian-dark", "dataguardian-light", "ansi-dark", "ansi-light")
_BRIGHT_WHITE, _BLUE = 15, 4


def numbers_of(style: Style) -> tuple[int | None, int | None]:
    """The numbers that the terminal's own colours of a text and its background have."""
    return style.color and style.color.number, style.bgcolor and style.bgcolor.number


def cells_of(button: Button) -> set[tuple[object, bool]]:
    """The background of each column of a button, and whether it is turned around."""
    line = button.render_line(0)
    return {(piece.style.bgcolor, bool(piece.style.reverse)) for piece in line if piece.style is not None}


@asynccontextmanager
async def in_theme(tmp_path: Path, theme: str, colour: bool, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Driver]:
    """The program with that look."""
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")
    app = still_app(tmp_path)
    app.theme = theme
    try:
        async with app.run_test(size=(80, 24)) as pilot:
            driver = Driver(app, pilot, [])
            await driver.settle()
            yield driver
    finally:
        app.close_engine()


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(("keys", "others"), [(("b",), ("go", "no")), (PLACES["delete"], ("no", "yes"))])
async def test_only_the_button_with_the_focus_looks_like_it(
    tmp_path: Path,
    theme: str,
    colour: bool,
    keys: tuple[str, ...],
    others: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with in_theme(tmp_path, theme, colour, monkeypatch) as driver:
        await driver.press(*keys)
        first, second = (driver.widget(f"#{name}", Button) for name in others)
        looks = []
        for focused in (first, second):
            focused.focus()
            await driver.settle()
            looks.append((cells_of(first), cells_of(second)))
        unfocused = looks[1][0], looks[0][1]
        assert unfocused[0] == unfocused[1], "what a button is for does not make it look focused"
        for has_focus, has_not in (looks[0], looks[1][::-1]):
            assert len(has_focus) == 1, "the whole of it is of one colour"
            assert has_focus != has_not


@pytest.mark.parametrize("colour", [True, False])
@pytest.mark.parametrize("theme", THEMES)
async def test_where_one_is_in_a_dialog_is_seen(
    tmp_path: Path, theme: str, colour: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_theme(tmp_path, theme, colour, monkeypatch) as driver:
        await driver.press(*PLACES["restore"])
        for selector, other in (
            ("#storage", "#what"),
            ("#what", "#storage"),
            ("#safety", "#what"),
            ("#deep", "#what"),
            ("#reason", "#what"),
            ("#confirm", "#what"),
            ("#no", "#what"),
        ):
            looks = []
            for focused in (selector, other):
                driver.screen.query_one(focused).focus()
                await driver.settle()
                region = driver.screen.query_one(selector).region
                line = driver.screen._compositor.render_strips()[region.y].crop(region.x, region.right)
                looks.append([(piece.text, piece.style) for piece in line])
            assert looks[0] != looks[1], selector


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "place",
    ["restore", "restored", "undo", "back-up", "form", "storage-form", "job-form", "rehearse", "mark-restored", "pin",
     "copies", "objects", "drop", "delete", "daemon"],
)  # fmt: skip
async def test_what_is_told_meanwhile_covers_no_button(tmp_path: Path, place: str, size: str) -> None:
    app = still_app(tmp_path)
    try:
        async with app.run_test(size=SIZES[size], notifications=True) as pilot:
            driver = Driver(app, pilot, [])
            await driver.settle()
            await driver.press(*PLACES[place])
            app.tell("The server does not answer", hint="Is it running?", title="backup crm: failed", severity="error")
            app.tell("backup shop-nightly: completed")
            await driver.until(lambda: len(driver.screen.query(Toast)) == 2, "the toasts")
            await driver.settle()
            buttons = [button.region for button in driver.screen.query(Button)]
            assert buttons
            for toast in driver.screen.query(Toast):
                assert toast.region.height
                assert not any(toast.region.overlaps(button) for button in buttons), (toast.region, buttons)
    finally:
        app.close_engine()


@pytest.mark.parametrize("size", SIZES)
async def test_what_is_told_covers_nothing_of_what_is_said_of_the_selected_row(tmp_path: Path, size: str) -> None:
    """An error's hint is read there while the toast of the next one stands."""
    app = still_app(tmp_path)
    try:
        async with app.run_test(size=SIZES[size], notifications=True) as pilot:
            driver = Driver(app, pilot, [])
            await driver.settle()
            app.tell("backup shop-nightly: completed")
            for place in "123456":
                await driver.press(place)
                await driver.until(lambda: bool(driver.screen.query(Toast)), "the toast")
                await driver.settle()
                details = driver.screen.query_one("#details").region
                for toast in driver.screen.query(Toast):
                    assert toast.region.height
                    assert not toast.region.overlaps(details), (place, toast.region, details)
    finally:
        app.close_engine()


async def test_a_dialog_that_is_being_closed_asks_for_no_place_for_what_is_told(tmp_path: Path) -> None:
    app = still_app(tmp_path)
    try:
        async with app.run_test(size=(80, 24)) as pilot:
            driver = Driver(app, pilot, [])
            await driver.settle()
            await driver.press(*PLACES["delete"])
            dialog = driver.screen
            assert isinstance(dialog, ConfirmScreen)
            await dialog.query(ToastRack).remove()
            dialog.place_toasts()
            await dialog.query("#box").remove()
            dialog.place_toasts()
    finally:
        app.close_engine()


@pytest.mark.parametrize("theme", ["ansi-light", "ansi-dark"])
async def test_what_is_marked_in_the_blue_of_the_terminal_can_be_read(
    tmp_path: Path, theme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_theme(tmp_path, theme, True, monkeypatch) as driver:
        await driver.press("2", "left", "end", "right", "down")
        sources = driver.widget("#sources", Listing)
        assert not sources.has_focus
        marked = sources.get_component_rich_style("styled--cursor", partial=True)
        assert numbers_of(marked) == (_BRIGHT_WHITE, _BLUE)
        await driver.press("p")
        entered = driver.widget("#reason", Input).rich_style
        assert numbers_of(entered) == (_BRIGHT_WHITE, _BLUE)
        await driver.press("escape", "r")
        chosen = driver.widget("#storage", Choice).rich_style
        assert numbers_of(chosen) == (_BRIGHT_WHITE, _BLUE)
