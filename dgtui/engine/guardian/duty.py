"""What a duty of the daemon is, and what it gets to work with.

A new duty is a class that fits `Duty`, made from a `DutyContext`, and one line in `duties.py`.
"""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal, Protocol

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.messages import now
from dgtui.engine.runs import RunPaths

Level = Literal["info", "warning", "error"]


class Duty(Protocol):
    """Something the daemon does from time to time.

    Each duty is called in a thread of its own, so that one that hangs delays no other; a duty itself is never called
    twice at once. What it must remember across a kill -9 belongs into the catalogue, written before it is acted on.
    """

    @property
    def name(self) -> str:
        """What it is called in the log and by `dgtui daemon --status`."""

    @property
    def limit(self) -> timedelta:
        """How long one run may take: people are told of one that takes longer."""

    def next_due(self, now: datetime) -> datetime | None:
        """When `run` is to be called next: a time that has passed means at once, None means not for now.

        It is asked again after each run, when the configuration has changed or the clock was set, and every few
        minutes: the answer has to be quick, and to follow from `now` and what the duty knows.
        """

    def run(self, now: datetime) -> None:
        """Do what is due. A DataGuardianError is told, and the duty is tried again after a growing wait.

        A duty that works for long looks at `DutyContext.stopping` now and then, and returns soon once it is set.
        """


class DutyContext:
    """What duties work with: always the newest configuration that is right, the catalogue, the runs, the clock."""

    def __init__(
        self,
        config: Config,
        catalog: Catalog,
        paths: RunPaths,
        *,
        clock: Callable[[], datetime] = now,
        log: Callable[[str, Level], None] = lambda _text, _level: None,
    ) -> None:
        self._config = config
        self.catalog = catalog
        self.paths = paths
        self.clock = clock
        self.stopping = threading.Event()
        """Set once the daemon is to end."""
        self._log = log
        self.zones_taken = 0
        """How often the system's time zone was set meanwhile: what was made with a former one counts no more."""

    @property
    def config(self) -> Config:
        """The configuration as it is now; take it once at the beginning of a run."""
        return self._config

    def take_config(self, config: Config) -> None:
        """Go on with another configuration."""
        self._config = config

    def take_zone(self) -> None:
        """Go on by the time zone that the system has now, where none is configured."""
        self.zones_taken += 1

    def log(self, text: str, level: Level = "info") -> None:
        """Add a line to the daemon's log."""
        self._log(text, level)
