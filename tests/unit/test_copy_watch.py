"""What the lines of pg_restore tell of the tables that are loaded, where the server cannot be asked."""

import pytest

from dgtui.engine.datasources.postgres_connection import Access, PostgresSettings
from dgtui.engine.datasources.postgres_copy_watch import CopyWatch
from dgtui.engine.datasources.postgres_toc import TocEntry
from dgtui.engine.reporting import SilentReporter

ENTRIES = [
    TocEntry(number, kind, "public", name, "", "", "", ())
    for number, kind, name in (
        (7, "TABLE DATA", "orders"),
        (8, "TABLE DATA", "Customers"),
        (9, "MATERIALIZED VIEW DATA", "seen"),
        (10, "INDEX", "by_name"),
    )
]
BEGINNING = [("public.orders", 0), ('public."Customers"', 0), ("public.seen", 0)]


class Told(SilentReporter):
    """Keeps what is told of rows."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, int | None]] = []

    def loaded(self, name: str, rows: int | None = None) -> None:
        """Keep it."""
        self.rows.append((name, rows))


@pytest.mark.parametrize("in_parallel", [True, False])
def test_lines(in_parallel: bool) -> None:
    told = Told()
    nowhere = Access(PostgresSettings(type="postgres", port=1, username="nobody", database="nothing"), None)
    watch = CopyWatch(nowhere, "nothing", ENTRIES, told)
    hear = watch.hearing(in_parallel=in_parallel)
    parallel = (
        'pg_restore: processing data for table "public.orders"',
        'pg_restore: pg_restore: processing data for table "public.Customers"',
        "pg_restore: finished item 10 INDEX by_name",
        "pg_restore: finished item 8 TABLE DATA Customers",
        "pg_restore: pg_restore: finished item 7 TABLE DATA orders",
        "pg_restore: finished item 9 MATERIALIZED VIEW DATA seen",
    )
    one_by_one = (
        'pg_restore: creating TABLE "public.orders"',
        'pg_restore: processing data for table "public.orders"',
        'pg_restore: processing data for table "public.Customers"',
        "pg_restore: error: whatever",
        'pg_restore: creating INDEX "public.by_name"',
        'pg_restore: creating MATERIALIZED VIEW DATA "public.seen"',
    )
    for line in parallel if in_parallel else one_by_one:
        hear(line)
    watch.stop()
    names = (
        ['public."Customers"', "public.orders", "public.seen"] if in_parallel else ["public.orders", BEGINNING[1][0]]
    )
    assert told.rows == [*BEGINNING, *((name, None) for name in names)]
