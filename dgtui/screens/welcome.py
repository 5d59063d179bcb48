"""The first start: three steps to a first backup, or the demo."""

import os
from typing import Literal

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Button, Static

from dgtui.screens.dialog import Dialog
from dgtui.wording.words import one_line

WelcomeChoice = Literal["new", "demo"]


class WelcomeScreen(Dialog[WelcomeChoice]):
    """Gives what to begin with."""

    AUTO_FOCUS = "#new"

    def __init__(self) -> None:
        super().__init__("Welcome to DataGuardian")

    def compose_dialog(self) -> ComposeResult:
        """What it does, and what to do first."""
        for line in (
            "It backs up databases and folders, shows where every copy lies, and gets the data back.",
            "",
            "Nothing is configured yet. Three steps lead to the first backup:",
            "  1  a datasource: what is backed up; its form tests the connection",
            "  2  a storage: the folder that holds the backups",
            "  3  back up now",
            "",
            "Or try it with a small shop of its own, in a temporary folder.",
        ):
            yield Static(line, markup=False)
        path = self.engine_app.config.path
        if path is not None and not os.path.lexists(path):
            # Whoever has configured something would else believe that it is lost.
            told = f"There is no {one_line(str(path))}, where a configuration is looked for."
            yield Static(told, markup=False, classes="wrong")
        with Horizontal(classes="buttons"):
            yield Button("New datasource", id="new", variant="primary", compact=True)
            yield Button("Demo", id="demo", compact=True)
            yield Button("Later", id="no", compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """One of the three."""
        match event.button.id:
            case "new":
                self.dismiss("new")
            case "demo":
                self.dismiss("demo")
            case _:
                self.dismiss(None)
