"""What a kind of database (or a file tree) has to be able to do.

One adapter is one file with one class under `Datasource`, registered in `datasources/__init__.py`. An adapter knows
how to look at its source, how to dump it as a stream of bytes, how to tell that such a stream is whole, and how to
load it again (see `target` and `replacing`). It never writes to a storage and never decides what a failure means for
the run.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar, Generic, Self, TypeVar

import msgspec

from dgtui.engine.datasources.answer import HealthAnswer
from dgtui.engine.datasources.datasource_settings import DatasourceSettings, ServerSettings
from dgtui.engine.datasources.dumping import WHOLE, ArchiveCheck, Dump, DumpOptions, Probe
from dgtui.engine.datasources.target import Target
from dgtui.engine.errors import BackupCreationError, ConfigError
from dgtui.engine.model import ToolVersion
from dgtui.engine.properties import DatabaseProperties
from dgtui.engine.reporting import Reporter

IDLE_SECONDS = 600.0
"""How long nothing may move where no job says."""
SettingsT = TypeVar("SettingsT", bound=DatasourceSettings)


class Datasource(Target, Generic[SettingsT]):
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
