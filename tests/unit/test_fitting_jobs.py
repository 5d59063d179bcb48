"""Several processes load an archive where that is faster, and where there is room to unpack it."""

import pytest

from dgtui.engine.restore_load import fitting_jobs

MB = 1_000_000
PLENTY = 10**15


@pytest.mark.parametrize(
    ("archive_bytes", "processors", "jobs"),
    [
        (20 * MB, 8, 1),
        (400 * MB, 1, 1),
        (400 * MB, 2, 2),
        (1_000 * MB, 2, 2),
        (2_000 * MB, 2, 1),
        (2_000 * MB, 3, 3),
        (400 * MB, 16, 4),
    ],
)
def test_as_many_load_as_gain_by_it(archive_bytes: int, processors: int, jobs: int) -> None:
    assert fitting_jobs(archive_bytes, free_bytes=PLENTY, processors=processors) == jobs


def test_one_loads_where_there_is_no_room_for_a_file() -> None:
    assert fitting_jobs(400 * MB, free_bytes=800 * MB, processors=4) == 1
    assert fitting_jobs(400 * MB, free_bytes=801 * MB, processors=4) == 4
