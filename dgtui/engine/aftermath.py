"""What comes after a restore: taking it back, finishing it, and clearing away what it left or kept."""

from dgtui.engine.audit import current_actor
from dgtui.engine.datasources.loading import Selection
from dgtui.engine.errors import ConfigError, DataGuardianError
from dgtui.engine.messages import now
from dgtui.engine.orders import RestoreOrder
from dgtui.engine.own_places import refuse_own_places
from dgtui.engine.replaced import Kept, drop_expired, drop_replaced, kept_replaced
from dgtui.engine.restore_leftovers import clean_up
from dgtui.engine.restore_model import Restore
from dgtui.engine.starting import RunStarter
from dgtui.engine.undo_choice import UndoChoice, undo_choice
from dgtui.engine.undo_order import undo_order


class RestoreAftermath(RunStarter):
    """Takes restores back, finishes them, and clears up after them."""

    def undo_choice(self, restore: Restore) -> UndoChoice:
        """Look whether a restore can be taken back, and how; changes nothing."""
        return undo_choice(self.catalog, self.config, restore)

    def start_undo(
        self,
        restore: Restore,
        *,
        reason: str = "",
        safety: bool | None = None,
        safety_to: str | None = None,
        in_place: bool = False,
    ) -> str:
        """Start taking a restore back; the id of that, which is a restore too. Raises ConfigError, JobBusy.

        What is replaced by it is kept like any other; a safety backup is made besides where the way is a restore of
        one, or with `safety`. `in_place` as for `start_restore`.
        """
        if safety_to is not None:
            self.config.require_storage(safety_to)
        choice, actor = self.undo_choice(restore), current_actor()
        order = undo_order(
            self.config,
            restore,
            choice,
            actor,
            now(),
            reason=reason,
            safety=safety,
            safety_to=safety_to,
            in_place=in_place,
        )
        self._spare_own_places(order)
        return self._start_restore(order)

    def _spare_own_places(self, order: RestoreOrder) -> None:
        """Raise RestoreError where something of our own lies by now in what an undo takes away."""
        part = order.part
        changed = Selection(tables=(*part.replaced, *part.added, *part.removed) if part is not None else ())
        adapter = self.config.datasource(order.datasource)
        refuse_own_places(
            self.config, self.paths.state, adapter, order.database, changed, merge=order.merge or part is not None
        )

    def finish_restore(self, restore: Restore, *, reason: str = "") -> str:
        """Start to import a backup once more into a target that was left partly filled; the id of that restore.

        What is there now is backed up first, as ever. Raises ConfigError where there is nothing to finish, JobBusy.
        """
        if not restore.partly_filled or not restore.execution_id:
            raise ConfigError(
                f"Restore {restore.restore_id[:8]} has not left {restore.target} partly filled",
                subject=restore.restore_id,
                hint="Leave out --finish, or restore again",
            )
        return self.start_restore(
            self.execution(restore.execution_id),
            datasource=restore.datasource,
            database=restore.target,
            selection=Selection(backup_type=restore.backup_type, tables=restore.tables),
            overwrite=True,
            in_place=True,
            reason=reason or f"Finishes restore {restore.restore_id[:8]}",
        )

    def cleanup_restore(self, restore: Restore) -> tuple[str, ...]:
        """Bring an interrupted restore to a clean end and remove what it left; sentences for people.

        Raises DataGuardianError.
        """
        return clean_up(self.catalog, self.config, self.paths, restore)

    def kept_replaced(self) -> list[Kept]:
        """The former contents that restores have kept beside their targets, the newest first."""
        return kept_replaced(self.catalog)

    def drop_replaced(self, restore: Restore) -> Restore:
        """Drop what a restore has kept; its record. Raises DataGuardianError."""
        return drop_replaced(self.catalog, self.config, self.paths, restore.restore_id)

    def drop_expired_replaced(self) -> tuple[list[Restore], list[DataGuardianError]]:
        """Drop all that was kept and whose time is over; the records, and what kept others from being dropped."""
        return drop_expired(self.catalog, self.config, self.paths, now())
