"""The table of every place by itself: which columns are seen, how they are cut, and in which order rows stand."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from textual.app import App, ComposeResult

from dgtui.screens.widgets.listing import Column, Listing, Row
from dgtui.wording.panel import Span


class ListingApp(App[None]):
    """A table and nothing else."""

    def __init__(self, columns: Sequence[Column]) -> None:
        super().__init__()
        self._columns = columns

    def compose(self) -> ComposeResult:
        """The table."""
        yield Listing(self._columns, id="listing")


def row(*texts: str) -> Row:
    """A row that goes by its first cell."""
    return Row(texts[0], tuple((Span(text),) for text in texts))


@asynccontextmanager
async def listing(*columns: Column, width: int = 40, height: int = 10) -> AsyncIterator[Listing]:
    """A table in a terminal of its size."""
    app = ListingApp(columns)
    async with app.run_test(size=(width, height)):
        yield app.query_one(Listing)


def header(table: Listing) -> list[str]:
    """The labels that are seen."""
    return table.render_line(0).text.split()


async def test_a_column_for_which_there_is_room_is_shown_and_one_for_which_there_is_none_is_not() -> None:
    columns = (Column("Name", flexible=True), Column("Kind", wide_only=True), Column("Size", right=True))
    async with listing(*columns) as table:
        table.show([row("a" * 20, "k" * 10, "1 GB")])
        assert header(table) == ["Name", "Kind", "Size"], "1 + 20 + 2 + 10 + 2 + 4 is less than 40"
        table.show([row("a" * 23, "k" * 10, "1 GB")])
        assert header(table) == ["Name", "Size"]
        assert "a" * 23 in table.render_line(1).text


async def test_a_flexible_column_may_say_how_much_of_it_is_enough() -> None:
    columns = (Column("Name", flexible=True, enough=10), Column("Kind", wide_only=True))
    async with listing(*columns) as table:
        table.show([row("a" * 60, "k" * 10)])
        assert header(table) == ["Name", "Kind"]
        assert "k" * 10 in table.render_line(1).text
        assert "a" * 20 + "…" in table.render_line(1).text


async def test_rows_end_in_the_mark_of_what_was_cut_also_beside_the_scrollbar() -> None:
    app = ListingApp([Column("Name"), Column("Text", flexible=True)])
    async with app.run_test(size=(40, 10)) as pilot:
        table = app.query_one(Listing)
        for count in (60, 5, 60):
            table.show([row(f"n{number:02}", "x" * 60) for number in range(count)])
            await pilot.pause()
            assert table.show_vertical_scrollbar is (count == 60)
            seen = table.render_line(1).text[: table.scrollable_content_region.width]
            assert seen.startswith(" n00   xxx")
            assert seen.endswith("x…"), repr(seen)
