"""How the daemon takes up its configuration, and what it tells of it.

What is right is kept as it was read, for workers and for the next start: a configuration that somebody is in the middle
of changing stops no backup.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec

from dgtui.config import Config
from dgtui.config.files import find_files
from dgtui.config.kept import keep, kept_folder, last_kept
from dgtui.config.load import Sources, config_of, read_sources
from dgtui.engine.config_changes import ConfigChanges
from dgtui.engine.errors import ConfigError, DataGuardianError
from dgtui.engine.guardian.duty import DutyContext, Level
from dgtui.engine.notify import raise_notification
from dgtui.engine.runs import RunPaths


class ConfigKeeping:
    """Tells of changes; what cannot be told is said in the daemon's log, and the daemon goes on."""

    def __init__(self, context: DutyContext, path: Path | None) -> None:
        self._context = context
        self._path = path
        self._subject = str(path) if path is not None else "the configuration"
        self._changes = ConfigChanges(context.catalog, path)

    def take(self) -> Config:
        """The configuration as its files are now. Raises ConfigError where they are wrong."""
        return _taken(self._path, self._context.paths, self._context.log)

    def taken(self) -> None:
        """A configuration that is right was taken up."""
        self._safely(self._notice)
        self._safely(
            lambda: raise_notification(
                self._context.catalog,
                "configuration_restored",
                subject_kind="configuration",
                subject=self._subject,
                message="The configuration is right again and in use",
                at=self._context.clock(),
            )
        )

    def refused(self, error: ConfigError) -> None:
        """A wrong one was found, and the last good one stays in use."""
        self._safely(self._notice)
        first, *more = error.message.splitlines()
        self._safely(
            lambda: raise_notification(
                self._context.catalog,
                "configuration_wrong",
                subject_kind="configuration",
                subject=self._subject,
                message=f"The configuration is wrong, the last good one stays in use: {first}",
                details=(*more, "See all of it with: dgtui check"),
                at=self._context.clock(),
            )
        )

    def _notice(self) -> None:
        for file in self._changes.notice():
            self._context.log(f"{file} was changed by hand")

    def _safely(self, tell: Callable[[], object]) -> None:
        try:
            tell()
        except DataGuardianError as error:
            self._context.log(f"A change of the configuration could not be told: {error.message}", "warning")


def first_config(
    path: Path | None, paths: RunPaths, log: Callable[[str, Level], None]
) -> tuple[Config, ConfigError | None]:
    """What a daemon begins with: where the files are wrong, the last that was right, and what is wrong with them.

    Raises ConfigError where none was ever right.
    """
    try:
        return _taken(path, paths, log), None
    except ConfigError as error:
        former = last_kept(kept_folder(paths.state), find_files(path).main)
        if former is None:
            raise
        return former, error


def _taken(path: Path | None, paths: RunPaths, log: Callable[[str, Level], None]) -> Config:
    sources = read_sources(path)
    config = config_of(sources)
    _refuse_emptied(config, sources, paths)
    try:
        return msgspec.structs.replace(config, kept=keep(sources, kept_folder(paths.state)))
    except DataGuardianError as error:
        log(f"The configuration could not be kept: {error.message}", "warning")
        return config


def _refuse_emptied(config: Config, sources: Sources, paths: RunPaths) -> None:
    """Raise ConfigError where nothing is left of what was configured, as where a full disk cut the file.

    Nothing would be backed up from then on, and nobody be told of it.
    """
    if _holds_anything(config):
        return
    former = last_kept(kept_folder(paths.state), sources.main)
    if former is not None and _holds_anything(former):
        place = str(sources.main) if sources.main is not None else "The configuration"
        raise ConfigError(
            f"{place}: nothing is configured any more",
            subject=place,
            hint="Write it anew, or stop the daemon where nothing is to be guarded",
        )


def _holds_anything(config: Config) -> bool:
    return bool(config.datasources or config.storages or config.jobs or config.channels)
