"""What a terminal is taken to show, by its environment; and how a text gets into ASCII."""

import io
import subprocess
import sys

import pytest

from dgtui.screens.ascii import ascii_text
from dgtui.wording import terminal
from dgtui.wording.terminal import SIGNS_VARIABLE, look_of
from dgtui.wording.words import cells


@pytest.mark.parametrize(
    ("environment", "unicode"),
    [
        ({"LC_ALL": "C"}, False),
        ({"LC_ALL": "POSIX", "LANG": "de_DE.UTF-8"}, False),
        ({"LANG": "C"}, False),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, False),  # as Python changes it
        ({"LANG": "POSIX", "LC_CTYPE": "C.UTF-8"}, False),
        ({"LANG": "en_US.UTF-8", "LC_CTYPE": "C"}, False),
        ({"LANG": "C", "LC_CTYPE": "de_DE.UTF-8"}, True),
        ({"LANG": "C", "LC_ALL": "C.UTF-8"}, True),
        ({"LANG": "C.UTF-8"}, True),
        ({"LANG": "en_US.UTF-8"}, True),
        ({"LANG": "en_US.ISO-8859-1"}, False),
        ({"LANG": "de_DE.utf8@euro"}, True),
        ({"LANG": "de_DE"}, True),  # as Python opened the stream
        ({}, False),
        ({"LC_CTYPE": "C.UTF-8"}, False),  # as Python changes it
        ({"LANG": "C", "DGTUI_SIGNS": "unicode"}, True),
        ({"LANG": "C.UTF-8", "DGTUI_SIGNS": "ascii"}, False),
        ({"LANG": "C.UTF-8", "DGTUI_SIGNS": "emoji"}, True),
    ],
)
def test_the_locale_says_which_signs_there_are(
    environment: dict[str, str], unicode: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LC_ALL", "LC_CTYPE", "LANG", SIGNS_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    # Whoever started the tests may have given what Python changes.
    monkeypatch.setattr(terminal, "_was_given", lambda _: False)
    assert look_of(io.TextIOWrapper(io.BytesIO(), encoding="utf-8")).unicode is unicode
    assert SIGNS_VARIABLE in environment or not look_of(io.TextIOWrapper(io.BytesIO(), encoding="latin-1")).unicode


@pytest.mark.parametrize(
    ("environment", "unicode"),
    [
        ({}, False),  # Python writes LC_CTYPE=C.UTF-8 into its own environment
        ({"LANG": "C"}, False),
        ({"LC_CTYPE": "C.UTF-8"}, True),
        ({"LC_CTYPE": "UTF-8"}, True),  # as some terminals send it along
        ({"LC_ALL": "C"}, False),
        ({"LANG": "C.UTF-8"}, True),
    ],
)
def test_what_python_makes_of_the_locale_is_not_what_the_terminal_said(
    environment: dict[str, str], unicode: bool
) -> None:
    code = "import sys; from dgtui.wording.terminal import SIGNS_VARIABLE, look_of; print(look_of(sys.stdout).unicode)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, encoding="utf-8"
    )
    assert done.stdout.strip() == str(unicode)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("shop-nightly · shop", "shop-nightly - shop"),
        ("a long na…", "a long na~"),
        ("café Zürich", "cafe Zurich"),
        ("お茶", "????"),
        ("╭─╮█▂", "+++  "),
        ("½", "?"),
    ],
)
def test_a_text_in_ascii_takes_as_many_columns(text: str, shown: str) -> None:
    assert ascii_text(text) == shown
    assert cells(text) == len(shown)
