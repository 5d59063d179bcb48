"""The table of every place by itself: which columns are seen, how they are cut, and in which order rows stand."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from textual.app import App, ComposeResult

from dgtui.engine.catalog.proofs import Proven
from dgtui.engine.model import Copy, Execution
from dgtui.screens.backup_table import Backups, BackupTable, Keeping
from dgtui.screens.widgets.listing import Listing
from dgtui.screens.widgets.rows import Column, Row, measured_columns
from dgtui.wording.panel import Span
from dgtui.wording.terminal import Look

NOW = datetime(2025, 2, 13, 12, tzinfo=UTC)


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
    columns = (Column("The name of a storage far away", flexible=True, enough=10), Column("Kind", wide_only=True))
    async with listing(*columns) as table:
        table.show([row("a" * 60, "k" * 10)])
        assert header(table)[-1] == "Kind"
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


async def test_what_the_edge_cuts_is_marked_and_blanks_are_not() -> None:
    async with listing(Column("Taken"), Column("Proven by whom"), width=20) as table:
        table.show([row("2026-11-26", "rehearsed 2 d ago"), row("2026-11-25", "-")])
        seen = [table.render_line(y).text for y in range(3)]
        assert seen == [" Taken       Proven…", " 2026-11-26  rehear…", " 2026-11-25  -      "]
    wide = [row("漢字漢字漢字漢字漢字漢字")]
    async with listing(Column("Name"), width=20) as table:
        table.show(wide)
        assert table.render_line(1).text == " 漢字漢字漢字漢字漢…", "no half of a sign is left"


async def test_rows_stay_in_the_order_of_a_column_that_other_columns_are_put_before() -> None:
    async with listing(Column("Name"), Column("Size")) as table:
        table.show([row("a", "3"), row("b", "1"), row("c", "2")])
        table.sort_by(1, reverse=True)
        assert [one.key for one in table.rows] == ["a", "c", "b"]
        table.show(
            [row("a", "new", "1"), row("b", "new", "2"), row("c", "new", "3")],
            columns=(Column("Name"), Column("State"), Column("Size")),
        )
        assert [one.key for one in table.rows] == ["c", "b", "a"]
        assert "Sizev" in header(table)
        table.show([row("b"), row("a")], columns=(Column("Name"),))
        assert [one.key for one in table.rows] == ["b", "a"], "the column is gone, and with it its order"


def backup(number: int, days: int, **known: object) -> Execution:
    """A backup of so many days ago."""
    return Execution(
        execution_id=f"backup-{number}",
        job_id="job",
        job="nightly",
        datasource="shop",
        datasource_type="sqlite",
        status="completed",
        backup_type="full",
        started_at=NOW - timedelta(days=days),
        **known,  # type: ignore[arg-type]  # further fields of its own
    )


async def test_backups_are_sorted_by_when_they_were_proven_and_when_they_go_and_not_by_those_words() -> None:
    backups = Backups(
        executions=(backup(1, 1), backup(2, 2, pin="the audit"), backup(3, 3), backup(4, 4)),
        proven={
            f"backup-{number}": Proven(
                execution_id=f"backup-{number}", how="restore", proven_at=NOW - timedelta(days=days)
            )
            for number, days in ((1, 10), (3, 12), (4, 9))
        },
        keeping=Keeping(
            expiries={f"backup-{number}": NOW + timedelta(days=days) for number, days in ((1, 30), (3, 9), (4, -1))}
        ),
    )
    table = BackupTable(backups, (), Look(), NOW)
    labels = [column.label for column in table.columns]
    async with listing(*table.columns, width=120) as shown:
        shown.show(table.rows())
        shown.sort_by(labels.index("Proven"))
        assert [one.key[-1] for one in shown.rows] == ["3", "1", "4", "2"]
        shown.sort_by(labels.index("Expires"))
        assert [one.key[-1] for one in shown.rows] == ["4", "3", "1", "2"], "what is pinned goes last"


async def test_copies_are_sorted_by_their_state_and_not_by_its_glyph() -> None:
    states = ("missing", "corrupt", "available")
    backups = Backups(
        executions=tuple(
            backup(number, number, copies=(Copy(storage="disk", path="/disk/x", status=status),))  # type: ignore[arg-type]
            for number, status in enumerate(states)
        )
    )
    table = BackupTable(backups, ("disk",), Look(unicode=False), NOW)
    async with listing(*table.columns, width=120) as shown:
        shown.show(table.rows())
        shown.sort_by([column.label for column in table.columns].index("disk"))
        assert [one.key[-1] for one in shown.rows] == ["2", "0", "1"]


@pytest.mark.parametrize(("width", "goes"), [(62, False), (75, True)])
async def test_of_backups_at_many_storages_it_is_seen_on_a_narrow_terminal_when_they_were_proven(
    width: int, goes: bool
) -> None:
    storages = ("disk", "nas", "second-disk", "offsite")
    backups = Backups(
        executions=(backup(1, 1, total_size_bytes=164_000_000),),
        proven={"backup-1": Proven(execution_id="backup-1", how="rehearsal", proven_at=NOW - timedelta(days=12))},
    )
    table = BackupTable(backups, storages, Look(), NOW, words=False, goes=goes)
    async with listing(*table.columns, width=width) as shown:
        shown.show(table.rows())
        assert "Proven" in header(shown)
        assert "12 d" in shown.render_line(1).text
    few = BackupTable(backups, storages[:2], Look(), NOW, words=False, goes=False)
    async with listing(*few.columns, width=62) as shown:
        shown.show(few.rows())
        assert "rehearsed 12 d" in shown.render_line(1).text
    safety = Backups(executions=(backup(1, 1, purpose="safety", total_size_bytes=164_000_000),), proven=backups.proven)
    long = BackupTable(safety, ("disk", "second-disk"), Look(), NOW, words=False, goes=False)
    async with listing(*long.columns, width=62) as shown:
        shown.show(long.rows())
        assert "12 d" in shown.render_line(1).text


def test_what_is_more_than_enough_gives_way_first() -> None:
    columns = (Column("Name", flexible=True, enough=44), Column("Type", flexible=True, enough=7))
    row = Row(key="x", cells=((Span("shop-of-the-old-town"),), (Span("PostgreSQL"),)))
    assert [width for _, _, width in measured_columns(columns, row.widths, 30, None)] == [20, 8]
    assert [width for _, _, width in measured_columns(columns, row.widths, 25, None)] == [16, 7]


def test_a_column_of_which_only_a_sign_of_its_end_would_be_seen_is_left_out() -> None:
    columns = (Column("Taken"), Column("Proven", flexible=True, least=6))
    row = Row("a", ((Span("2026-11-28 17:24:26"),), (Span("just now"),)))

    def shown(room: int) -> list[str]:
        return [column.label for _, column, _ in measured_columns(columns, row.widths, room, None)]

    assert shown(24) == ["Taken", "Proven"]
    assert shown(23) == ["Taken"]
    assert shown(10) == ["Taken"]


def test_of_the_columns_that_there_is_no_room_for_the_spared_ones_go_first() -> None:
    columns = (Column("Name"), Column("Latency", wide_only=True, spared=1), Column("Checked", wide_only=True))

    def shown(room: int) -> list[str]:
        return [column.label for _, column, _ in measured_columns(columns, (), room, None)]

    assert shown(12) == ["Name"]
    assert shown(13) == shown(21) == ["Name", "Checked"]
    assert shown(22) == ["Name", "Latency", "Checked"]


async def test_rows_that_were_only_just_given_are_seen_where_the_cursor_goes() -> None:
    async with listing(Column("Name"), height=10) as table:
        table.show([row(f"row {number}") for number in range(100)])
        table.action_end(1)
        assert table.vertical_scrollbar.position == table.max_scroll_y == 91
        assert "row 99" in [table.render_line(y).text.strip() for y in range(10)]


async def test_before_anything_was_shown_nobody_is_told_that_there_is_nothing() -> None:
    async with listing(Column("A")) as one:
        assert "Looking" in one.render_line(2).text
        one.filter_by("x")
        assert "Looking" in one.render_line(2).text
        one.show([])
        assert "Nothing contains 'x'" in one.render_line(2).text
        one.filter_by("")
        assert "Nothing here yet" in one.render_line(2).text


@pytest.mark.parametrize("moved", ["down", "pagedown", "end", "home"])
async def test_whoever_moves_the_cursor_is_not_taken_to_what_was_wanted_before(moved: str) -> None:
    """The next key would act on another row than the one that was gone to."""
    app = ListingApp([Column("Name")])
    async with app.run_test(size=(40, 5)) as pilot:
        table = app.query_one(Listing)
        rows = [row(f"job {number}") for number in range(9)]
        table.show(rows)
        table.want("job made just now")
        await pilot.press(moved)
        gone_to = table.key
        table.show([*rows, row("job made just now")])
        assert table.key == gone_to


async def test_nor_is_whoever_clicked_on_another_row() -> None:
    app = ListingApp([Column("Name")])
    async with app.run_test(size=(40, 5)) as pilot:
        table = app.query_one(Listing)
        table.show([row("one"), row("two")])
        table.want("three")
        await pilot.click(Listing, offset=(3, 2))
        table.show([row("one"), row("two"), row("three")])
        assert table.key == "two"
