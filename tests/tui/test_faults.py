"""A fault of the screens themselves: told in two lines, without the values of variables; none while they close."""

from pathlib import Path

import pytest
from textual.screen import Screen

from tests.support.homes import Home
from tests.tui.driver import make_app


class Closing(Screen[None]):
    """Looks for what is not there any more, since the program comes to its end just now."""

    def on_mount(self) -> None:
        """The end comes first."""
        self.app.exit(7, return_code=7)
        self.query_one("#gone")


class Faulty(Screen[None]):
    """Has a fault, and a secret at hand."""

    def on_mount(self) -> None:
        """Nothing but a fault."""
        password = "hunter" + "2"
        raise RuntimeError(f"something of {len(password)} signs is wrong")


def test_what_is_gone_when_the_program_ends_is_no_fault(home: Home, shop: Path) -> None:
    app = make_app(home)
    app.call_later(app.push_screen, Closing())
    app.run(headless=True)
    app.close_engine()
    assert app.return_code == 7


@pytest.mark.parametrize("wanted", [False, True])
def test_a_fault_is_told_without_the_values_of_variables(
    home: Home, shop: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *, wanted: bool
) -> None:
    if wanted:
        monkeypatch.setenv("DGTUI_TRACEBACK", "1")
    app = make_app(home)
    app.call_later(app.push_screen, Faulty())
    app.run(headless=True)
    app.close_engine()
    told = capsys.readouterr()
    shown = told.out + told.err
    assert app.return_code == 1
    assert "something of 7 signs is wrong" in shown
    assert "hunter2" not in shown
    assert ("a fault of dgtui itself" in shown, "Traceback" in shown) == (not wanted, wanted)
