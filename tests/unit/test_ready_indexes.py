"""What is made of filled tables while others are being filled, and what has to wait."""

import threading

import pytest

from dgtui.engine.datasources.postgres_ready_indexes import ReadyIndexes, indexes_by_table
from dgtui.engine.datasources.postgres_toc import TocEntry

TABLE, OTHER, KIND = 1, 2, 3
ROWS = TocEntry(11, "TABLE DATA", "public", "t", "", "", "", (TABLE,))
OTHER_ROWS = TocEntry(12, "TABLE DATA", "public", "o", "", "", "", (OTHER,))
BEFORE = [
    TocEntry(TABLE, "TABLE", "public", "t", "", "", "", ()),
    TocEntry(OTHER, "TABLE", "public", "o", "", "", "", ()),
    TocEntry(KIND, "TYPE", "public", "k", "", "", "", ()),
]
KEY = "ALTER TABLE ONLY public.t\n    ADD CONSTRAINT t_pkey PRIMARY KEY (id);\n"


def entry(kind: str, definition: str, *dependencies: int, number: int = 21) -> TocEntry:
    return TocEntry(number, kind, "public", "t x", "", definition, "", dependencies)


@pytest.mark.parametrize(
    "fitting",
    [
        entry("CONSTRAINT", KEY, TABLE),
        entry("INDEX", "CREATE INDEX x ON public.t USING btree (a, b DESC);\n", TABLE, KIND),
        entry("INDEX", "CREATE UNIQUE INDEX x ON public.t USING btree (a);\n", TABLE, TABLE),
    ],
    ids=["key", "index", "named twice"],
)
def test_what_rests_on_one_table_alone_is_found_by_its_rows(fitting: TocEntry) -> None:
    assert indexes_by_table(BEFORE, [ROWS, OTHER_ROWS], [fitting]) == {ROWS.dump_id: [fitting]}


@pytest.mark.parametrize(
    "waiting",
    [
        entry("INDEX", "CREATE INDEX x ON public.t USING btree (price_of(a));\n", TABLE),
        entry("INDEX", "CREATE INDEX x ON public.t USING btree (a) WHERE b;\n", TABLE),
        entry("FK CONSTRAINT", "ALTER TABLE ONLY public.t ADD FOREIGN KEY (a) REFERENCES public.o;\n", TABLE, OTHER),
        entry("CONSTRAINT", KEY, TABLE, OTHER),
        entry("CONSTRAINT", KEY, TABLE, 99),
        entry("CONSTRAINT", KEY, KIND),
        entry("TRIGGER", "CREATE TRIGGER x AFTER INSERT ON public.t EXECUTE FUNCTION f();\n", TABLE),
        entry("STATISTICS", "CREATE STATISTICS public.x (ndistinct) ON a, b FROM public.t;\n", TABLE),
    ],
    ids=["expression", "predicate", "foreign key", "two tables", "made later", "no rows", "trigger", "statistics"],
)
def test_what_may_need_more_than_one_table_waits(waiting: TocEntry) -> None:
    assert indexes_by_table(BEFORE, [ROWS, OTHER_ROWS], [waiting]) == {}


def test_a_table_that_is_not_filled_early_has_its_indexes_made_later() -> None:
    assert indexes_by_table(BEFORE, [OTHER_ROWS], [entry("CONSTRAINT", KEY, TABLE)]) == {}


FIRST, SECOND = (entry("INDEX", "CREATE INDEX x ON public.t USING btree (a);\n", TABLE, number=n) for n in (21, 22))


def test_never_two_of_one_table_at_once() -> None:
    third = TocEntry(13, "TABLE DATA", "public", "p", "", "", "", ())
    other = entry("INDEX", "CREATE INDEX x ON public.o USING btree (a);\n", OTHER, number=23)
    ready = ReadyIndexes({11: [FIRST, SECOND], 12: [other]}, [ROWS, OTHER_ROWS, third])
    ready.fill([ROWS, OTHER_ROWS])
    assert ready.take() == (11, FIRST)
    assert ready.take() == (12, other)
    ready.made(12)
    ready.made(11)
    assert ready.take() == (11, SECOND)
    assert ready.given == [FIRST, other, SECOND]


def test_once_all_tables_are_filled_the_rest_is_left_to_the_last_step() -> None:
    ready = ReadyIndexes({11: [FIRST]}, [ROWS, OTHER_ROWS])
    ready.fill([ROWS])
    ready.fill([OTHER_ROWS])
    assert ready.take() is None
    assert ready.given == []


@pytest.mark.parametrize("ends", ["filled", "closed"])
def test_who_waits_is_let_go_when_nothing_more_comes(ends: str) -> None:
    ready = ReadyIndexes({}, [ROWS])
    taken: list[tuple[int, TocEntry] | None] = []
    waiting = threading.Thread(target=lambda: taken.append(ready.take()), daemon=True)
    waiting.start()
    if ends == "filled":
        ready.fill([ROWS])
    else:
        ready.close()
    waiting.join(60)
    assert taken == [None]


def test_who_waits_is_given_what_another_has_made_ready() -> None:
    ready = ReadyIndexes({11: [FIRST]}, [ROWS, OTHER_ROWS])
    taken: list[tuple[int, TocEntry] | None] = []
    waiting = threading.Thread(target=lambda: taken.append(ready.take()), daemon=True)
    waiting.start()
    ready.fill([ROWS])
    waiting.join(60)
    assert taken == [(11, FIRST)]


def test_who_waits_is_given_what_had_to_wait_for_another_index_of_its_table() -> None:
    ready = ReadyIndexes({11: [FIRST, SECOND]}, [ROWS, OTHER_ROWS])
    ready.fill([ROWS])
    assert ready.take() == (11, FIRST)
    taken: list[tuple[int, TocEntry] | None] = []
    waiting = threading.Thread(target=lambda: taken.append(ready.take()), daemon=True)
    waiting.start()
    ready.made(11)
    waiting.join(60)
    assert taken == [(11, SECOND)]
