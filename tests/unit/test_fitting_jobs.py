"""Several processes load an archive where that is faster."""

import pytest

from dgtui.engine.restore_load import fitting_jobs

MB = 1_000_000


@pytest.mark.parametrize(
    ("archive_bytes", "processors", "jobs"),
    [(20 * MB, 8, 1), (400 * MB, 1, 1), (400 * MB, 2, 2), (2_000_000 * MB, 2, 2), (400 * MB, 16, 4)],
)
def test_as_many_load_as_gain_by_it(archive_bytes: int, processors: int, jobs: int) -> None:
    assert fitting_jobs(archive_bytes, processors=processors) == jobs
