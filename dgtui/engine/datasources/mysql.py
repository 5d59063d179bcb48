"""MySQL and MariaDB, by `mysqldump`, `mariadb-dump` and their clients; the flavour is found out."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import msgspec

from dgtui.engine.datasources.answer import HealthAnswer
from dgtui.engine.datasources.dumping import WHOLE, ArchiveCheck, Dump, DumpOptions, Probe
from dgtui.engine.datasources.mysql_archive import SqlCheck
from dgtui.engine.datasources.mysql_connection import Session
from dgtui.engine.datasources.mysql_dump import DumpFacts, MysqlDump, keeps_history
from dgtui.engine.datasources.mysql_estimate import estimated_dump_bytes
from dgtui.engine.datasources.mysql_health import ask_mysql
from dgtui.engine.datasources.mysql_letters import changed_text
from dgtui.engine.datasources.mysql_look import (
    Table,
    carried_tables,
    connected_clients,
    dumped_tables,
    existing_tables,
    has_checked_views,
    object_infos,
    source_warnings,
    view_names,
)
from dgtui.engine.datasources.mysql_manual import manual_lines
from dgtui.engine.datasources.mysql_parts import MysqlSettings
from dgtui.engine.datasources.mysql_properties import read_properties
from dgtui.engine.datasources.mysql_rights import Grants
from dgtui.engine.datasources.mysql_target import MysqlTarget
from dgtui.engine.datasources.mysql_tools import client_tool, dump_tool, refuse_endless_events, refuse_generated
from dgtui.engine.errors import BackupCreationError, ConfigError, DatabaseConnectionError, ToolMissing
from dgtui.engine.properties import DatabaseProperties
from dgtui.engine.reporting import Reporter


class MysqlDatasource(MysqlTarget):
    """One database on a MySQL or MariaDB server."""

    kind: ClassVar[str] = "mysql"
    keeps_former_part: ClassVar[bool] = True
    part_words: ClassVar[str] = "by one RENAME TABLE; others see the old tables or the new ones"
    swaps_everything = False
    swaps_in_steps = True
    loads_data = True
    loads_data_beside = True
    label: ClassVar[str] = "MySQL/MariaDB"
    archive_format: ClassVar[str] = "sql"
    swap_words: ClassVar[str] = "one RENAME TABLE of all tables"
    writers_at_swap: ClassVar[str] = (
        "transactions under way are waited for, statements wait for the moment of the rename, and nobody is cut off; "
        "triggers go with their tables, and no write misses one; views, routines, events and the foreign keys of other "
        "databases are made anew around it: what uses a view or routine in that moment fails, and a write is made "
        "without that check"
    )
    settings_type = MysqlSettings
    options: ClassVar[frozenset[str]] = frozenset(
        {"schema_only", "data_only", "tables", "exclude_tables", "extra_arguments", "name_as"}
    )

    def probe(self, options: DumpOptions | None = None) -> Probe:
        """Look at the database."""
        options = options or DumpOptions()
        with self._access.session() as session:
            properties = self._require_database(session)
            tables = existing_tables(session, self.database)
            wanted = self._chosen_tables(session, tables, options)
            tool = dump_tool(session.server, self.settings.tools)
            refuse_endless_events(session, self.database, options)
            if options.backup_type != "schema_only":
                refuse_generated(session, self.database, wanted, tool)
                _refuse_row_limit(session)
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
            if not options.tables and (ours := carried_tables(session, self.database)):
                options = msgspec.structs.replace(options, exclude_tables=(*options.exclude_tables, *ours))
            connection = int(session.value("SELECT CONNECTION_ID()"))
        with_rows = options.backup_type != "schema_only"
        facts = DumpFacts(
            object_count=len(options.tables) or len(probe.objects) + views,
            connection=connection,
            versioned=versioned and with_rows,
            warnings=changed_text(self._access, probe.objects, reporter) if with_rows else (),
        )
        return MysqlDump(tool, self._access, options, facts, reporter, probe.objects)

    @classmethod
    def archive_check(cls, scratch_folder: Path) -> ArchiveCheck:  # noqa: ARG003  # nothing has to be put down
        """A check of the first and the last line."""
        return SqlCheck()

    def manual_restore(
        self,
        archive_file: str,
        database: str,
        properties: DatabaseProperties | None = None,
        dumped: DumpOptions = WHOLE,
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
            checked_views=checked_views,
            dumped=dumped,
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


def _refuse_row_limit(session: Session) -> None:
    """The dump tool reads with a SELECT for each table, and takes what it gets for all of it."""
    if session.row_limit is not None:
        raise BackupCreationError(
            f"{session.server.product} gives this user at most {session.row_limit} rows of a table "
            "(sql_select_limit): a dump would not be whole",
            subject="sql_select_limit",
            hint="SET GLOBAL sql_select_limit = DEFAULT; or take it out of init_connect, then try again",
        )
