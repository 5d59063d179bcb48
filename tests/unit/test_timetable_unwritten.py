"""A timetable of which one write fails: no run is lost or doubled, and none waits longer than the failure lasts."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import pytest

from dgtui.engine.catalog.due_runs import missed_runs, queued_runs
from dgtui.engine.errors import CatalogError
from tests.support.refusing import refusing, refusing_those
from tests.unit.timetable_support import START, Guard, job

HOUR = timedelta(hours=1)
PAUSE = timedelta(seconds=5)
"""How long a duty that failed once is left."""


class Timed(Guard):
    """Notes when each run was started, and retries what failed as the duty's runner does."""

    def __init__(self, folder: Path, jobs: str = job('schedule = "0 * * * *"')) -> None:
        self.moments: list[datetime] = []
        super().__init__(folder, jobs)

    def _start(self, *arguments: object) -> int:
        self.moments.append(self.now)
        return super()._start(*arguments)  # type: ignore[arg-type]

    def turn(self, span: timedelta) -> int:
        """Do what is due for so long; how often that failed."""
        end, failures = self.now + span, 0
        while self.now < end:
            try:
                self.step()
            except CatalogError:
                failures += 1
                self.now += PAUSE
                continue
            due = self.duty.next_due(self.now)
            self.now = min(end, max(due, self.now + timedelta(seconds=1))) if due is not None else end
        return failures


def each_write(folder: Path, before: Callable[[Timed], None], span: timedelta) -> Iterator[tuple[Timed, str]]:
    """Guards that came so far, of which one write fails in that span: of each another one, of the last none."""
    for number in count(1):
        guard = Timed(folder / str(number))
        before(guard)
        with refusing(number) as refused:
            failures = guard.turn(span)
        assert failures == bool(refused.refused), refused.seen
        yield guard, f"{number}: {refused.refused}"
        assert not queued_runs(guard.catalog)
        guard.catalog.close()
        if not refused.refused:
            return


def nothing(_: Timed) -> None:
    """It has just begun."""


def test_whichever_write_fails_each_due_time_has_its_run_at_once(tmp_path: Path) -> None:
    for guard, refused in each_write(tmp_path, nothing, 2.5 * HOUR):
        late = [moment - START - hours * HOUR for hours, moment in enumerate(guard.moments, start=1)]
        assert len(late) == 2, refused
        assert max(late) <= PAUSE, refused
    assert int(refused.partition(":")[0]) > 25


def test_a_timetable_that_could_not_be_begun_at_first_is_followed_by_the_next_daemon_too(tmp_path: Path) -> None:
    for guard, refused in each_write(tmp_path, nothing, HOUR / 2):
        guard.now += HOUR
        guard.restart()
        guard.turn(HOUR / 4)
        assert guard.moments == [START + 1.5 * HOUR], refused


def test_whichever_write_fails_a_run_that_the_machine_stopped_is_made_again(tmp_path: Path) -> None:
    def stopped(guard: Timed) -> None:
        guard.turn(1.1 * HOUR)
        guard.end(guard.started[0], "interrupted")
        guard.restart()

    for guard, refused in each_write(tmp_path, stopped, HOUR / 2):
        first, second = guard.moments
        assert second - first < HOUR / 4, refused


@pytest.mark.parametrize("seconds", [30, 300])
def test_while_nothing_can_be_written_runs_wait_and_begin_after_it(tmp_path: Path, seconds: int) -> None:
    guard = Timed(tmp_path)
    over = START + HOUR + timedelta(seconds=seconds)
    with refusing_those(lambda _: START + HOUR <= guard.now < over):
        guard.turn(2.5 * HOUR)
    assert guard.moments == [over, START + 2 * HOUR]
    assert not missed_runs(guard.catalog, START)
