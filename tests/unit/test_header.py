"""The tabs in a line as wide as the terminal."""

from datetime import UTC, datetime, timedelta

import pytest

from dgtui.config import Config
from dgtui.engine.guardian.overview import NextRun
from dgtui.screens.guard import Pulse
from dgtui.screens.header import header_line, tab_line
from dgtui.wording.terminal import Look

TITLES = {"datasources": "Datasources", "backups": "Backups", "jobs": "Jobs", "notifications": "Notifications"}


@pytest.mark.parametrize("unread", ["", " (2)", " (39)", " (12345)"])
def test_tabs_are_shortened_to_any_width_and_no_further_than_they_can_be(unread: str) -> None:
    """A terminal may be as small as its window is drawn, and the count at the end of a tab does not get shorter."""
    titles = {**TITLES, "notifications": f"Notifications{unread}"}
    for width in range(100):
        line = tab_line(titles, "jobs", width)
        text = "".join(piece.text for piece in line)
        assert " 2 Jobs " in text
        assert unread in text
        assert len(text) <= max(width, len(" 0 D.  1 B.  2 Jobs  3 N. ") + len(unread)), "what could go has gone"
    assert [piece.text for piece in line] == [f" {place} {title} " for place, title in enumerate(titles.values())]


@pytest.mark.parametrize("unicode", [True, False])
def test_of_a_next_run_with_a_long_name_the_time_is_seen(unicode: bool) -> None:
    now = datetime(2026, 11, 27, 10, 0, tzinfo=UTC)
    run = NextRun(job="every-table-of-the-shop-and-of-all-others", due_at=now, starts_at=now + timedelta(hours=2))
    pulse = Pulse(daemon=True, next_run=run)
    line = header_line(pulse, Config(), Look(unicode=unicode), now, 60)
    text = "".join(piece.text for piece in line)
    assert len(text) == 60
    assert "next: every" in text
    assert text.endswith(f"{'…' if unicode else '...'} in 2 h ")
