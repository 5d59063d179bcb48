"""What texts tell people to type exists: the commands and options that messages, hints and helps name."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from typer.main import get_group

import dgtui
from dgtui.cli.application import application

_PACKAGE = Path(dgtui.__file__).parent
_HOLE = "{}"
"""What stands for a value that is put in at run time."""
_COMMAND = re.compile(r"\bdgtui (?P<name>[a-z][a-z-]*)(?P<rest>(?: (?:--[a-z-]+|[A-Z]+\b|\{\}))*)")
_OPTION = re.compile(r"(?<![\w\"'=-])--[a-z][a-z-]+")
_OF_OTHER_PROGRAMS = {
    "--compact",
    "--delete",
    "--details",
    "--disable-triggers",
    "--globals-only",
    "--locale-provider",
    "--password",
    "--skip-comments",
}
"""Options that a text tells to give to the tools of a database, to rsync, or to apprise."""
_PROSE = {"again", "do", "finds", "itself", "once", "starts", "the"}
"""Words that go on a sentence about the program."""


def texts() -> Iterator[tuple[str, str]]:
    """Each text that people may be shown, with the place where it stands."""
    for path in sorted(_PACKAGE.rglob("*.py")):
        yield from ((f"{path.relative_to(_PACKAGE)}:{line}", text) for line, text in _texts(path.read_text()))


def _texts(source: str) -> Iterator[tuple[int, str]]:
    tree = ast.parse(source)
    passed_over = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            passed_over.update(map(id, node.values))
            yield (
                node.lineno,
                "".join(
                    part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else _HOLE
                    for part in node.values
                ),
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in passed_over:
            yield node.lineno, node.value


@cache
def options() -> dict[str, frozenset[str]]:
    """By command the options that it knows."""
    commands = get_group(application()).commands
    return {
        name: frozenset(option for parameter in command.params for option in parameter.opts) | {"--help"}
        for name, command in commands.items()
    }


def test_each_command_that_a_text_names_exists_with_its_options() -> None:
    wrong, seen = [], set()
    for where, text in texts():
        for match in _COMMAND.finditer(text):
            name = match["name"]
            if name in _PROSE:
                continue
            seen.add(name)
            if not set(_OPTION.findall(match["rest"])) <= options().get(name, frozenset()) or name not in options():
                wrong.append(f"{where}: {match[0]}")
    assert not wrong
    assert {"check", "undo", "cleanup-restore"} <= seen


def test_each_option_that_a_sentence_names_exists() -> None:
    known = {
        "--run-job",
        "--version",
        *_OF_OTHER_PROGRAMS,
        *(option for of_one in options().values() for option in of_one),
    }
    wrong = [
        f"{where}: {option}"
        for where, text in texts()
        if re.search(r"\w \w", text)
        for option in _OPTION.findall(text)
        if option not in known
    ]
    assert not wrong
