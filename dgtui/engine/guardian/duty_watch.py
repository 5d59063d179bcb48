"""Watches the duties themselves: one that hangs is told of, since nothing can end it from outside."""

from collections.abc import Sequence

from dgtui.engine.errors import DataGuardianError
from dgtui.engine.guardian.duty import DutyContext
from dgtui.engine.guardian.runner import DutyRunner
from dgtui.engine.notify import end_states, raise_notification


class DutyWatch:
    """Tells once of each duty that hangs, and that it is over."""

    def __init__(self, context: DutyContext) -> None:
        self._context = context
        self._hanging: set[str] | None = None

    def look(self, runners: Sequence[DutyRunner]) -> tuple[str, ...]:
        """The names of the duties that are at work for longer than they may be."""
        hanging = {runner.state.name for runner in runners if runner.hangs}
        # What hung in a former daemon does not hang in this one.
        former = {runner.state.name for runner in runners} if self._hanging is None else self._hanging
        for name in sorted(hanging - (self._hanging or set())):
            self._context.log(f"{name} does not come to an end; the other duties go on", "error")
            self._tell(name)
        for name in sorted(former - hanging):
            self._end(name)
        for name in sorted((self._hanging or set()) - hanging):
            self._context.log(f"{name} goes on")
        self._hanging = hanging
        return tuple(sorted(hanging))

    def _tell(self, name: str) -> None:
        try:
            raise_notification(
                self._context.catalog,
                "duty_hangs",
                subject_kind="duty",
                subject=name,
                message=f"The daemon's duty '{name}' does not come to an end: nothing of it is done meanwhile",
                details=("Something below it hangs, such as a network mount. See: dgtui daemon --status",),
                at=self._context.clock(),
            )
        except DataGuardianError as error:
            self._context.log(error.message, "warning")

    def _end(self, name: str) -> None:
        try:
            end_states(
                self._context.catalog,
                ("duty_hangs",),
                subject_kind="duty",
                subject=name,
                at=self._context.clock(),
            )
        except DataGuardianError as error:
            self._context.log(error.message, "warning")
