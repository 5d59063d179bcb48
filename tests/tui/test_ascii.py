"""Nothing but ASCII is sent to a terminal without UTF-8."""

from pathlib import Path

import pytest

from dgtui.screens.engine_app import RunsSampled
from dgtui.wording.terminal import PLAIN
from tests.tui.driver import Driver
from tests.tui.still_life import still_run, still_screens
from tests.tui.test_shown_keys import DIALOGS

WAYS = {
    **{place: (place,) for place in "01234567"},
    **DIALOGS,
    "keys": ("question_mark",),
    "end of the keys": ("question_mark", "end"),
    "palette": ("ctrl+p",),
    "found in the palette": ("ctrl+p", *"theme"),
    "running": ("w",),
}


def drawn(driver: Driver) -> str:
    """Everything that is sent for the screen that is seen."""
    strips = driver.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


@pytest.mark.parametrize("way", WAYS)
async def test_only_ascii_is_drawn(tmp_path: Path, way: str) -> None:
    async with still_screens(tmp_path, look=PLAIN) as driver:
        driver.app.post_message(RunsSampled((still_run(),)))
        await driver.press(*WAYS[way])
        driver.app.tell("crème brûlée", hint="お茶", severity="error")
        await driver.settle()
        text = drawn(driver)
        assert text.isascii(), {character for character in text if not character.isascii()}
        assert "palette" in way or "creme brulee" in text
