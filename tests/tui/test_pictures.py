"""Pictures of the screens, in `snapshots/`; pytest with `--snapshot-update -W default` draws them anew."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_textual_snapshot
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.widgets import OptionList

from dgtui.app import DataGuardianApp
from dgtui.screens.engine_app import RunsSampled
from dgtui.wording.terminal import PLAIN
from tests.tui.driver import Driver
from tests.tui.still_life import empty_app, still_app, still_run

if TYPE_CHECKING:
    from syrupy.location import PyTestLocation

SNAPSHOTS = Path(__file__).parents[2] / "snapshots"
SIZES = {"80x24": (80, 24), "120x40": (120, 40)}
_SHOP = ("2", "left", "end", "right", "down")
PLACES = {
    "datasources": (),
    "overview": ("0", "tab"),
    "backups": ("2", "left", "end", "right", "down"),
    "jobs": ("3",),
    "storages": ("4", "down"),
    "notifications": ("5",),
    "notification": ("5", "enter"),
    "history": ("6", "down"),
    "restore": ("2", "left", "end", "right", "down", "down", "r"),
    "restore-in-place": ("down", "r"),
    "restored": ("6", "down", "enter"),
    "undo": ("6", "down", "u"),
    "back-up": ("b",),
    "form": ("n",),
    "keys": ("question_mark",),
    "rehearse": (*_SHOP, "down", "e"),
    "mark-restored": (*_SHOP, "m"),
    "pin": (*_SHOP, "p"),
    "copies": (*_SHOP, "down", "v"),
    "execution": (*_SHOP, "down", "enter"),
    "objects": (*_SHOP, "down", "r", "f3"),
    "drop": ("6", "down", "x"),
    "delete": (*_SHOP, "down", "x", "enter"),
    "log": ("6", "down", "down", "l"),
    "audit": ("7",),
    "daemon": ("D",),
    "undelivered": ("5", "u"),
    "storage-form": ("4", "n"),
    "job-form": ("3", "n"),
    "palette": ("ctrl+p",),
}
LOOKS = ("light", "no-colour", "ascii")


class _Pictures(pytest_textual_snapshot.SVGImageExtension):
    """Named after what they show, in the folder that the README takes them from."""

    @classmethod
    def dirname(cls, *, test_location: "PyTestLocation") -> str:
        return str(SNAPSHOTS)

    @classmethod
    def get_snapshot_name(cls, *, test_location: "PyTestLocation", index: Any = 0) -> str:
        found = re.search(r"\[(.+)\]", test_location.testname)
        assert found is not None
        return found[1]


@pytest.fixture(autouse=True)
def _still(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(pytest_textual_snapshot, "SVGImageExtension", _Pictures)
    monkeypatch.setattr("socket.gethostname", lambda: "db01")
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("NO_COLOR", raising=False)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("place", PLACES)
def test_picture(snap_compare: Callable[..., bool], tmp_path: Path, place: str, size: str) -> None:
    app = still_app(tmp_path)

    async def go(pilot: Pilot[Any]) -> None:
        driver = Driver(app, pilot, [])
        await driver.settle()
        await driver.press(*PLACES[place])
        if isinstance(app.screen, CommandPalette):
            await driver.until(lambda: bool(app.screen.query_one(OptionList).option_count), "the commands")

    assert snap_compare(app, run_before=go, terminal_size=SIZES[size])
    app.close_engine()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("place", ["welcome"])
def test_picture_of_the_first_start(snap_compare: Callable[..., bool], tmp_path: Path, place: str, size: str) -> None:
    app = empty_app(tmp_path)

    async def go(pilot: Pilot[Any]) -> None:
        await Driver(app, pilot, []).settle()

    assert snap_compare(app, run_before=go, terminal_size=SIZES[size])
    app.close_engine()


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("place", ["backups", "restore"])
def test_picture_of_a_look(
    snap_compare: Callable[..., bool], tmp_path: Path, place: str, look: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if look == "no-colour":
        monkeypatch.setenv("NO_COLOR", "1")
    app = still_app(tmp_path)
    if look == "light":
        app.theme = "dataguardian-light"
    if look == "ascii":
        app.look = PLAIN

    async def go(pilot: Pilot[Any]) -> None:
        driver = Driver(app, pilot, [])
        await driver.settle()
        await driver.press(*PLACES[place])

    assert snap_compare(app, run_before=go, terminal_size=SIZES["80x24"])
    app.close_engine()


async def _run(app: DataGuardianApp, pilot: Pilot[Any]) -> Driver:
    driver = Driver(app, pilot, [])
    await driver.settle()
    app.post_message(RunsSampled((still_run(),)))
    await driver.settle()
    return driver


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("place", ["running", "strip"])
def test_picture_of_a_run(snap_compare: Callable[..., bool], tmp_path: Path, place: str, size: str) -> None:
    app = still_app(tmp_path)

    async def go(pilot: Pilot[Any]) -> None:
        driver = await _run(app, pilot)
        if place == "running":
            await driver.press("w")

    assert snap_compare(app, run_before=go, terminal_size=SIZES[size])
    app.close_engine()
