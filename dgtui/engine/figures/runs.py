"""Success rate, duration and size of runs over time."""

from collections.abc import Callable, Iterable, Sequence

from dgtui.engine.catalog.figures import RunSum
from dgtui.engine.figures.model import Period, RunFigures
from dgtui.engine.model import RESTORABLE


def grouped(sums: Sequence[RunSum], name_of: Callable[[RunSum], str]) -> tuple[RunFigures, ...]:
    """The figures of each job or datasource, by name."""
    groups: dict[str, list[RunSum]] = {}
    for one in sums:
        groups.setdefault(name_of(one), []).append(one)
    return tuple(run_figures(name, groups[name]) for name in sorted(groups))


def run_figures(name: str, sums: Sequence[RunSum]) -> RunFigures:
    """The figures of what is summed up here."""
    by_period: dict[str, list[RunSum]] = {}
    for one in sums:
        by_period.setdefault(one.period, []).append(one)
    periods = tuple(_period(begins, by_period[begins]) for begins in sorted(by_period))
    good = [one for one in sums if one.status in RESTORABLE]
    completed, judged = _count(sums, "completed"), _count(sums, "completed", "partial", "failed", "interrupted")
    return RunFigures(
        name=name,
        completed=completed,
        partial=_count(sums, "partial"),
        failed=_count(sums, "failed", "interrupted"),
        cancelled=_count(sums, "cancelled"),
        success_rate=completed / judged if judged else None,
        mean_seconds=_mean_seconds(good),
        longest_seconds=max((one.longest_seconds for one in good if one.longest_seconds is not None), default=None),
        mean_size_bytes=_mean_size(good),
        stored_bytes=sum(one.stored_bytes or 0 for one in good),
        size_change=_size_change(periods),
        periods=periods,
    )


def _period(begins: str, sums: Sequence[RunSum]) -> Period:
    good = [one for one in sums if one.status in RESTORABLE]
    sized = sum(one.sized for one in good)
    return Period(
        begins=begins,
        completed=_count(sums, "completed"),
        partial=_count(sums, "partial"),
        failed=_count(sums, "failed", "interrupted"),
        cancelled=_count(sums, "cancelled"),
        mean_seconds=_mean_seconds(good),
        mean_size_bytes=_mean_size(good),
        mean_stored_bytes=round(sum(one.stored_bytes or 0 for one in good) / sized) if sized else None,
    )


def _count(sums: Iterable[RunSum], *statuses: str) -> int:
    return sum(one.times for one in sums if one.status in statuses)


def _mean_seconds(sums: Sequence[RunSum]) -> float | None:
    timed = sum(one.timed for one in sums)
    # A clock that was set back makes a run end before it began.
    return max(sum(one.seconds or 0.0 for one in sums) / timed, 0.0) if timed else None


def _mean_size(sums: Sequence[RunSum]) -> int | None:
    sized = sum(one.sized for one in sums)
    return round(sum(one.size_bytes or 0 for one in sums) / sized) if sized else None


def _size_change(periods: Sequence[Period]) -> float | None:
    sizes = [period.mean_size_bytes for period in periods if period.mean_size_bytes is not None]
    return sizes[-1] / sizes[0] - 1 if len(sizes) > 1 and sizes[0] else None
