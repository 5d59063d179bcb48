"""The advice of the engine about a restore, in the words of the dialog."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dgtui import engine
from dgtui.wording.dialog_words import in_dialog

OPTION = re.compile(
    r"--(into|to|in-place|as|overwrite|no-safety|safety-to|table|schema-only|data-only|merge|deep|from|without-roles"
    r"|force|place|storage)\b"
)
ELSEWHERE = re.compile("--as names|Name that table|and needs exactly one|.*dgtui | ?--[^ ]+( --[^ ]+)* ?$")
"""What the dialog cannot lead to, whole commands, and their options."""


def advice() -> Iterator[str]:
    """Every text of the engine that names an option of a command, as far as it is written in one piece."""
    folder = Path(engine.__file__).parent
    files = [*folder.glob("restore*.py"), *folder.glob("rehearsal/*.py")]
    files += [
        folder / f"{name}.py"
        for name in ("preview", "own_places", "safety_copy", "worker_restore", "deletion", "removal")
    ]
    for kind in ("postgres", "mysql", "sqlite", "files", "tree", "replacing"):
        files += folder.glob(f"datasources/{kind}*.py")
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and OPTION.search(text) and not ELSEWHERE.match(text):
                yield text


@pytest.mark.parametrize("text", sorted(set(advice())))
def test_no_advice_names_an_option_of_the_command(text: str) -> None:
    assert not OPTION.search(in_dialog(text, "new database")), in_dialog(text, "new database")


def test_what_cannot_be_swapped() -> None:
    hint = "Either restore under another name with --into NAME; or with --in-place: then crm is backed up"
    assert (
        in_dialog(hint, "new file") == "Either restore into a new file (Into); or tick No swap: then crm is backed up"
    )
