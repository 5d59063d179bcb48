"""Questions before dangerous commands."""

import sys

from dgtui.cli.output import say, write
from dgtui.engine.errors import Cancelled, ConfigError
from dgtui.wording.terminal import can_ask
from dgtui.wording.words import one_line


def need_answer(what: str, *, yes: bool) -> None:
    """Raise ConfigError where somebody would have to be asked and there is nobody."""
    if not yes and not can_ask():
        raise ConfigError(
            f"To {what} needs a confirmation, and there is no terminal to ask on", hint="Add --yes to confirm it"
        )


def confirm(what: str, *, word: str, yes: bool) -> None:
    """Have a person type `word` before `what` is done; with `yes` nobody is asked.

    Raises ConfigError where there is nobody to ask, Cancelled where the answer is another one.
    """
    need_answer(what, yes=yes)
    if yes:
        return
    write(sys.stderr, f"Type  {one_line(word)}  to confirm: ")
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        say("")
    if answer.rstrip("\n") not in (word, one_line(word)):
        raise Cancelled("Not confirmed; nothing was changed")
