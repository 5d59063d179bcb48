"""Questions in threads of their own: which answers are handed over, where more is asked meanwhile."""

import queue
import threading
from typing import Any

import pytest

from dgtui.screens.asking import Answered, Asking
from tests.support.homes import PATIENCE_SECONDS


class Node:
    """A widget that is there, and an application that gets messages."""

    is_attached = is_running = True

    def __init__(self) -> None:
        self.messages: queue.Queue[Answered] = queue.Queue()

    def post_message(self, message: Answered) -> None:
        """Keep it."""
        self.messages.put(message)


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [("", "", ["new"]), ("shop", "crm", ["new"]), ("", "shop", ["new"]), ("shop", "shop", ["old", "new"])],
)
def test_an_answer_that_is_outdated_already_is_told_only_where_the_next_is_about_the_same(
    first: str, second: str, told: list[str]
) -> None:
    node: Any = Node()
    asking, heard, goes_on = Asking(node, lambda error: pytest.fail(error.message)), list[str](), threading.Event()

    def old() -> str:
        goes_on.wait()
        return "old"

    asking.ask(node, "backups", old, heard.append, about=first)
    asking.ask(node, "backups", lambda: "new", heard.append, about=second)
    goes_on.set()
    while not asking.idle:
        asking.answered(node.messages.get(timeout=PATIENCE_SECONDS))
    assert heard == told
