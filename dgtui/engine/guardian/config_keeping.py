"""What the daemon tells of its configuration: that it is wrong, that it is right again, that it was changed by hand."""

from collections.abc import Callable
from pathlib import Path

from dgtui.engine.config_changes import ConfigChanges
from dgtui.engine.errors import ConfigError, DataGuardianError
from dgtui.engine.guardian.duty import DutyContext
from dgtui.engine.notify import end_states, raise_notification


class ConfigKeeping:
    """Tells of changes; what cannot be told is said in the daemon's log, and the daemon goes on."""

    def __init__(self, context: DutyContext, path: Path | None) -> None:
        self._context = context
        self._subject = str(path) if path is not None else "the configuration"
        self._changes = ConfigChanges(context.catalog, path)

    def taken(self) -> None:
        """A configuration that is right was taken up."""
        self._safely(self._notice)
        self._safely(
            lambda: end_states(
                self._context.catalog,
                ("configuration_wrong",),
                subject_kind="configuration",
                subject=self._subject,
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
