"""Looking at datasources, storages and copies as they are now."""

from collections.abc import Sequence

from dgtui.engine.datasources.datasource_settings import DatasourceSettings
from dgtui.engine.datasources.loading import Selection
from dgtui.engine.glance import DatasourceCheck, check_datasource, check_settings, manifest_of
from dgtui.engine.lookup import Lookup
from dgtui.engine.manifest import Manifest
from dgtui.engine.model import Copy, Execution
from dgtui.engine.preview import RestorePreview, preview_restore
from dgtui.engine.rebuild import unread_storages
from dgtui.engine.storages.base import StorageState
from dgtui.engine.stored import know_marker
from dgtui.engine.verify import copies_at, live_copies, manual_commands


class LiveLook(Lookup):
    """Looks, and changes nothing but what the catalogue knows."""

    def live_copies(self, execution: Execution) -> tuple[Copy, ...]:
        """The copies of an execution as they are now at their storages; the catalogue learns it."""
        return live_copies(self.catalog, self.config, execution)

    def copies_at(self, storage: str, executions: Sequence[Execution]) -> dict[str, Copy]:
        """The copies of executions at one storage as they are now, by the execution's id; the catalogue learns it."""
        return copies_at(self.catalog, self.config, storage, executions)

    def manifest(self, execution: Execution, *, storage: str | None = None) -> Manifest:
        """What a backup says of itself, from the first copy that can be read. Raises DataGuardianError."""
        return manifest_of(self.config, execution, storage)

    def check_datasource(self, name: str) -> DatasourceCheck:
        """Look how a datasource answers now. Raises ConfigError where there is none of this name."""
        return check_datasource(self.config, name)

    def check_settings(self, name: str, settings: DatasourceSettings) -> DatasourceCheck:
        """Look how a datasource would answer that is not configured yet."""
        return check_settings(name, settings)

    def examine_storage(self, name: str) -> StorageState:
        """Look at a storage, changing nothing. Raises ConfigError where there is none of this name."""
        storage = self.config.storage(name)
        know_marker(self.catalog, storage)
        return storage.examine()

    def unread_storages(self) -> dict[str, str]:
        """The storages that the catalogue never saw and where backups may lie, and why that is not known."""
        return unread_storages(self.catalog, self.config)

    def manual_commands(self, execution: Execution) -> str:
        """The content of RESTORE.txt: how to restore this backup, with its copies as they are now, by hand.

        Raises StorageError, ValidationError.
        """
        return manual_commands(self.config, execution)

    def preview_restore(
        self,
        execution: Execution,
        *,
        storage: str | None = None,
        datasource: str | None = None,
        database: str | None = None,
        selection: Selection | None = None,
        name_as: str | None = None,
        merge: bool = False,
        deep: bool = False,
        safety: bool = True,
        in_place: bool = False,
    ) -> RestorePreview:
        """What a restore would change, and in which way; changes nothing. Raises DataGuardianError."""
        return preview_restore(
            self.config,
            self.catalog,
            self.paths.state,
            execution,
            storage=storage,
            datasource=datasource,
            database=database,
            selection=selection or Selection(),
            name_as=name_as,
            merge=merge,
            deep=deep,
            safety=safety,
            in_place=in_place,
        )
