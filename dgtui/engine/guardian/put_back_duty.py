"""The duty that puts back what a target held whose import was cut: nobody may be there to do it."""

from datetime import datetime, timedelta

from dgtui.engine.errors import DataGuardianError
from dgtui.engine.guardian.duty import DutyContext
from dgtui.engine.guardian.periodic import Periodic
from dgtui.engine.model import Record
from dgtui.engine.notify import raise_notification
from dgtui.engine.putting_back import cut_imports, start_putting_back
from dgtui.engine.restore_model import Restore
from dgtui.engine.spawning import Start, spawn_worker

_FIRST_WAIT = timedelta(minutes=1)
_LONGEST_WAIT = timedelta(minutes=15)


class _Hindrance(Record, frozen=True):
    """Why a cut import could not be put back."""

    message: str
    since: datetime
    wait: timedelta

    def holds_off(self, now: datetime) -> bool:
        """Whether it is too soon for another try."""
        return self.since <= now < self.since + self.wait


class PutBackDuty(Periodic):
    """Looks once a minute for imports in place whose worker died, and undoes each once.

    What is there by then is backed up first, as with every undo, so that nothing of it is lost either.
    """

    name = "cut imports"
    limit = timedelta(minutes=10)
    every = timedelta(minutes=1)

    def __init__(self, context: DutyContext, start: Start = spawn_worker) -> None:
        super().__init__()
        self._context = context
        self._start_worker = start
        self._hindrances: dict[str, _Hindrance] = {}

    def run(self, now: datetime) -> None:
        """Start putting back what nobody has begun to put right."""
        cut = {one.restore_id: one for one in cut_imports(self._context.catalog.restores())}
        self._hindrances = {name: one for name, one in self._hindrances.items() if name in cut}
        for restore in cut.values():
            known = self._hindrances.get(restore.restore_id)
            if restore.datasource in self._context.config.datasources and not (known and known.holds_off(now)):
                self._put_back(restore, now)
        self._looked_at = now

    def _put_back(self, restore: Restore, now: datetime) -> None:
        context = self._context
        try:
            run_id = start_putting_back(
                context.catalog, context.config, context.paths, restore, now, self._start_worker
            )
        except DataGuardianError as error:
            self._hindered(restore, error, now)
            return
        if run_id is not None:
            short = restore.restore_id[:8]
            context.log(f"Putting back what {restore.target} held before restore {short}, which was cut", "warning")

    def _hindered(self, restore: Restore, error: DataGuardianError, now: datetime) -> None:
        """Wait longer each time, and tell once, however long it lasts."""
        known = self._hindrances.get(restore.restore_id)
        wait = _FIRST_WAIT if known is None else min(known.wait * 2, _LONGEST_WAIT)
        self._hindrances[restore.restore_id] = _Hindrance(message=error.message, since=now, wait=wait)
        message = f"{restore.target} is only partly filled and cannot be put back now: {error.message}"
        if known is None or known.message != error.message:
            self._context.log(message, "error")
        raise_notification(
            self._context.catalog,
            "restore_failed",
            subject_kind="datasource",
            subject=restore.datasource,
            message=message,
            details=(*filter(None, (error.hint,)), f"By hand: dgtui undo {restore.restore_id[:8]}"),
            event=f"{restore.restore_id} cannot be put back",
            at=now,
        )
