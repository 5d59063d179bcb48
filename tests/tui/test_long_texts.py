"""Texts that are longer than the terminal is wide: nothing of an error or of what to do about it is lost."""

import shutil
from pathlib import Path

import msgspec
import pytest
from textual.app import App, ComposeResult
from textual.containers import Horizontal
from textual.widgets import Button, Input

from dgtui.engine.health_model import Watched
from dgtui.engine.messages import now
from dgtui.engine.model import Problem
from dgtui.engine.notification_model import Notification
from dgtui.screens.forms.fields import SettingField
from dgtui.screens.notification import NotificationScreen
from dgtui.screens.text import TextScreen
from dgtui.screens.widgets.choice import Choice, Option
from dgtui.screens.widgets.details import Details, wrapped_line
from dgtui.screens.widgets.key_bar import KeyBar
from dgtui.screens.widgets.listing import Listing
from dgtui.wording.panel import Span
from dgtui.wording.terminal import Look
from tests.support.homes import Home
from tests.tui.conftest import sqlite_table
from tests.tui.driver import Driver, screens
from tests.tui.still_life import still_screens

MESSAGE = "The server at db-of-the-branch-in-the-old-town.example.org does not answer: connection refused by the server"
HINT = (
    "Is it running, and does it listen there? See: pg_isready -h db-of-the-branch-in-the-old-town.example.org -p 59999"
)


def spoil(database: Path) -> None:
    """Make it something else."""
    database.write_bytes(b"this is no database, whatever its name says" * 100)


def drawn(driver: Driver) -> str:
    """All that is seen, with single blanks."""
    return " ".join(" ".join(strip.text for strip in driver.screen._compositor.render_strips()).split())


def test_a_text_is_wrapped_at_its_words_and_what_is_left_out_is_marked() -> None:
    line = (Span(" "), Span("one two", "bad"), Span(" three"))
    assert wrapped_line(line, 9) == [
        (Span(" "), Span("one two", "bad")),
        (Span(" three"),),
    ]
    assert wrapped_line(line, 40) == [line]
    assert wrapped_line(line, 6) == [
        (Span(" "), Span("one", "bad")),
        (Span(" "), Span("two", "bad")),
        (Span(" three"),),
    ]
    assert wrapped_line(line, 9, most=1, mark="…") == [(Span(" "), Span("one two", "bad"), Span("…", "dim"))]
    assert wrapped_line((Span("abcdefgh"),), 3) == [(Span("abc"),), (Span("def"),), (Span("gh"),)]
    assert wrapped_line((), 3) == [()]
    assert wrapped_line((Span("漢字漢字"),), 5) == [(Span("漢字"),), (Span("漢字"),)]


@pytest.mark.parametrize(("place", "listing"), [("6", "#history"), ("3", "#jobs")])
async def test_the_hint_of_a_failed_run_is_read_to_its_end(home: Home, shop: Path, place: str, listing: str) -> None:
    problem = Problem(kind="DatabaseConnectionError", message=MESSAGE, hint=HINT, detail=("pg_dump: error",) * 9)
    failed = msgspec.structs.replace(home.back_up(), status="failed", problem=problem)
    home.engine().catalog.save_execution(failed)
    async with screens(home, size=(80, 24)) as driver:
        await driver.press(place)
        assert "failed" in driver.rows(listing)[0]
        seen = drawn(driver)
        assert MESSAGE in seen
        assert HINT in seen


async def test_the_hint_of_a_datasource_that_does_not_answer_is_read_to_its_end(home: Home, shop: Path) -> None:
    gone = '[datasources.gone]\ntype = "postgres"\nhost = "127.0.0.1"\nport = 9\ndatabase = "x"\n'
    home.configure(sqlite_table("shop", shop) + gone)
    async with screens(home, size=(80, 24)) as driver:
        await driver.press("down")
        hint = driver.app.guard.pulse.state(Watched(kind="datasource", name="gone")).hint
        assert len(hint) > 60
        assert f"→ {hint}" in drawn(driver)


class DetailsApp(App[None]):
    """A few lines below nothing."""

    def compose(self) -> ComposeResult:
        """The lines."""
        yield Details(Look(), id="details")


async def test_what_there_is_no_room_for_is_marked() -> None:
    app = DetailsApp()
    async with app.run_test(size=(80, 24)) as pilot:
        details = app.query_one(Details)

        async def shown(*lines: str, rest: str = "") -> list[str]:
            details.show([(Span(line),) for line in lines], [(Span(rest),)])
            await pilot.pause()
            return [details.render_line(y).text.rstrip() for y in range(details.size.height)]

        rows = await shown(MESSAGE * 3, HINT, rest="the rest")
        assert rows[0].endswith("…")
        assert " ".join(rows[1:]) == HINT
        rows = await shown("short", rest="x" * 1000)
        assert rows[0] == "short"
        assert rows[-1].endswith("x…")


async def test_a_notification_is_read_whole(home: Home, shop: Path) -> None:
    told = Notification(
        notification_id="1",
        kind="connection_lost",
        severity="critical",
        subject_kind="datasource",
        subject="shop",
        message=MESSAGE,
        details=(HINT,),
        created_at=now(),
    )
    async with screens(home, size=(80, 24)) as driver:
        driver.app.push_screen(NotificationScreen(told))
        await driver.settle()
        seen = drawn(driver).replace("│", "")
        assert MESSAGE in " ".join(seen.split())
        assert HINT in " ".join(seen.split())


async def test_a_long_line_of_the_log_is_read_to_its_end_and_so_is_why_a_run_failed(home: Home, shop: Path) -> None:
    long_line = "a line of the hook: " + " ".join(str(number) for number in range(100, 145)) + " the-end"
    assert len(long_line) > 200
    home.configure(sqlite_table("shop", shop), job=f'before = ["echo", "{long_line}"]')
    spoil(shop)
    execution = home.back_up()
    assert execution.status == "failed"
    problem = execution.problem
    assert problem is not None
    async with screens(home, size=(80, 24)) as driver:
        await driver.press("6", "l")
        await driver.until(lambda: len(driver.rows("#log")) > 1, "the log")
        await driver.settle()
        last = driver.rows("#log")[-2:]
        assert f"failed: {problem.message}" in last[0]
        assert problem.hint in last[1]
        assert problem.hint in drawn(driver).replace("│", "").replace("  ", " ")
        await driver.type("the-end")
        await driver.until(lambda: {"the-end" in row for row in driver.rows("#log")} == {True}, "what matches")
        await driver.settle()
        assert "144 the-end" in drawn(driver)
        await driver.press("enter", "enter")
        assert isinstance(driver.screen, TextScreen)
        assert "144 the-end" in drawn(driver)


async def test_an_error_told_on_a_narrow_terminal_takes_its_width_and_not_its_height(home: Home, shop: Path) -> None:
    async with screens(home, size=(80, 24)) as driver:
        driver.app.tell(MESSAGE, hint=HINT, severity="error")
        await driver.until(lambda: bool(driver.screen.query("Toast")), "the message")
        await driver.pilot.pause()
        toast = driver.screen.query("Toast").first()
        assert toast.region.width > 70
        assert toast.region.height <= 5
        assert HINT.split()[-1] in drawn(driver)


async def test_the_help_of_a_group_of_settings_is_read_whole(home: Home, shop: Path) -> None:
    async with screens(home, size=(80, 24)) as driver:
        await driver.press("3", "n")
        groups = [field for field in driver.screen.query(SettingField) if field.spec.kind == "group"]
        longest = max(groups, key=lambda field: len(field.spec.help))
        longest.scroll_visible(animate=False)
        await driver.settle()
        last_words = " ".join(longest.spec.help.split()[-3:])
        assert last_words in " ".join(drawn(driver).replace("│", "").split())


async def test_a_narrow_terminal_shortens_the_last_backup_and_keeps_when_it_was_checked(tmp_path: Path) -> None:
    async with still_screens(tmp_path) as driver:
        listing = driver.widget("#datasources", Listing)

        def crm() -> str:
            return " ".join(next(line for y in range(5) if "crm" in (line := listing.render_line(y).text)).split())

        assert "Checked" in listing.render_line(0).text
        assert "Latency" not in listing.render_line(0).text
        assert "1 min ago 29 h · 2.9 GB · 1/1 ✖ failed" in crm()
        await driver.pilot.resize_terminal(120, 24)
        await driver.settle()
        assert "Latency" in listing.render_line(0).text
        assert "1 min ago 29 h ago · 2.9 GB · 1 of 1 ✖ failed" in crm()


async def test_all_that_is_said_of_a_storage_can_be_read_on_a_narrow_terminal(home: Home, shop: Path) -> None:
    home.back_up()
    shutil.rmtree(home.storage("nas"))
    async with screens(home, size=(80, 24)) as driver:
        await driver.press("4", "down")
        await driver.until(lambda: "missing" in driver.rows("#storages")[1], "the answer")
        await driver.settle()
        assert "Enter Details" in driver.widget("KeyBar", KeyBar).keys
        await driver.press("enter")
        assert isinstance(driver.screen, TextScreen)
        seen = drawn(driver).replace("│", "").replace(" ", "")
        marker = str(home.storage("nas") / ".dgtui-storage.json").replace(" ", "")
        assert f">{marker}" in seen
        await driver.press("escape", "3")
        assert "by hand" in driver.text("#details")


async def test_what_a_restore_loses_is_seen_on_a_small_terminal_without_scrolling(tmp_path: Path) -> None:
    async with still_screens(tmp_path) as driver:
        await driver.press("2", "left", "end", "right", "down", "down", "r")
        assert "Lost what was written since" in drawn(driver)
        names = [line.split()[0] for line in driver.text("#preview").splitlines()]
        assert names.index("Target") < names.index("Lost") < names.index("How")


async def test_of_a_run_that_left_no_backup_no_manifest_is_missed(home: Home, shop: Path) -> None:
    spoil(shop)
    assert home.back_up().status == "failed"
    async with screens(home) as driver:
        await driver.press("6", "enter")
        assert "it left no backup" in driver.text("#text")
        assert "Manifest" not in driver.text("#text")
        assert "can be read now" not in driver.text("#text")


async def test_the_word_that_confirms_leaves_room_to_type_it_however_long_it_is(home: Home, shop: Path) -> None:
    name = "shop-of-the-branch-in-the-old-town-" + 65 * "x"
    job = f'[jobs.long]\ndatasource = "{name}"\nstorages = ["disk"]\n'
    home.configure(sqlite_table(name, shop) + sqlite_table("shop", shop), more=job)
    home.back_up("long")
    async with screens(home, size=(80, 24)) as driver:
        await driver.press("r")
        await driver.until(lambda: bool(driver.widget("#confirm-row", Horizontal).display), "the preview")
        await driver.settle()
        field = driver.widget("#confirm", Input)
        box = driver.screen.query_one("#box").region
        assert box.contains_region(field.region)
        assert field.region.width >= 20
        await driver.fill("#confirm", name)
        assert not driver.widget("#go", Button).disabled


async def test_what_is_typed_stays_within_its_dialog(home: Home, shop: Path) -> None:
    home.back_up()
    async with screens(home, size=(80, 24)) as driver:
        for keys in (("b",), ("r",), ("n",), ("6", "m"), ("2", "right", "p")):
            await driver.press("escape", "1", *keys)
            box = driver.screen.query_one("#box").region
            fields = [field for field in driver.screen.query(Input) if field.region]
            assert fields, keys
            assert [field.id for field in fields if field.region.right >= box.right] == [], keys


class ChoiceApp(App[None]):
    """Two storages whose names differ in their ends alone."""

    def compose(self) -> ComposeResult:
        """One of them has another state."""
        look = Look(unicode=True, colour=False)
        mark = (Span(" "), Span("●"))
        yield Choice(
            [
                Option("automatic", "automatic"),
                Option("a", "the-second-computing-centre-of-hamburg", mark),
                Option("b", "the-second-computing-centre-of-bremen", mark, why_not="unreachable"),
                Option("nas", "nas", mark),
            ],
            look,
            id="storage",
        )


async def test_a_choice_that_is_longer_than_a_row_is_read_to_its_end_with_its_state() -> None:
    async with ChoiceApp().run_test(size=(30, 12)) as pilot:
        choice = pilot.app.query_one(Choice)
        assert [choice.render_line(y).text.rstrip() for y in range(choice.size.height)] == [
            "(•) automatic",
            "( ) the-second-computing-centr",
            "    e-of-hamburg ●",
            "(-) the-second-computing-centr",
            "    e-of-bremen ●: unreachable",
            "( ) nas ●",
        ]
        await pilot.click(Choice, offset=(8, 2))
        assert choice.key == "a"
        await pilot.click(Choice, offset=(8, 4))
        assert choice.key == "a", "it is not possible"
