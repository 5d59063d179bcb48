"""What the catalogue learns of a backup: that it began, how it ended, and what follows from that."""

import contextlib
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dgtui.config import Config
from dgtui.engine.cancellation import Cancellation
from dgtui.engine.catalog import open_or_stand_in
from dgtui.engine.cleanup import RoundBackup
from dgtui.engine.cut_swaps import refuse_swapping, swaps_into
from dgtui.engine.errors import DataGuardianError
from dgtui.engine.made_again import next_step
from dgtui.engine.model import Execution
from dgtui.engine.orders import BackupOrder
from dgtui.engine.putting_back import refuse_partly_filled
from dgtui.engine.putting_right import put_right
from dgtui.engine.run_files import prune_run_files
from dgtui.engine.run_writer import RunWriter
from dgtui.engine.runs import RunPaths
from dgtui.engine.secrets import observe_secrets
from dgtui.engine.storages.base import Storage
from dgtui.engine.stored import remember_marker
from dgtui.engine.telling import SecretReads, Teller

_UNSAID = "The backup is whole, but could not be recorded in the catalogue: it is taken up later"


class BackupRecords:
    """The catalogue's side of one backup; a backup does not fail because the catalogue cannot be used."""

    def __init__(
        self,
        paths: RunPaths,
        config: Config,
        order: BackupOrder,
        run: RunWriter,
        cancellation: Cancellation,
        secrets_read: Sequence[tuple[str, str]],
    ) -> None:
        """Open the catalogue, or what stands in for it; `secrets_read` are told of first. Raises CatalogError."""
        self._paths = paths
        self._config = config
        self._order = order
        self._run = run
        self._began = False
        self._ends_after_program = False
        self._elsewhere = contextlib.ExitStack()
        self._catalog, error = open_or_stand_in(paths.state, self._folder_elsewhere)
        self._stands_in = error is not None
        if error is not None:
            self._warn(f"{error.message}. The backup is made all the same")
            self._note_unrecorded()
        self._teller = Teller(self._catalog, config, self._warn)
        self._retention = RoundBackup(self._catalog, config, paths, run, cancellation)
        reads = SecretReads(self._teller)
        for subject, place in secrets_read:
            reads(subject, place)
        observe_secrets(reads)

    def storage_marker(self, storage: str) -> str | None:
        """Which marker a storage carried when it was last used. Raises CatalogError."""
        return self._catalog.storage_marker(storage)

    def began(self, execution: Execution) -> None:
        """Record that it runs; whoever started it without the catalogue left it to us to put right what lay there."""
        if self._began:
            return
        self._began = True
        run_id = self._order.run_id
        if not self.save(execution) or self._stands_in or not self._paths.is_unrecorded(run_id):
            return
        try:
            (self._paths.unrecorded / run_id).unlink()
            for sentence in put_right(self._catalog, self._config, self._paths, self._warn):
                self._run.log(sentence)
        except (DataGuardianError, OSError) as error:
            self._warn(f"What earlier runs left was not put right: {error}")

    def refuse_partly_filled(self, database: str) -> None:
        """Raise BackupCreationError where an import was cut that filled this database, and nothing mended it since."""
        if not self._stands_in:
            refuse_partly_filled(self._catalog.restores(), self._order.job.datasource, database)

    def swaps_into(self, database: str) -> tuple[str, ...]:
        """The restores whose swap into this database is under way or was cut, for `refuse_swapping`."""
        if self._stands_in:
            return ()
        return swaps_into(self._catalog.restores(), self._order.job.datasource, database)

    def refuse_swapping(self, restore_ids: Sequence[str]) -> None:
        """Settle these restores, and raise BackupCreationError: the dump began before that."""
        if restore_ids:
            refuse_swapping(
                self._catalog, self._config, self._paths, self._order.job.datasource, restore_ids, self._run.log
            )

    def know(self, storages: Sequence[Storage[Any]]) -> None:
        """Record by which markers storages are known that a backup was made at."""
        for storage in storages:
            with contextlib.suppress(DataGuardianError):
                remember_marker(self._catalog, storage)

    def whole_before_after(self, execution: Execution) -> None:
        """Record a backup whose program `after` is still to run: whoever looks meanwhile sees it.

        Where the worker is killed then, the next one who starts is to tell of it.
        """
        self._note_unrecorded()
        self._ends_after_program = self.save(execution) and not self._stands_in

    def ended(self, execution: Execution) -> bool:
        """Record how a backup ended, and tell those who want to know; False where it could not be recorded."""
        recorded = self._recorded(lambda: self._teller.record_end(execution))
        if recorded and self._ends_after_program:
            with contextlib.suppress(OSError):
                (self._paths.unrecorded / self._order.run_id).unlink()
        self._teller.heartbeat(execution)
        self._teller.deliver()
        return recorded

    def next_step(self) -> str:
        """What is left to do about this backup where the machine stops it. Raises CatalogError."""
        return next_step(self._catalog, self._order.run_id)

    def save(self, execution: Execution) -> bool:
        """Write the execution to the catalogue; False where that fails, and then it is taken up later."""
        return self._recorded(lambda: self._catalog.save_execution(execution))

    def _recorded(self, write: Callable[[], None]) -> bool:
        try:
            write()
        except DataGuardianError as error:
            self._run.log(error.message, level="error")
            self._note_unrecorded()
            return False
        return True

    def after_backup(self, *, recorded: bool) -> tuple[str, ...]:
        """Remove what retention does not keep any more; warnings."""
        if recorded and not self._stands_in:
            return self._retention.clean_up(self._order)
        return (_UNSAID,)

    def make_room(self) -> bool:
        """Remove what retention does not keep at the job's storages; whether anything became free."""
        return self._retention.make_room(self._order)

    def close(self) -> None:
        """Remove the files of runs that ended long ago, and close the catalogue."""
        if not self._stands_in:
            with contextlib.suppress(DataGuardianError):
                prune_run_files(self._catalog, self._paths, kept_seconds=self._config.guardian.run_logs_kept)
        self._catalog.close()
        self._elsewhere.close()

    def _folder_elsewhere(self) -> Path:
        # What stands in must not need the disk of the state folder, which may be full.
        return Path(self._elsewhere.enter_context(tempfile.TemporaryDirectory(prefix="dgtui-")))

    def _note_unrecorded(self) -> None:
        with contextlib.suppress(OSError, DataGuardianError):
            self._paths.note_unrecorded(self._order.run_id)

    def _warn(self, text: str) -> None:
        self._run.log(text, level="warning")
