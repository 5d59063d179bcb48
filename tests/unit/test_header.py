"""The tabs in a line as wide as the terminal."""

import pytest

from dgtui.screens.header import tab_line

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
