"""Watches the duties themselves: one that hangs or keeps failing is told of, and that it is over."""

from collections.abc import Callable, Iterable, Sequence

from dgtui.engine.errors import DataGuardianError
from dgtui.engine.guardian.duty import DutyContext
from dgtui.engine.guardian.outcry import Outcry
from dgtui.engine.guardian.runner import DutyRunner
from dgtui.engine.model import Problem
from dgtui.engine.notification_model import NotificationKind
from dgtui.engine.notify import end_states, raise_notification


class DutyWatch:
    """Tells once of each duty that hangs or fails, and that it is over."""

    def __init__(self, context: DutyContext) -> None:
        self._context = context
        self._hanging: set[str] = set()
        self._told_to_hang: dict[str, bool] = {}
        """Nothing of a duty yet: what hung in a former daemon does not hang in this one."""
        self._told_to_work: dict[str, bool] = {}
        self._unsaid = ""
        """Why people could not be told last."""
        self._outcry = Outcry(context)

    def look(self, runners: Sequence[DutyRunner]) -> tuple[str, ...]:
        """The names of the duties that are at work for longer than they may be."""
        hanging = {runner.state.name for runner in runners if runner.hangs}
        for name in sorted(hanging - self._hanging):
            self._context.log(f"{name} does not come to an end; the other duties go on", "error")
        for name in sorted(self._hanging - hanging):
            self._context.log(f"{name} goes on")
        self._hanging = hanging
        self._tell_what_hangs({runner.state.name for runner in runners})
        if self._outcry.lasts and self._outcry.ends():
            # Why these failed was told.
            self._told_to_work |= {runner.state.name: False for runner in runners if runner.works is False}
        for runner in runners:
            # What cannot be told is tried again at the next look: each try may wait long for the catalogue.
            if self._outcry.lasts or not self._look_for_failures(runner):
                break
        return tuple(sorted(hanging))

    def _tell_what_hangs(self, names: Iterable[str]) -> None:
        for name in sorted(names):
            hangs = name in self._hanging
            if hangs == self._told_to_hang.get(name):
                continue
            if (self._tell_hanging(name) if hangs else self._end_hanging(name)) is not None:
                return
            self._told_to_hang[name] = hangs

    def _look_for_failures(self, runner: DutyRunner) -> bool:
        """Whether nothing of it is left to be told."""
        works, state = runner.works, runner.state
        if works is None or works == self._told_to_work.get(state.name):
            return True
        if works:
            text = f"The daemon's duty '{state.name}' does its work again"
            untold = self._tell("duty_restored", state.name, text)
        else:
            reason = "" if state.problem is None else f": {state.problem.message}"
            text = f"The daemon's duty '{state.name}' fails again and again{reason}"
            untold = self._tell("duty_fails", state.name, text, _way_out(state.problem))
            if untold is not None:
                # Nothing else can be told either.
                self._outcry.begin(untold)
        if untold is None:
            self._told_to_work[state.name] = works
        return untold is None

    def _tell_hanging(self, name: str) -> DataGuardianError | None:
        text = f"The daemon's duty '{name}' does not come to an end: nothing of it is done meanwhile"
        hint = "Something below it hangs, such as a network mount. See: dgtui daemon --status"
        return self._tell("duty_hangs", name, text, (hint,))

    def _tell(
        self, kind: NotificationKind, name: str, message: str, details: Sequence[str] = ()
    ) -> DataGuardianError | None:
        """Why people could not be told."""
        return self._safely(
            lambda: raise_notification(
                self._context.catalog,
                kind,
                subject_kind="duty",
                subject=name,
                message=message,
                details=details,
                at=self._context.clock(),
            )
        )

    def _end_hanging(self, name: str) -> DataGuardianError | None:
        return self._safely(
            lambda: end_states(
                self._context.catalog,
                ("duty_hangs",),
                subject_kind="duty",
                subject=name,
                at=self._context.clock(),
            )
        )

    def _safely(self, write: Callable[[], object]) -> DataGuardianError | None:
        """Why it could not be written."""
        try:
            write()
        except DataGuardianError as error:
            # At each look it may be tried again, and fail for the same reason.
            if error.message != self._unsaid:
                self._context.log(error.message, "warning")
            self._unsaid = error.message
            return error
        self._unsaid = ""
        return None


def _way_out(problem: Problem | None) -> tuple[str, ...]:
    hint = () if problem is None or not problem.hint else (f"Next: {problem.hint}",)
    return (*hint, "How it stands: dgtui daemon --status")
