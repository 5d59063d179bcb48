"""What a kind has to be able to do with a database (or a file tree) that a restore writes to."""

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

from dgtui.engine.datasources.dumping import Archive
from dgtui.engine.datasources.loading import LoadOutcome, MissingRoles, Selection, TargetState
from dgtui.engine.datasources.own_names import NEW_SUFFIX
from dgtui.engine.datasources.replacing import Replacing
from dgtui.engine.errors import ConfigError
from dgtui.engine.model import ObjectInfo
from dgtui.engine.properties import DatabaseProperties
from dgtui.engine.reporting import Reporter


class Target(Replacing):
    """The part of a datasource that looks at targets, makes them, loads archives into them, and drops them."""

    @abstractmethod
    def target_state(self, database: str) -> TargetState:
        """Look at a possible target on this datasource's server, whether or not it exists."""

    def target_exists(self, database: str) -> bool:
        """Whether it is there, also where it cannot be looked into."""
        return self.target_state(database).exists

    def drop_if_there(self, database: str) -> None:
        """Drop it where it exists: who may not make one may not drop it either."""
        if self.target_exists(database):
            self.drop_target(database)

    @abstractmethod
    def beside_name(self, database: str, suffix: str) -> str:
        """Name (or path) of a second database beside `database`, within the kind's limits of length."""

    def loading_place(self, database: str) -> str:
        """Where an archive is loaded that shall take the place of all that a database holds."""
        return self.beside_name(database, NEW_SUFFIX)

    def name_to_keep(self, beside: str, database: str, suffix: str) -> str:  # noqa: ARG002
        """The name under which `swap` keeps what it replaces by `beside`."""
        return self.beside_name(database, suffix)

    @abstractmethod
    def check_restore(self, archive: Archive, database: str, selection: Selection) -> tuple[str, ...]:
        """Everything that can be known before the target is touched: tool, versions, rights, missing roles, room.

        Returns what the user should know; raises where the restore cannot work.
        """

    def refuse_unknown(
        self,
        archive: Archive,  # noqa: ARG002  # for most kinds the list is enough
        listed: Sequence[str],
        selection: Selection,
    ) -> tuple[str, ...]:
        """Raise ConfigError where something was chosen that is surely not in the archive, whose objects are `listed`.

        Returns what was chosen of which that cannot be told before the archive is read to its end.
        """
        if not listed:
            return selection.tables
        for name in selection.tables:
            if name not in listed:
                raise not_in_backup(name)
        return ()

    def chosen_with_parts(
        self,
        archive: Archive,  # noqa: ARG002  # most kinds have no parts
        database: str,  # noqa: ARG002
        selection: Selection,
    ) -> tuple[str, ...]:
        """The chosen names, and those of their parts: in the archive, or for rows alone in the target."""
        return selection.tables

    def missing_roles(self, archive: Archive, selection: Selection) -> MissingRoles:  # noqa: ARG002  # most kinds have none
        """The roles that the archive names and the target's server does not have."""
        return MissingRoles()

    def comes_along(self, archive: Archive, selection: Selection) -> tuple[str, ...]:  # noqa: ARG002  # most kinds: nothing
        """What is restored beside the chosen tables because they need it, for people."""
        return ()

    @abstractmethod
    def create_target(self, database: str, like: str | None = None) -> None:
        """Make an empty database (or folder) to load into; with `like`, with the properties and grants of that one."""

    def lacking_properties(self, recorded: DatabaseProperties) -> tuple[str, ...]:  # noqa: ARG002  # most have none
        """What of recorded properties this server does not have, each as a sentence; changes nothing."""
        return ()

    def create_as_recorded(self, database: str, recorded: DatabaseProperties) -> tuple[str, ...]:  # noqa: ARG002
        """Make an empty database with the recorded properties of one that is gone, as far as the server has them.

        Returns what was left out although `lacking_properties` did not tell it. Never fails because of a property.
        """
        self.create_target(database)
        return ()

    @abstractmethod
    def drop_target(self, database: str) -> None:
        """Remove a database (or file, folder) whole; does nothing where there is none."""

    @abstractmethod
    def load(
        self,
        archive: Archive,
        database: str,
        selection: Selection,
        reporter: Reporter,
        *,
        jobs: int,
        scratch_folder: Path,
    ) -> LoadOutcome:
        """Load the archive into `database`, which exists and is empty.

        Raises RestoreError, DatabaseConnectionError, ValidationError; errors of single statements are in the outcome.
        """

    @abstractmethod
    def inventory(self, database: str) -> tuple[ObjectInfo, ...]:
        """The objects of a database with exact row counts, to compare with a manifest."""

    def archive_checksums(
        self,
        archive: Archive,  # noqa: ARG002  # this is what a kind does that cannot do it
        selection: Selection,  # noqa: ARG002
        scratch_folder: Path,  # noqa: ARG002
    ) -> dict[str, str]:
        """A checksum of the content of each chosen object, computed from the archive; empty where that is impossible.

        It is equal to that of `content_checksums` where, and only where, all rows are, in whatever order they come.
        """
        return {}

    def content_checksums(
        self,
        database: str,  # noqa: ARG002
        names: Sequence[str],  # noqa: ARG002
        scratch_folder: Path,  # noqa: ARG002
    ) -> dict[str, str]:
        """The same of objects in a database; one that is not there is left out."""
        return {}


def not_in_backup(name: str, what: str = "table") -> ConfigError:
    """The error for something that was chosen and is not there."""
    return ConfigError(
        f"There is no {what} {name} in the backup",
        subject=name,
        hint="`dgtui show` lists what a backup holds; names are taken literally, with their case",
    )
