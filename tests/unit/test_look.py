"""What a terminal is taken to show, by its environment; and how a text gets into ASCII."""

import io

import pytest

from dgtui.screens.ascii import ascii_text
from dgtui.wording.terminal import look_of
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
        ({}, True),
    ],
)
def test_the_locale_says_which_signs_there_are(
    environment: dict[str, str], unicode: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert look_of(io.TextIOWrapper(io.BytesIO(), encoding="utf-8")).unicode is unicode
    assert not look_of(io.TextIOWrapper(io.BytesIO(), encoding="latin-1")).unicode


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
