"""The adapter for PostgreSQL: `pg_dump -Fc`, read to its end and restored by `pg_restore`."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import msgspec

from dgtui.engine.datasources.answer import HealthAnswer
from dgtui.engine.datasources.dumping import WHOLE, ArchiveCheck, Dump, DumpOptions, Probe
from dgtui.engine.datasources.postgres_check import PostgresArchiveCheck
from dgtui.engine.datasources.postgres_connection import PostgresSettings
from dgtui.engine.datasources.postgres_dump import PostgresDump, Snapshot, dump_arguments
from dgtui.engine.datasources.postgres_estimate import estimate_dump
from dgtui.engine.datasources.postgres_globals import dump_globals
from dgtui.engine.datasources.postgres_health import ask_postgres
from dgtui.engine.datasources.postgres_manual import manual_lines, manual_rows, manual_tables
from dgtui.engine.datasources.postgres_properties import encoding_of, read_properties
from dgtui.engine.datasources.postgres_queries import (
    clients_of,
    object_infos,
    selected,
    tables_of,
    with_partitions,
)
from dgtui.engine.datasources.postgres_rights import missing_rights
from dgtui.engine.datasources.postgres_target import PostgresTarget
from dgtui.engine.datasources.postgres_tools import fitting_tool, major, newest_tool
from dgtui.engine.model import ToolVersion
from dgtui.engine.properties import DatabaseProperties
from dgtui.engine.reporting import Reporter


class PostgresDatasource(PostgresTarget):
    """One database of a PostgreSQL server."""

    kind: ClassVar[str] = "postgres"
    part_words: ClassVar[str] = "in one transaction, during which others wait for those tables"
    keeps_late_rows: ClassVar[bool] = True
    label: ClassVar[str] = "PostgreSQL"
    loads_data = True
    loads_apart = True
    archive_format: ClassVar[str] = "dump"
    swap_words: ClassVar[str] = "renaming both databases in one transaction"
    writers_at_swap: ClassVar[str] = (
        "all sessions are ended at the swap and may come back a moment later; what they wrote is in the kept database"
    )
    settings_type = PostgresSettings
    options: ClassVar[frozenset[str]] = frozenset(
        {
            "schema_only",
            "data_only",
            "tables",
            "exclude_tables",
            "extra_arguments",
            "globals",
            "parallel_restore",
            "private_server",
            "name_as",
        }
    )

    def probe(self, options: DumpOptions | None = None) -> Probe:
        """Look at version, size, tables, clients, the size of a dump, and the pg_dump that fits."""
        options = options or DumpOptions()
        with self._access.connect(self.database) as connection:
            version = connection.info.parameter_status("server_version") or str(connection.info.server_version)
            version = version.split(" ")[0]
            tool = fitting_tool(
                "pg_dump", major(version), self.settings.tools, purpose=f"the server {version} ({self._access.server})"
            )
            tables = selected(tables_of(connection), options)
            size = connection.execute("SELECT pg_database_size(current_database())").fetchall()[0][0]
            estimate = estimate_dump(
                connection,
                [] if options.backup_type == "schema_only" else tables,
                large_objects=options.backup_type != "schema_only" and not options.tables,
            )
            return Probe(
                product=f"PostgreSQL {version}",
                version=version,
                size_bytes=size,
                objects=object_infos(tables, estimate.rows, at_dump=False),
                clients=clients_of(connection, self.database),
                estimated_dump_bytes=estimate.total,
                estimate_kind="estimated",
                tool=tool,
                properties=read_properties(connection, self.database),
            )

    def other_tools(self, probe: Probe, options: frozenset[str]) -> tuple[ToolVersion, ...]:
        """pg_restore, which reads each dump as it is made, and pg_dumpall for the globals."""
        reader = newest_tool("pg_restore", self._tools_folders)
        return (reader, self._globals_tool(probe.version)) if "globals" in options else (reader,)

    def health(self, seconds: float) -> HealthAnswer:
        """Connect, `SELECT 1`, and what the server tells of itself."""
        return ask_postgres(self._access, self.database, seconds)

    def missing_rights(self) -> tuple[str, ...]:
        """The commands that give the user what a full dump reads."""
        with self._access.connect(self.database) as connection:
            return missing_rights(connection)

    def open_dump(self, probe: Probe, options: DumpOptions, reporter: Reporter) -> Dump:
        """Start pg_dump, on a snapshot in which small tables are counted."""
        tool = probe.tool or fitting_tool(
            "pg_dump", major(probe.version), self.settings.tools, purpose=f"the server {probe.version}"
        )
        if options.tables or options.exclude_tables:
            with self._access.connect(self.database) as connection:
                options = msgspec.structs.replace(
                    options,
                    tables=with_partitions(connection, options.tables),
                    exclude_tables=with_partitions(connection, options.exclude_tables),
                )
        arguments = dump_arguments(tool, self._access, self.database, options)
        reporter.log(f"Running pg_dump {tool.version} ({tool.path})")
        snapshot = Snapshot.open(self._access, self.database, options, reporter)
        if snapshot is not None:
            arguments.append(f"--snapshot={snapshot.identifier}")
        return PostgresDump(arguments, self._access, self.database, reporter, snapshot=snapshot, objects=probe.objects)

    def dump_globals(self) -> bytes:
        """Roles, tablespaces and settings of the whole server as SQL; without passwords unless a superuser asks."""
        with self._access.connect(self.database) as connection:
            version = str(connection.info.server_version // 10000)
            row = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
            encoding = encoding_of(connection, self.settings.maintenance_database)
        return dump_globals(
            self._globals_tool(version),
            self._access,
            self.settings.maintenance_database,
            passwords=bool(row and row[0]),
            encoding=encoding,
            subject=self.name,
        )

    def _globals_tool(self, version: str) -> ToolVersion:
        return fitting_tool("pg_dumpall", major(version), self.settings.tools, purpose=f"the server {version}")

    @classmethod
    def archive_check(cls, scratch_folder: Path) -> ArchiveCheck:  # noqa: ARG003  # pg_restore needs no files
        """pg_restore, reading everything and writing nothing."""
        return PostgresArchiveCheck(cls._tools_folders)

    def manual_restore(
        self,
        archive_file: str,
        database: str,
        properties: DatabaseProperties | None = None,
        dumped: DumpOptions = WHOLE,
    ) -> Sequence[str]:
        """createdb, pg_restore, and psql for what is beside the content."""
        access = self._access
        server = ["-h", access.host, "-p", str(access.port), "-U", access.user]
        if dumped.backup_type == "data_only":
            return manual_rows(archive_file, database, server)
        if dumped.tables:
            return manual_tables(archive_file, database, server, dumped.tables)
        return manual_lines(archive_file, database, server, access.settings.maintenance_database, properties)
