"""What a kind of database (or a file tree) has to be able to do.

One adapter is one file with one class under `Datasource`, registered in `datasources/__init__.py`. An adapter knows
how to look at its source, how to dump it as a stream of bytes, how to tell that such a stream is whole, and how to
load it again. It never writes to a storage and never decides what a failure means for the run.
"""

import shlex
from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar, Generic, Self, TypeVar

import msgspec

from dgtui.engine.datasources.answer import HealthAnswer
from dgtui.engine.datasources.datasource_settings import DatasourceSettings, ServerSettings
from dgtui.engine.datasources.dumping import WHOLE, Archive, ArchiveCheck, Dump, DumpOptions, Probe
from dgtui.engine.datasources.loading import LoadOutcome, MissingRoles, Selection, TargetState
from dgtui.engine.datasources.own_names import NEW_SUFFIX
from dgtui.engine.datasources.replacing import Replacing
from dgtui.engine.errors import BackupCreationError, ConfigError
from dgtui.engine.model import ObjectInfo, ToolVersion
from dgtui.engine.properties import DatabaseProperties
from dgtui.engine.reporting import Reporter

IDLE_SECONDS = 600.0
"""How long nothing may move where no job says."""
SettingsT = TypeVar("SettingsT", bound=DatasourceSettings)


class Datasource(Replacing, Generic[SettingsT]):
    """One configured source, seen through its kind's adapter."""

    kind: ClassVar[str]
    """Name in the configuration, such as `postgres`."""
    label: ClassVar[str]
    """Name for people, such as `PostgreSQL`."""
    archive_format: ClassVar[str]
    """File ending of an uncompressed dump (design.md, "On disk")."""
    settings_type: ClassVar[type[DatasourceSettings]]
    options: ClassVar[frozenset[str]] = frozenset()
    """Which it knows of: schema_only, data_only, tables, exclude_tables, extra_arguments, globals, parallel_restore,
    merge, private_server."""

    object_noun: ClassVar[str] = "tables"
    """What its objects are, for people."""
    new_target: ClassVar[str] = "new database"
    """What a target is that is made for a restore, for people."""
    objects_are_paths: ClassVar[bool] = False
    """Whether its objects are the tops of a tree, below which anything can be chosen."""
    copies_first: ClassVar[bool] = False
    """Whether a dump begins with a copy of the whole database in the scratch folder."""

    def __init__(self, name: str, settings: SettingsT, password: str | None = None) -> None:
        """`password` is the secret itself, already fetched; it never leaves the adapter but to its tool."""
        self.name = name
        self.settings = settings
        self._password = password
        self.idle_timeout = IDLE_SECONDS
        """How long nothing may move while an archive is loaded, unless the server is at work for it."""

    @property
    @abstractmethod
    def database(self) -> str:
        """The database (or path) that this datasource stands for; also the default target of a restore."""

    def for_database(self, database: str) -> Self:
        """An adapter for another database (or path) at the same place, with the same settings else."""
        key = "database" if isinstance(self.settings, ServerSettings) else "path"
        other = type(self)(self.name, msgspec.structs.replace(self.settings, **{key: database}), self._password)
        other.idle_timeout = self.idle_timeout
        return other

    @property
    def location(self) -> str:
        """Host (and port) for the manifest and the screen; empty for what lies in the file system."""
        return ""

    @abstractmethod
    def probe(self, options: DumpOptions | None = None) -> Probe:
        """Look at the source: version, size, objects, clients, estimate, fitting tool. Changes nothing.

        Raises DatabaseConnectionError, AuthenticationError, PermissionDenied, ToolMissing, ToolTooOld.
        """

    def other_tools(self, probe: Probe, options: frozenset[str]) -> tuple[ToolVersion, ...]:  # noqa: ARG002  # most need none
        """The programs that a backup with these options needs beside its dump tool. Raises ToolMissing, ToolTooOld."""
        return ()

    @abstractmethod
    def health(self, seconds: float) -> HealthAnswer:
        """Connect and ask the kind's own smallest question, within `seconds`. Changes nothing.

        A call may take longer only where the system itself does not come back (a dead network mount).
        Raises ServerTimeout, AuthenticationError, DatabaseConnectionError, and other errors of ours.
        """

    @property
    def left_out(self) -> str:
        """The keys that keep something of the target out of every backup, for people; empty where none does."""
        return ""

    def takes_in(self, folder: str) -> bool:  # noqa: ARG002  # what lives in a server takes in no folder
        """Whether a dump would hold what lies in this folder."""
        return False

    @abstractmethod
    def missing_rights(self) -> tuple[str, ...]:
        """What the user lacks for a full backup, each as a command that mends it; empty when all is well."""

    @abstractmethod
    def open_dump(self, probe: Probe, options: DumpOptions, reporter: Reporter) -> Dump:
        """Start the dump. Call from the main thread (the tool dies with the thread that started it)."""

    @classmethod
    @abstractmethod
    def archive_check(cls, scratch_folder: Path) -> ArchiveCheck:
        """A reader that tells whether an archive of this kind is whole; needs no server."""

    @classmethod
    def live_check(cls, scratch_folder: Path) -> ArchiveCheck:
        """The reader beside a dump that is being made; it may leave out what the dump itself checks at its end."""
        return cls.archive_check(scratch_folder)

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

    def private_server(
        self,
        version: str,  # noqa: ARG002  # this is what a kind does that cannot do it
        room: int,  # noqa: ARG002
        scratch_folder: Path,  # noqa: ARG002
        made: Callable[[tuple[str, ...]], None],  # noqa: ARG002
    ) -> AbstractContextManager[Self]:
        """A datasource on a server of our own, which runs for the block and has room for `room` bytes.

        `made` gets the folders of it before anything is in them. Only kinds with `private_server` in their options have
        this. Raises ToolMissing, DiskSpaceError, RestoreError.
        """
        raise ConfigError(
            f"{self.label} needs no private server, or cannot have one",
            subject=self.name,
            hint="Leave the place out, or name a datasource",
        )

    @classmethod
    def remove_private_server(cls, folders: tuple[str, ...]) -> None:
        """Remove what a private server has left whose worker died. Raises StorageError."""

    def dump_globals(self) -> bytes:
        """What belongs to the whole server and not to one database (roles, tablespaces), as SQL.

        Only kinds with `globals` in their options have this. Raises BackupCreationError.
        """
        raise BackupCreationError(
            f"A {self.label} datasource has no globals to back up",
            subject=self.name,
            hint="Remove `globals` from the job",
        )

    @abstractmethod
    def manual_restore(
        self,
        archive_file: str,
        database: str,
        properties: DatabaseProperties | None = None,
        dumped: DumpOptions = WHOLE,
    ) -> Sequence[str]:
        """Shell lines with standard tools that restore the uncompressed `archive_file` into `database`.

        `dumped` tells what of the database is in the archive. The lines replace nothing that they do not keep:
        whoever runs them may have read none of them.
        """


def not_in_backup(name: str, what: str = "table") -> ConfigError:
    """The error for something that was chosen and is not there."""
    return ConfigError(
        f"There is no {what} {name} in the backup",
        subject=name,
        hint="`dgtui show` lists what a backup holds; names are taken literally, with their case",
    )


def connection_hint(host: str, port: int) -> str:
    """The next step when a server does not answer; `host` may be a socket, or the folder of one."""
    if host.startswith("/"):
        return f"Is the server running, and is its socket there? See: ls -la {shlex.quote(host)}"
    return f"Is the server running, and does it listen on {host}:{port}? See: ss -ltn"


def silence_hint(place: str) -> str:
    """The next step where nothing at all comes back from an address: a server that is not there would refuse."""
    return (
        f"Nothing comes back from {place}: does a firewall drop what is sent there, or is the address another one? "
        "A slow network takes a longer `connect_timeout`"
    )
