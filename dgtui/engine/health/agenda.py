"""What is watched, and when each thing is checked next."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from dgtui.config import Config
from dgtui.engine.health.timing import due_at
from dgtui.engine.health_age import interval_of
from dgtui.engine.health_model import Watched


class Agenda:
    """The next moment of each thing, worked out once for each check: it is asked every second or two."""

    def __init__(self, last: Mapping[Watched, datetime], started: datetime) -> None:
        """`last` is when each thing was checked, as far as anything was; `started` when watching began."""
        self._last = dict(last)
        self._started = started
        self._newest = max(self._last.values(), default=started)
        self._config: Config | None = None
        self._moments: dict[Watched, datetime] = {}

    def next_due(self, config: Config, now: datetime) -> datetime | None:
        """When something is to be checked; None where nothing is watched."""
        self._work_out(config, now)
        return min(self._moments.values(), default=None)

    def due(self, config: Config, now: datetime) -> list[Watched]:
        """What is to be checked by now."""
        self._work_out(config, now)
        return [subject for subject, moment in self._moments.items() if moment <= now]

    def checked(self, config: Config, subject: Watched, now: datetime) -> None:
        """Note that something is being checked."""
        self._last[subject] = now
        self._newest = max(self._newest, now)
        if subject in self._moments:
            self._moments[subject] = self._moment(config, subject, now)

    def removed(self, config: Config, now: datetime) -> set[Watched]:
        """What was checked and is not watched any more."""
        self._work_out(config, now)
        return self._last.keys() - self._moments.keys()

    def forget(self, subjects: Iterable[Watched]) -> None:
        """Know no more of things that are not watched any more."""
        for subject in subjects:
            del self._last[subject]

    def _work_out(self, config: Config, now: datetime) -> None:
        if now < self._newest:
            # The clock was set back: what it ran ahead for puts nothing off.
            self._started = min(self._started, now)
            self._last = {subject: min(last, now) for subject, last in self._last.items()}
            self._newest, self._config = now, None
        if config is not self._config:
            self._config = config
            self._moments = {subject: self._moment(config, subject, now) for subject in watched_of(config)}

    def _moment(self, config: Config, subject: Watched, now: datetime) -> datetime:
        interval = interval_of(config, subject)
        return due_at(subject, interval, last=self._last.get(subject), started=self._started, now=now)


def watched_of(config: Config) -> list[Watched]:
    """Everything that is watched: what is switched off is not."""
    datasources = [name for name, settings in config.datasources.items() if settings.enabled]
    return [
        *(Watched(kind="datasource", name=name) for name in datasources),
        *(Watched(kind="storage", name=name) for name in config.storages),
        *(Watched(kind="job", name=name) for name in config.jobs if config.is_followed(name)),
    ]


def changed_datasources(former: Config, config: Config) -> set[Watched]:
    """Those that are reached in another way now."""
    both = [one for one in watched_of(config) if one.kind == "datasource" and one.name in former.datasources]
    return {one for one in both if former.datasources[one.name] != config.datasources[one.name]}
