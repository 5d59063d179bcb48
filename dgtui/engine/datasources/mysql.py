"""MySQL and MariaDB, by `mysqldump`, `mariadb-dump` and their clients; the flavour is found out."""

import contextlib
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import msgspec

from dgtui.engine.datasources.answer import HealthAnswer
from dgtui.engine.datasources.base import (
    Announce,
    Archive,
    ArchiveCheck,
    Datasource,
    Dump,
    DumpOptions,
    LoadOutcome,
    MissingRoles,
    Probe,
    Selection,
    ServerSettings,
    TargetState,
)
from dgtui.engine.datasources.mysql_archive import SqlCheck, names_to_choose, table_names
from dgtui.engine.datasources.mysql_connection import Access, Session
from dgtui.engine.datasources.mysql_contents import Silent, dump_blocks, dump_checksums
from dgtui.engine.datasources.mysql_data import RowsLoad, fitting_targets, settle_rows
from dgtui.engine.datasources.mysql_dump import DumpFacts, MysqlDump, keeps_history
from dgtui.engine.datasources.mysql_errors import quote
from dgtui.engine.datasources.mysql_estimate import estimated_dump_bytes
from dgtui.engine.datasources.mysql_health import ask_mysql
from dgtui.engine.datasources.mysql_load import (
    definers_in,
    flavour_notes,
    load_archive,
    missing_definers,
)
from dgtui.engine.datasources.mysql_look import (
    SYSTEM_DATABASES,
    Table,
    connected_clients,
    count_rows,
    database_exists,
    dumped_tables,
    existing_tables,
    has_checked_views,
    object_infos,
    other_objects,
    source_warnings,
    view_names,
)
from dgtui.engine.datasources.mysql_manual import manual_lines
from dgtui.engine.datasources.mysql_part import replace_tables, settle_tables
from dgtui.engine.datasources.mysql_properties import creation, possible_properties, read_properties
from dgtui.engine.datasources.mysql_rights import Grants
from dgtui.engine.datasources.mysql_script import Script
from dgtui.engine.datasources.mysql_swap import create_like, obstacles, settle_databases, swap_databases
from dgtui.engine.datasources.mysql_tools import client_tool, dump_tool, refuse_generated
from dgtui.engine.errors import ConfigError, DatabaseConnectionError, PermissionDenied, RestoreError, ToolMissing
from dgtui.engine.model import ObjectInfo, PartChange
from dgtui.engine.properties import DatabaseProperties
from dgtui.engine.reporting import Reporter

_PATIENCE = 3600.0
_LONGEST_NAME = 64
_MOST_BYTES_READ_BEFORE = 1 << 30
"""A larger archive is not read to its end only to know beforehand what the loading finds out."""


class MysqlSettings(ServerSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of a datasource of type `mysql`."""


class MysqlDatasource(Datasource[MysqlSettings]):
    """One database on a MySQL or MariaDB server."""

    kind: ClassVar[str] = "mysql"
    part_words: ClassVar[str] = "by one RENAME TABLE; others see the old tables or the new ones"
    swaps_everything = False
    loads_data = True
    loads_data_beside = True
    label: ClassVar[str] = "MySQL/MariaDB"
    archive_format: ClassVar[str] = "sql"
    swap_words: ClassVar[str] = "one RENAME TABLE of all tables"
    writers_at_swap: ClassVar[str] = (
        "transactions under way are waited for, statements wait for the moment of the rename, and nobody is cut off"
    )
    settings_type = MysqlSettings
    options: ClassVar[frozenset[str]] = frozenset(
        {"schema_only", "data_only", "tables", "exclude_tables", "extra_arguments"}
    )

    def __init__(self, name: str, settings: MysqlSettings, password: str | None = None) -> None:
        """`password` is the secret itself, already fetched."""
        super().__init__(name, settings, password)
        self._access = Access(settings, password)

    @property
    def database(self) -> str:
        """The database's name."""
        return self.settings.database

    @property
    def location(self) -> str:
        """Host and port, or the socket."""
        return self.settings.socket or f"{self.settings.host}:{self._access.port}"

    def probe(self, options: DumpOptions | None = None) -> Probe:
        """Look at the database."""
        options = options or DumpOptions()
        with self._access.session() as session:
            properties = self._require_database(session)
            tables = existing_tables(session, self.database)
            wanted = self._chosen_tables(session, tables, options)
            tool = dump_tool(session.server, self.settings.tools)
            if options.backup_type != "schema_only":
                refuse_generated(session, self.database, wanted, tool)
            warnings = [*source_warnings(session, self.database, wanted), *self._rights_warnings(session)]
            if any(table.versioned for table in wanted) and not keeps_history(tool):
                warnings.append(f"{tool.name} {tool.version} dumps no history of system-versioned tables")
            return Probe(
                product=session.server.product,
                version=session.server.version,
                size_bytes=sum(table.total_bytes for table in tables),
                objects=object_infos(wanted),
                clients=connected_clients(session, self.database),
                estimated_dump_bytes=estimated_dump_bytes(session, self.database, wanted, options),
                estimate_kind="estimated",
                tool=tool,
                properties=properties,
                warnings=tuple(warnings),
            )

    def health(self, seconds: float) -> HealthAnswer:
        """Connect, `SELECT 1`, and what the server tells of itself."""
        return ask_mysql(self._access, self.database, seconds)

    def missing_rights(self) -> tuple[str, ...]:
        """GRANT commands for what a full backup needs and the user lacks."""
        with self._access.session() as session:
            return Grants(session).missing_for_backup(self.database)

    def open_dump(self, probe: Probe, options: DumpOptions, reporter: Reporter) -> Dump:
        """Start the dump tool."""
        with self._access.session() as session:
            tool = probe.tool or dump_tool(session.server, self.settings.tools)
            versioned = any(table.versioned for table in existing_tables(session, self.database))
            views = len(view_names(session, self.database))
            connection = int(session.value("SELECT CONNECTION_ID()"))
        facts = DumpFacts(
            object_count=len(options.tables) or len(probe.objects) + views,
            connection=connection,
            versioned=versioned and options.backup_type != "schema_only",
        )
        return MysqlDump(tool, self._access, options, facts, reporter, probe.objects)

    @classmethod
    def archive_check(cls, scratch_folder: Path) -> ArchiveCheck:  # noqa: ARG003  # nothing has to be put down
        """A check of the first and the last line."""
        return SqlCheck()

    def archive_objects(self, archive: Archive) -> tuple[str, ...]:
        """The tables in the dump."""
        return table_names(archive.blocks())

    def target_state(self, database: str) -> TargetState:
        """Look at a possible target."""
        with self._access.session() as session:
            if not database_exists(session, database):
                return TargetState(exists=False)
            tables = existing_tables(session, database)
            others = tuple(ObjectInfo(name=name) for name in other_objects(session, database))
            return TargetState(
                exists=True,
                objects=(*object_infos(tables), *others),
                clients=connected_clients(session, database),
                size_bytes=sum(table.total_bytes for table in tables),
            )

    def beside_name(self, database: str, suffix: str) -> str:
        """The name with the suffix; a long one is cut and told apart by a digest."""
        if len(database) + len(suffix) <= _LONGEST_NAME:
            return database + suffix
        digest = hashlib.sha256(database.encode("utf-8", "surrogateescape")).hexdigest()[:8]
        return f"{database[: _LONGEST_NAME - len(suffix) - 9].rstrip()}_{digest}{suffix}"

    def check_restore(self, archive: Archive, database: str, selection: Selection) -> tuple[str, ...]:
        """What can be known before the target is touched."""
        _refuse_system(database)
        with self._access.session() as session:
            client_tool(session.server, self.settings.tools)
            grants = Grants(session)
            rights = _ROWS_RIGHTS if selection.backup_type == "data_only" else _RESTORE_RIGHTS
            lacking = [right for right in rights if not grants.allows(right, database)]
            if lacking:
                raise PermissionDenied(
                    f"{self._access.user} lacks {', '.join(lacking)} on {database}",
                    subject=database,
                    hint=f"GRANT ALL PRIVILEGES ON {quote(database)}.* TO {grants.account()};",
                )
            if selection.backup_type == "data_only" and archive.total_size_bytes <= _MOST_BYTES_READ_BEFORE:
                fitting_targets(session, database, table_names(archive.blocks()), selection)
            notes = list(flavour_notes(archive, session.server))
            if not grants.allows_globally("SUPER", "SET USER", "SET_USER_ID", "SET_ANY_DEFINER"):
                notes.append(
                    f"{self._access.user} may not make views, triggers, routines and events of another definer "
                    "(SET USER or SUPER); such ones fail to load"
                )
            return tuple(notes)

    def refuse_unknown(self, archive: Archive, listed: Sequence[str], selection: Selection) -> tuple[str, ...]:
        """The views are not listed, and can be chosen all the same."""
        others = tuple(name for name in selection.tables if name not in listed)
        if not others or archive.total_size_bytes > _MOST_BYTES_READ_BEFORE:
            return others
        return super().refuse_unknown(
            archive, names_to_choose(archive.blocks()), msgspec.structs.replace(selection, tables=others)
        )

    def missing_roles(self, archive: Archive, selection: Selection) -> MissingRoles:
        """The definers that the server does not know; read from the whole archive, where that is not too large."""
        if archive.total_size_bytes > _MOST_BYTES_READ_BEFORE:
            return MissingRoles(definers_known=False)
        return MissingRoles(definers=missing_definers(self._access, definers_in(archive, selection)))

    def create_target(self, database: str, like: str | None = None) -> None:
        """Make an empty database; without `like` with the character set of our own one, where that is there."""
        _refuse_system(database)
        with self._access.session(fallback=RestoreError) as session:
            create_like(session, database, like or self.database)

    def lacking_properties(self, recorded: DatabaseProperties) -> tuple[str, ...]:
        """A character set or collation that this server does not have."""
        with self._access.session(fallback=RestoreError) as session:
            return possible_properties(session, recorded)[1]

    def create_as_recorded(self, database: str, recorded: DatabaseProperties) -> tuple[str, ...]:
        """Make an empty database with the recorded character set and collation."""
        _refuse_system(database)
        with self._access.session(fallback=RestoreError) as session:
            session.execute(creation(database, possible_properties(session, recorded)[0], session.server))
        return ()

    def drop_target(self, database: str) -> None:
        """Drop a database with all that is in it."""
        _refuse_system(database)
        with self._access.session(patience=_PATIENCE, fallback=RestoreError) as session:
            # Tables of other databases may refer to ours; half of a database is dropped before the server notices.
            session.execute("SET SESSION foreign_key_checks = 0")
            session.execute(f"SET SESSION lock_wait_timeout = {max(1, int(self.settings.lock_timeout))}")
            session.execute(f"DROP DATABASE IF EXISTS {quote(database)}")

    def load(
        self,
        archive: Archive,
        database: str,
        selection: Selection,
        reporter: Reporter,
        *,
        jobs: int,  # noqa: ARG002  # the client replays one statement after the other
        scratch_folder: Path,  # noqa: ARG002  # nothing has to be put down
    ) -> LoadOutcome:
        """Replay the dump with the client."""
        _refuse_system(database)
        return load_archive(self._access, archive, Script(database, selection), reporter)

    def load_data(
        self,
        archive: Archive,
        database: str,
        selection: Selection,
        reporter: Reporter,
        *,
        overwrite: bool,
        keep_as: str,  # noqa: ARG002  # a transaction needs no second name
        scratch_folder: Path,  # noqa: ARG002
        announce: Announce,
    ) -> LoadOutcome:
        """Replay the rows in one transaction; refused where triggers would act on them."""
        _refuse_system(database)
        load = RowsLoad(self._access, database, self.beside_name(database, "__dgtui_new"), announce)
        return load.run(archive, selection, reporter, overwrite=overwrite)

    def inventory(self, database: str) -> tuple[ObjectInfo, ...]:
        """All tables with their rows counted."""
        with self._access.session(patience=_PATIENCE) as session:
            return tuple(
                ObjectInfo(
                    name=table.name,
                    rows=count_rows(session, database, table.name),
                    bytes=table.total_bytes,
                    rows_exact=True,
                )
                for table in existing_tables(session, database)
            )

    def replace_part(
        self,
        change: PartChange,
        archive: Archive | None,  # noqa: ARG002  # the database beside has it all
        reporter: Reporter,
        announce: Announce,
    ) -> bool:
        """Replace the chosen tables by one RENAME TABLE; the old ones are kept."""
        for name in (change.beside, change.database, change.keep_as):
            _refuse_system(name)
        return replace_tables(self._access, change, announce, reporter)

    def settle_part(self, mark: str, change: PartChange) -> Literal["old", "new"]:
        """One RENAME TABLE moved all tables, or none of them."""
        return settle_tables(self._access, mark, change)

    def settle_data(self, mark: str, database: str, keep_as: str) -> Literal["old", "new"]:  # noqa: ARG002
        """One transaction did all of it, or nothing; tables without transactions are emptied again."""
        return settle_rows(self._access, mark, database)

    def archive_checksums(self, archive: Archive, selection: Selection, scratch_folder: Path) -> dict[str, str]:  # noqa: ARG002
        """The rows as the dump tool wrote them; empty where this server would write them otherwise."""
        with self._access.session() as session:
            if flavour_notes(archive, session.server):
                return {}
        return dump_checksums(archive.blocks(), selection.tables)

    def content_checksums(self, database: str, names: Sequence[str], scratch_folder: Path) -> dict[str, str]:
        """The rows of another dump."""
        restored = self.for_database(database)
        options = DumpOptions(tables=tuple(names), scratch_folder=str(scratch_folder))
        dump = restored.open_dump(restored.probe(options), options, Silent())
        return dump_checksums(dump_blocks(dump), names)

    def swap(self, new: str, current: str, keep_as: str, reporter: Reporter) -> None:
        """Swap by one RENAME TABLE where the databases hold nothing but tables; else refuse, with nothing changed."""
        for database in (new, current, keep_as):
            _refuse_system(database)
        swap_databases(self._access, new, current, keep_as, reporter)

    def swap_mark(self, new: str) -> str:
        """Its name: where the former tables are tells enough."""
        return new

    def settle_swap(self, mark: str, new: str, current: str, keep_as: str) -> Literal["old", "new"]:  # noqa: ARG002
        """One RENAME TABLE moved all tables, or none of them."""
        return settle_databases(self._access, new, current, keep_as)

    def swap_obstacles(self, database: str) -> tuple[str, ...]:
        """Whatever is more than tables, and what ties tables to other databases."""
        with self._access.session() as session:
            return obstacles(session, database)

    def manual_restore(
        self,
        archive_file: str,
        database: str,
        properties: DatabaseProperties | None = None,
        *,
        rows_only: bool = False,
    ) -> Sequence[str]:
        """Lines for the plain client."""
        client, checked_views = "mariadb", False
        with contextlib.suppress(DatabaseConnectionError, ToolMissing), self._access.session() as session:
            checked_views = has_checked_views(session, self.database)
            client = client_tool(session.server, self.settings.tools).name
        return manual_lines(
            archive_file,
            database,
            client=[client, *self._client_options()],
            properties=properties,
            checked_views=checked_views and not rows_only,
            rows_only=rows_only,
        )

    def _client_options(self) -> list[str]:
        user = f"--user={self._access.user}"
        if self.settings.socket:
            return [user, f"--socket={self.settings.socket}"]
        return [user, f"--host={self.settings.host}", f"--port={self._access.port}", "--protocol=tcp"]

    def _require_database(self, session: Session) -> DatabaseProperties:
        properties = read_properties(session, self.database)
        if properties is None:
            raise DatabaseConnectionError(
                f"There is no database {self.database} at {self.location}, or {self._access.user} may not see it",
                subject=self.database,
                hint="Correct `database` in the configuration, create the database, or grant SELECT on it",
            )
        return properties

    def _chosen_tables(self, session: Session, tables: Sequence[Table], options: DumpOptions) -> tuple[Table, ...]:
        known = {table.name for table in tables} | set(view_names(session, self.database))
        if unknown := [name for name in options.tables if name not in known]:
            raise ConfigError(
                f"{self.database} has no table {', '.join(unknown)}",
                subject=unknown[0],
                hint="Correct `tables` of the job",
            )
        return dumped_tables(tables, options)

    def _rights_warnings(self, session: Session) -> tuple[str, ...]:
        """What a user may not see is left out of a dump without a word."""
        return tuple(
            f"A right is missing, so the backup may lack what {self._access.user} cannot see: {command}"
            for command in Grants(session).missing_for_backup(self.database)
        )


_RESTORE_RIGHTS = ("SELECT", "INSERT", "CREATE", "DROP", "ALTER", "INDEX", "REFERENCES", "LOCK TABLES")
_ROWS_RIGHTS = ("SELECT", "INSERT")


def _refuse_system(database: str) -> None:
    if database.lower() in SYSTEM_DATABASES:
        raise RestoreError(
            f"{database} belongs to the server itself", subject=database, hint="Restore into a database of your own"
        )
