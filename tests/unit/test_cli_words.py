"""Texts for people: sizes, times, names."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgtui.cli.table import table_lines
from dgtui.wording.words import (
    cells,
    clock_text,
    counted,
    cut,
    done_of_total,
    left_text,
    one_line,
    size_text,
    time_text,
    time_texts,
    took_text,
)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9_940, "9.9 kB"),
        (9_960, "10 kB"),
        (2_500_000, "2.5 MB"),
        (73_494_000, "73 MB"),
        (742_300_000, "742 MB"),
        (999_400_000, "999 MB"),
        (999_600_000, "1.0 GB"),
        (3_400_000_000, "3.4 GB"),
        (-3_400_000_000, "-3.4 GB"),
        (7 * 10**21, "7000 EB"),
    ],
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


@pytest.fixture(params=["Europe/Zurich", "Australia/Lord_Howe", "America/St_Johns", "UTC", "Asia/Kathmandu"])
def zone(request: pytest.FixtureRequest) -> Iterator[str]:
    """The local time of some place."""
    former = os.environ.get("TZ")
    os.environ["TZ"] = request.param
    time.tzset()
    yield request.param
    del os.environ["TZ"]
    if former is not None:
        os.environ["TZ"] = former
    time.tzset()


@pytest.mark.usefixtures("zone")
def test_many_moments_are_written_as_each_of_them_by_itself() -> None:
    begin = datetime(2024, 1, 1, 0, 7, 59, 999_999, tzinfo=UTC)
    moments = [begin + timedelta(minutes=41 * number) for number in range(13_000)]
    moments.append(begin.astimezone(timezone(timedelta(hours=3))))
    assert time_texts(reversed(moments)) == [time_text(one) for one in reversed(moments)]
    assert time_text(begin) == begin.astimezone().strftime("%Y-%m-%d %H:%M:%S")


TEXTS = st.text(st.sampled_from("ab日é\u0301● "), max_size=12)


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), max_size=6), st.one_of(st.none(), st.integers(10, 40)))
def test_the_columns_of_a_table_stand_below_each_other(rows: list[tuple[str, str, str]], width: int | None) -> None:
    headers = ("One", "", "Und drei")
    lines = table_lines(headers, rows, width=width)
    assert len(lines) == len(rows) + 1
    needed = [max(cells(row[place]) for row in (headers, *rows)) for place in range(3)]
    spaces = list(needed)
    while width is not None and sum(spaces) + 4 > width and max(spaces) > 6:
        spaces[spaces.index(max(spaces))] -= 1
    for row, line in zip((headers, *rows), lines, strict=True):
        shown = [cut(text, space, mark="~") for text, space in zip(row, spaces, strict=True)]
        padded = [text + " " * (space - cells(text)) for text, space in zip(shown, spaces, strict=True)]
        assert line == "  ".join(padded).rstrip()
