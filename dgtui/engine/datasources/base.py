"""What a kind of database (or a file tree) has to be able to do.

One adapter is one file with one class under `Datasource`, registered in `datasources/__init__.py`. An adapter knows
how to look at its source, how to dump it as a stream of bytes, how to tell that such a stream is whole, and how to
load it again. It never writes to a storage and never decides what a failure means for the run.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, Literal, Protocol, Self, TypeVar

import msgspec

from dgtui.engine.datasources.answer import HealthAnswer
from dgtui.engine.errors import BackupCreationError, ConfigError, RestoreError
from dgtui.engine.messages import ProgressUnit, TotalKind
from dgtui.engine.model import BackupType, ObjectInfo, Part, PartChange, Record, ToolVersion
from dgtui.engine.properties import DatabaseProperties
from dgtui.engine.reporting import Reporter
from dgtui.engine.settings import Duration, Port, PositiveInt, Secret

_SHORTEST_INTERVAL = 10
_LAST = {"last": True}
"""For a setting that stands at the end of a form."""


def interval_mistake(interval: int | None) -> str | None:
    """What is wrong with a time between two checks."""
    return "expected at least 10 s" if interval is not None and interval < _SHORTEST_INTERVAL else None


def _no_time(duration: int | None) -> str | None:
    return "expected more than 0" if duration == 0 else None


class DatasourceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys every `[datasources.NAME]` table may have."""

    rules: ClassVar[Mapping[str, Callable[[Any], str | None]]] = {
        "check_interval": interval_mistake,
        "check_timeout": _no_time,
        "slow_after": _no_time,
    }

    type: Annotated[str, msgspec.Meta(description="Kind of the datasource")]
    enabled: Annotated[bool, msgspec.Meta(description="Whether it is watched and backed up")] = True
    description: Annotated[str, msgspec.Meta(description="What it is, in your own words")] = ""
    check_interval: Annotated[
        Duration | None,
        msgspec.Meta(description="How often its health is checked; empty for the usual time", extra=_LAST),
    ] = None
    check_timeout: Annotated[
        Duration, msgspec.Meta(description="How long a check of its health may take", extra=_LAST)
    ] = Duration(10)
    slow_after: Annotated[
        Duration | None,
        msgspec.Meta(
            description="Latency beyond which it is slow; empty for three times its own usual one", extra=_LAST
        ),
    ] = None
    max_concurrent: Annotated[
        PositiveInt,
        msgspec.Meta(description="How many of its backups the timetable runs at once; others wait", extra=_LAST),
    ] = 1
    keep_replaced: Annotated[
        Duration,
        msgspec.Meta(description="How long what a restore replaced is kept beside it; 0 drops it at once", extra=_LAST),
    ] = Duration(7 * 86400)


TlsMode = Literal["disable", "prefer", "require", "verify-ca", "verify-full"]


class ServerSettings(DatasourceSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of a datasource that is a database on a server."""

    database: Annotated[str, msgspec.Meta(description="Name of the database")]
    host: Annotated[str, msgspec.Meta(description="Host name or address")] = "127.0.0.1"
    port: Annotated[Port | None, msgspec.Meta(description="Port; empty for the kind's usual one")] = None
    socket: Annotated[str | None, msgspec.Meta(description="Unix socket to use instead of host and port")] = None
    username: Annotated[str | None, msgspec.Meta(description="User to log in as")] = None
    password: Annotated[Secret | None, msgspec.Meta(description="Password, by reference")] = None
    tls: Annotated[TlsMode, msgspec.Meta(description="Encryption of the connection")] = "prefer"
    tls_ca: Annotated[str | None, msgspec.Meta(description="File with the certificate authority to trust")] = None
    tools: Annotated[str | None, msgspec.Meta(description="Folder of the dump tools to use")] = None
    connect_timeout: Annotated[Duration, msgspec.Meta(description="How long a connection may take")] = Duration(10)
    lock_timeout: Annotated[Duration, msgspec.Meta(description="How long the dump waits for a lock")] = Duration(60)


class DumpOptions(Record, frozen=True):
    """What a job wants to have dumped."""

    backup_type: BackupType = "full"
    tables: tuple[str, ...] = ()
    """Only these tables; empty for all."""
    exclude_tables: tuple[str, ...] = ()
    extra_arguments: tuple[str, ...] = ()
    """Further arguments for the dump tool, as the configuration gives them."""
    scratch_folder: str = ""
    """A folder of this run for temporary files (0700), on a disk with room."""
    idle_timeout: int = 600
    """Seconds without any progress after which the tool is ended."""


class Client(Record, frozen=True):
    """Somebody who is connected to a database."""

    user: str
    program: str = ""
    address: str = ""
    since: str = ""


class Probe(Record, frozen=True):
    """What a look at the source found."""

    product: str
    """Product and version as people say it: `PostgreSQL 16.1`, `MariaDB 10.11.19`, `SQLite 3.40.1`."""
    version: str
    size_bytes: int | None = None
    objects: tuple[ObjectInfo, ...] = ()
    clients: tuple[Client, ...] = ()
    estimated_dump_bytes: int | None = None
    """Size of the dump before compression, estimated from the database itself."""
    estimate_kind: TotalKind = "unknown"
    progress_unit: ProgressUnit = "bytes"
    tool: ToolVersion | None = None
    """The dump tool that fits."""
    properties: DatabaseProperties | None = None
    """What the server keeps of the database beside its content, where the kind has such things."""
    warnings: tuple[str, ...] = ()


class DumpSummary(Record, frozen=True):
    """What is known once a dump has ended well."""

    objects: tuple[ObjectInfo, ...] = ()
    warnings: tuple[str, ...] = ()
    """What the user should know although the backup is whole (the run ends `completed`, marked)."""


class Dump(ABC):
    """A dump under way."""

    @property
    @abstractmethod
    def fd(self) -> int:
        """File descriptor that gives the bytes of the dump until its end; owned by the dump."""

    @abstractmethod
    def finish(self) -> DumpSummary:
        """Call after the end of the bytes: check exit code and end mark.

        Raises BackupCreationError or a more exact error where the dump is not whole. Closes `fd`.
        """

    @abstractmethod
    def stop(self) -> None:
        """End the tool now and wait for it; may be called at any time, again and again, and never raises."""


class ArchiveCheck(ABC):
    """Reads a whole dump as it streams by and tells whether it is complete.

    This is the kind's own reader (`pg_restore`, the trailer of a MySQL dump, `tar -t`), fed from the live dump when
    it is made, and from the stored parts at `validate` and before a restore.
    """

    @abstractmethod
    def feed(self, block: bytes) -> None:
        """Take the next block of the uncompressed dump; raises ValidationError as soon as it is surely damaged."""

    @abstractmethod
    def finish(self) -> None:
        """Call after the last block; raises ValidationError where the archive is damaged or incomplete."""

    @abstractmethod
    def stop(self) -> None:
        """Give up; frees what it holds. May be called again and again, and never raises."""


class Archive(Protocol):
    """The uncompressed bytes of a stored backup, as a restore reads them."""

    total_size_bytes: int

    def blocks(self) -> Iterator[bytes]:
        """The bytes in order, read anew at each call; raises ValidationError or StorageError on the way."""

    def as_file(self) -> Path:
        """The bytes as a file in the run's scratch folder, made at the first call."""


class Selection(Record, frozen=True):
    """What of a backup is restored."""

    backup_type: Literal["full", "schema_only", "data_only"] = "full"
    tables: tuple[str, ...] = ()
    """Only these tables, files or folders; empty for all."""
    acting: bool = True
    """Whether what acts by itself (the events of MySQL) is restored too."""


class TargetState(Record, frozen=True):
    """A database, file or folder that a restore would write to, as it is now."""

    exists: bool
    objects: tuple[ObjectInfo, ...] = ()
    clients: tuple[Client, ...] = ()
    size_bytes: int | None = None
    free_bytes: int | None = None
    """Room where it lies, where that can be had."""

    @property
    def empty(self) -> bool:
        """Whether a restore would replace nothing."""
        return not self.objects


class MissingRoles(Record, frozen=True):
    """Roles and accounts that a backup names and the target's server does not have."""

    owners: tuple[str, ...] = ()
    """Roles that own something: without them everything belongs to whoever restores."""
    grantees: tuple[str, ...] = ()
    """Roles that were granted something."""
    left_out: tuple[str, ...] = ()
    """The objects whose grants are left out."""
    definers: tuple[str, ...] = ()
    """Accounts in whose name views, triggers and routines act: those are restored, and fail when they are used."""
    definers_known: bool = True
    """Whether the definers were looked for; they lie all over an archive, and a large one is not read for them."""

    @property
    def costs_something(self) -> bool:
        """Whether something of the backup is left out for want of a role."""
        return bool(self.owners or self.grantees)


Announce = Callable[[str, Part], None]
"""Told by whoever is about to change a part of a database: a mark that tells later whether it was done, and what."""


class LoadError(Record, frozen=True):
    """One statement or file that failed to load."""

    message: str
    statement: str = ""


class LoadOutcome(Record, frozen=True):
    """How the loading of an archive ended; anything in `errors` means it did not succeed."""

    errors: tuple[LoadError, ...] = ()
    error_count: int = 0
    """All errors; `errors` holds the first ones."""
    notes: tuple[str, ...] = ()
    """What was done besides, such as a second try with one process."""
    kept_as: str | None = None
    """Name under which the former content still lies, where it was replaced by something new."""


SettingsT = TypeVar("SettingsT", bound=DatasourceSettings)


class Datasource(ABC, Generic[SettingsT]):
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

    copies_first: ClassVar[bool] = False
    """Whether a dump begins with a copy of the whole database in the scratch folder."""

    swaps_everything: ClassVar[bool] = True
    """Whether `swap` can move whatever a database holds. Where not, an empty target is loaded in its own place."""

    swap_words: ClassVar[str] = "a rename"
    """What a swap is, for people."""
    writers_at_swap: ClassVar[str]
    """What happens at a swap to those who read and write, for people: goes on after a comma."""

    loads_data: ClassVar[bool] = False
    """Whether rows alone can be loaded into tables that are there."""
    loads_data_beside: ClassVar[bool] = False
    """Whether `load_data` makes something of ours under the database's name with `__dgtui_new`."""
    keeps_former_data: ClassVar[bool] = False
    """Whether `load_data` keeps the former content itself, under another name."""

    def __init__(self, name: str, settings: SettingsT, password: str | None = None) -> None:
        """`password` is the secret itself, already fetched; it never leaves the adapter but to its tool."""
        self.name = name
        self.settings = settings
        self._password = password

    @property
    @abstractmethod
    def database(self) -> str:
        """The database (or path) that this datasource stands for; also the default target of a restore."""

    def for_database(self, database: str) -> Self:
        """An adapter for another database (or path) at the same place, with the same settings else."""
        key = "database" if isinstance(self.settings, ServerSettings) else "path"
        return type(self)(self.name, msgspec.structs.replace(self.settings, **{key: database}), self._password)

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
    def archive_objects(self, archive: Archive) -> tuple[str, ...]:
        """Names of the tables (or files) inside an archive, read from the archive itself."""

    @abstractmethod
    def target_state(self, database: str) -> TargetState:
        """Look at a possible target on this datasource's server, whether or not it exists."""

    @abstractmethod
    def beside_name(self, database: str, suffix: str) -> str:
        """Name (or path) of a second database beside `database`, within the kind's limits of length."""

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

    def load_data(
        self,
        archive: Archive,
        database: str,
        selection: Selection,
        reporter: Reporter,
        *,
        overwrite: bool,
        keep_as: str,
        scratch_folder: Path,
        announce: Announce,
    ) -> LoadOutcome:
        """Load rows alone into the tables of a database that is there: all of them, or none.

        `announce` is called before they can be there to stay. Tables that already hold rows are refused, or with
        `overwrite` emptied first. After any failure, told by an exception or in the outcome, the database is as it was,
        or `settle_data` brings it there. Raises RestoreError, ConfigError.
        """
        raise NotImplementedError(f"{self.label} does not load data alone")

    def kept_archive(self, kept_as: str) -> Archive:
        """What `load_data` has kept, to take rows back from; only where `keeps_former_data`."""
        raise NotImplementedError(f"{self.label} keeps nothing of this kind")

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

    @abstractmethod
    def swap(self, new: str, current: str, keep_as: str, reporter: Reporter) -> None:
        """Put `new` in the place of `current`, which is kept under the name `keep_as`.

        Where there is no `current`, `new` takes its name and nothing is kept. After any failure the old content is
        under `current` (or was never moved). Raises RestoreError; SwapImpossible where a rename would lose something.
        """

    def unfit_to_swap(self, new: str) -> str:  # noqa: ARG002  # most kinds keep nothing of this kind
        """Why `swap` would refuse what lies under this name; empty where it would not."""
        return ""

    def check_kept(self, name: str) -> None:  # most kinds notice damage where they read
        """Read what was kept under this name to its end. Raises ValidationError where it is damaged."""

    part_words: ClassVar[str] = ""
    """How `replace_part` does its work and what others see of it, for people."""

    def replace_part(
        self,
        change: PartChange,
        archive: Archive | None,  # noqa: ARG002  # this is what a kind does that cannot do it
        reporter: Reporter,  # noqa: ARG002
        announce: Announce,  # noqa: ARG002
    ) -> bool:
        """Exchange a part of a database and nothing else; what lies beside is used up.

        `archive` is that from which the part beside was loaded; None where it was not, or only something is removed.
        `announce` is called right before the first lasting change. After any failure the database is as it was, or
        `settle_part` brings it there. Whether the former part is kept as `change.keep_as`. Raises RestoreError.
        """
        raise RestoreError(
            f"A {self.label} datasource cannot replace a part of what is there",
            subject=change.database,
            hint="Restore the part under another name with --into NAME and copy from there",
        )

    def settle_part(self, mark: str, change: PartChange) -> Literal["old", "new"]:
        """After a `replace_part` whose end nobody saw, the same as `settle_swap`; `mark` is what it announced."""
        raise NotImplementedError(f"{self.label} replaces no part")

    def settle_data(self, mark: str, database: str, keep_as: str) -> Literal["old", "new"]:
        """The same after a `load_data`."""
        raise NotImplementedError(f"{self.label} does not load data alone")

    @abstractmethod
    def swap_mark(self, new: str) -> str:
        """What tells this database, file or folder from others whatever its name is, for `settle_swap`."""

    @abstractmethod
    def settle_swap(self, mark: str, new: str, current: str, keep_as: str) -> Literal["old", "new"]:
        """After a swap whose end nobody saw: which content is under `current` now, whole and alone.

        A swap that was cut half-way is brought to its end or taken back. `mark` is the former `swap_mark` of `new`.
        Raises DatabaseConnectionError or RestoreError where it cannot be told; it may be asked again.
        """

    def swap_obstacles(self, database: str) -> tuple[str, ...]:  # noqa: ARG002  # most kinds have none
        """What in a database keeps `swap` from moving it; empty where nothing does."""
        return ()

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
        *,
        rows_only: bool = False,
    ) -> Sequence[str]:
        """Shell lines with standard tools that restore the uncompressed `archive_file` into `database`.

        `rows_only` tells of a backup of data alone: its database and tables have to be there already.
        """


def not_in_backup(name: str, what: str = "table") -> ConfigError:
    """The error for something that was chosen and is not there."""
    return ConfigError(
        f"There is no {what} {name} in the backup",
        subject=name,
        hint="`dgtui show` lists what a backup holds; names are taken literally, with their case",
    )


def connection_hint(host: str, port: int) -> str:
    """The next step when a server does not answer."""
    return f"Is the server running, and does it listen on {host}:{port}? See: ss -ltn"
