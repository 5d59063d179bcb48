"""How much of a restore is loaded, by what is told of its objects."""

from dgtui.engine.model import ObjectInfo
from dgtui.engine.reporting import SilentReporter
from dgtui.engine.restore_progress import LoadProgress

OBJECTS = (
    ObjectInfo(name="public.orders", rows=1000, bytes=5000),
    ObjectInfo(name="public.view", bytes=300),
    ObjectInfo(name="public.empty", rows=0, bytes=0),
)


def test_what_is_loaded_counts_by_its_bytes_and_what_is_on_its_way_by_its_rows() -> None:
    progress = LoadProgress(SilentReporter(), OBJECTS)
    assert (progress.done, progress.total) == (0, 5300)
    for name in ("public.empty", "public.unknown"):
        progress.loaded(name)
        progress.loaded(name, 7)
    progress.loaded("public.view", 7)
    assert progress.done == 0, "of how many it is not known"
    progress.loaded("public.orders", 100)
    assert progress.done == 500
    progress.loaded("public.orders", 2000)
    assert progress.done == 5000, "a count that was estimated too low"
    progress.loaded("public.view")
    assert progress.done == progress.total


def test_who_looks_later_than_the_end_takes_nothing_back_and_a_new_beginning_does() -> None:
    progress = LoadProgress(SilentReporter(), OBJECTS)
    progress.loaded("public.orders")
    progress.loaded("public.orders", 100)
    assert progress.done == 5000
    progress.loaded("public.orders", 0)
    assert progress.done == 0
    progress.loaded("public.orders", 100)
    assert progress.done == 500


def test_nothing_is_claimed_where_no_size_is_known() -> None:
    progress = LoadProgress(SilentReporter(), [ObjectInfo(name="public.orders", rows=1000)])
    progress.loaded("public.orders")
    assert (progress.done, progress.total) == (0, 0)
