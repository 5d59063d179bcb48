"""Texts for people: sizes, times, names."""

import pytest

from dgtui.wording.words import (
    cells,
    clock_text,
    counted,
    cut,
    done_of_total,
    left_text,
    one_line,
    size_text,
    took_text,
)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1, "1 B"), (999, "999 B"), (2_500_000, "2.5 MB"), (742_300_000, "742 MB"), (3_400_000_000, "3.4 GB")],
)
def test_sizes(size: int, text: str) -> None:
    assert size_text(size) == text


def test_the_unit_stands_once_where_both_amounts_have_it() -> None:
    assert done_of_total(2_100_000_000, 3_400_000_000, "bytes", estimated=False) == "2.1 of 3.4 GB"
    assert done_of_total(500_000_000, 3_400_000_000, "bytes", estimated=True) == "500 MB of ~3.4 GB"
    assert done_of_total(1200, 5000, "rows", estimated=False) == "1,200 of 5,000 rows"


def test_times() -> None:
    assert clock_text(130.9) == "0:02:10"
    assert clock_text(-3) == "0:00:00"
    assert took_text(0.44) == "0.4 s"
    assert took_text(3725) == "1:02:05"
    assert [left_text(seconds) for seconds in (0.2, 14, 200, 7500, 7200)] == [
        "1 s",
        "14 s",
        "3 min",
        "2 h 5 min",
        "2 h",
    ]


@pytest.mark.parametrize("hostile", ["\x1b[2J", "a\nb", "a\tb", "\x9b31m", "\u202egpj.exe", "\u2028", "\udcff", "\r"])
def test_nothing_in_a_name_can_steer_a_terminal(hostile: str) -> None:
    shown = one_line(hostile)
    assert shown.isprintable()
    assert "\\" in shown
    shown.encode()


def test_ordinary_names_stay_as_they_are() -> None:
    assert one_line('Zürich 日本 [bold]x[/bold] we"ird; --x') == 'Zürich 日本 [bold]x[/bold] we"ird; --x'


def test_wide_and_combining_characters_are_measured() -> None:
    assert cells("日本") == 4
    assert cells("e\u0301") == 1
    assert cut("日本語", 5) == "日本…"
    assert cells(cut("日本語日本語", 6)) <= 6
    assert cut("short", 5) == "short"


def test_one_thing_is_not_told_as_several() -> None:
    assert [counted(number, "tables") for number in (0, 1, 2, 1200)] == [
        "0 tables",
        "1 table",
        "2 tables",
        "1,200 tables",
    ]
    assert [counted(number, "copies") for number in (1, 2)] == ["1 copy", "2 copies"]
