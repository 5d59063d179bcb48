"""Databases of a PostgreSQL server as what a restore writes to: made, filled, compared, swapped and removed."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import msgspec

from dgtui.engine.datasources.base import Datasource
from dgtui.engine.datasources.dumping import Archive
from dgtui.engine.datasources.loading import Announce, LoadOutcome, MissingRoles, Selection, TargetState
from dgtui.engine.datasources.postgres_beside import LEFT_OUT, check_name, place_table
from dgtui.engine.datasources.postgres_connection import Access, PostgresSettings
from dgtui.engine.datasources.postgres_contents import archive_checksums, content_checksums
from dgtui.engine.datasources.postgres_creation import create_as_recorded, create_database, lacking
from dgtui.engine.datasources.postgres_data import DataLoad
from dgtui.engine.datasources.postgres_databases import drop_database, exists, maintenance_database, target_state
from dgtui.engine.datasources.postgres_dependents import refuse_dependents
from dgtui.engine.datasources.postgres_late_rows import write_mark
from dgtui.engine.datasources.postgres_names import name_beside
from dgtui.engine.datasources.postgres_owners import ArchiveWithoutOwners, without_owners
from dgtui.engine.datasources.postgres_part import PartReplacement
from dgtui.engine.datasources.postgres_plan import plan_restore
from dgtui.engine.datasources.postgres_private import private_server, remove_private_server
from dgtui.engine.datasources.postgres_properties import properties
from dgtui.engine.datasources.postgres_queries import (
    count_rows,
    inventory_of,
    tables_of,
    with_partitions,
)
from dgtui.engine.datasources.postgres_replication import of_archive, refuse_prepared, refuse_standby, replication_notes
from dgtui.engine.datasources.postgres_restore import Loader
from dgtui.engine.datasources.postgres_rows import holding_rows
from dgtui.engine.datasources.postgres_selection import needed_by, partitions_of
from dgtui.engine.datasources.postgres_settling import settle_transaction
from dgtui.engine.datasources.postgres_swap import oid_of, settled_oid, swap_databases
from dgtui.engine.datasources.postgres_toc import Toc, read_toc
from dgtui.engine.errors import PermissionDenied
from dgtui.engine.model import ObjectInfo
from dgtui.engine.properties import DatabaseProperties
from dgtui.engine.reporting import Reporter
from dgtui.engine.restore_model import LateRows, PartChange

if TYPE_CHECKING:
    import psycopg


class PostgresTarget(Datasource[PostgresSettings]):
    """One database, as the target of a restore."""

    _tools_folders: ClassVar[set[str]] = set()
    """Folders that the datasources of this process name: an archive is checked without a datasource."""

    def __init__(self, name: str, settings: PostgresSettings, password: str | None = None) -> None:
        """`password` goes to psycopg and to the tools' environment, and nowhere else."""
        super().__init__(name, settings, password)
        if settings.tools:
            self._tools_folders.add(settings.tools)
        self._access = Access(settings, password)
        self._checked_toc: Toc | None = None
        self._archive_checksums: dict[str, str] = {}
        self._loaded_rows: dict[str, dict[str, int]] = {}
        """By database, the rows that tables took in when they were loaded, by the server's account."""

    @property
    def database(self) -> str:
        """The database's name."""
        return self.settings.database

    @property
    def location(self) -> str:
        """Host and port, or the folder of the socket."""
        return self._access.server

    def target_state(self, database: str) -> TargetState:
        """Whether the database exists, what is in it, who is connected."""
        return target_state(self._access, database)

    def target_exists(self, database: str) -> bool:
        """Also one that a cut DROP DATABASE left, which takes no connection any more."""
        with self._access.connect(maintenance_database(self._access)) as connection:
            return exists(connection, database)

    def beside_name(self, database: str, suffix: str) -> str:
        """A name within the 63 bytes of PostgreSQL."""
        return name_beside(database, suffix)

    def check_restore(self, archive: Archive, database: str, selection: Selection) -> tuple[str, ...]:
        """Versions, extensions, roles, tablespaces, and the right to make databases."""
        with self._access.connect(maintenance_database(self._access)) as connection:
            refuse_standby(connection, self._access.server)
        if selection.backup_type == "data_only":
            DataLoad(self._access, archive, database, selection).check()
            return ()
        toc = read_toc(archive.blocks())
        plan = plan_restore(self._access, toc, selection)
        with self._access.connect(maintenance_database(self._access)) as connection:
            row = connection.execute(
                "SELECT rolsuper OR rolcreatedb, quote_ident(rolname) FROM pg_roles WHERE rolname = current_user"
            ).fetchall()[0]
            if not row[0]:
                what = f"a database beside {database}" if exists(connection, database) else f"the database {database}"
                raise PermissionDenied(
                    f"{row[1]} may not make {what} to load into; nothing was changed",
                    subject=database,
                    hint=f"Run as a superuser: ALTER ROLE {row[1]} CREATEDB;",
                )
            return (*plan.notes, *self._bound(connection, toc, database, selection))

    def _bound(
        self, connection: "psycopg.Connection[Any]", toc: Toc, database: str, selection: Selection
    ) -> Sequence[str]:
        """What is to be known of replication where all of a database is replaced."""
        if selection.tables or not selection.acting:
            return ()
        refuse_prepared(connection, database)
        subscriptions = [entry.tag for entry in toc.entries if entry.kind == "SUBSCRIPTION"]
        return (*of_archive(subscriptions), *replication_notes(connection, database))

    def refuse_unknown(self, archive: Archive, listed: Sequence[str], selection: Selection) -> tuple[str, ...]:  # noqa: ARG002
        """The archive's own table of contents is asked by `check_restore`: it names more than has rows."""
        return ()

    def chosen_with_parts(self, archive: Archive, database: str, selection: Selection) -> tuple[str, ...]:
        """With all partitions. Raises ConfigError where a chosen table is not in the archive."""
        if not selection.tables:
            return ()
        if selection.backup_type == "data_only":
            with self._access.connect(database) as connection:
                return with_partitions(connection, selection.tables)
        return (*selection.tables, *partitions_of(read_toc(archive.blocks()), selection.tables))

    def missing_roles(self, archive: Archive, selection: Selection) -> MissingRoles:
        """Owners and grantees in the table of contents that the server does not know."""
        return plan_restore(self._access, read_toc(archive.blocks()), selection).missing

    def comes_along(self, archive: Archive, selection: Selection) -> tuple[str, ...]:
        """Types, functions, sequences and the empty tables that the chosen ones need."""
        return needed_by(read_toc(archive.blocks()), selection.tables) if selection.tables else ()

    def create_target(self, database: str, like: str | None = None) -> None:
        """Make an empty database from template0."""
        create_database(self._access, database, properties(self._access, like) if like is not None else None)

    def lacking_properties(self, recorded: DatabaseProperties) -> tuple[str, ...]:
        """Roles, locales, tablespaces and settings that this server does not have."""
        return lacking(self._access, recorded)

    def create_as_recorded(self, database: str, recorded: DatabaseProperties) -> tuple[str, ...]:
        """Make an empty database with encoding, locale, owner, grants, settings and comment."""
        return create_as_recorded(self._access, database, recorded)

    def drop_target(self, database: str) -> None:
        """Remove a database, whoever is connected."""
        drop_database(self._access, database)

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
        """Load by one pipe or by several at once, and once more by one where that failed."""
        toc = read_toc(archive.blocks())
        plan = plan_restore(self._access, toc, selection)
        reporter.log(f"Running pg_restore {plan.tool.version} ({plan.tool.path})")
        for ownerless in plan.missing.ownerless:
            reporter.log(f"Will belong to the user that restores: {ownerless}", level="warning")
        nameless = {entry.dump_id for entry in toc.entries if entry.owner in plan.unusable_owners} | plan.handed_over
        loaded = ArchiveWithoutOwners(archive, toc, nameless) if nameless else archive
        loader = Loader(self._access, loaded, toc, database, plan, reporter, scratch_folder, patience=self.idle_timeout)
        self._loaded_rows.clear()
        outcome = loader.load(jobs)
        self._loaded_rows[database] = loader.counted
        return msgspec.structs.replace(outcome, notes=(*plan.notes, *outcome.notes))

    def load_data(
        self,
        archive: Archive,
        database: str,
        selection: Selection,
        reporter: Reporter,
        *,
        overwrite: bool,
        keep_as: str,  # noqa: ARG002  # a transaction needs no second name
        scratch_folder: Path,
        announce: Announce,
        late: LateRows | None = None,
    ) -> LoadOutcome:
        """Replay the rows in one transaction, with triggers off and foreign keys checked at its end."""
        load = DataLoad(self._access, archive, database, selection)
        return load.run(
            reporter,
            overwrite=overwrite,
            scratch_folder=scratch_folder,
            announce=announce,
            late=late,
            patience=self.idle_timeout,
        )

    @contextlib.contextmanager
    def private_server(
        self, version: str, room: int, scratch_folder: Path, made: Callable[[tuple[str, ...]], None]
    ) -> Iterator[Self]:
        """A server made by initdb, in which everybody who gets to its socket is the superuser."""
        with private_server(version, room, scratch_folder, self.settings.tools, made) as settings:
            yield type(self)(self.name, settings)

    @classmethod
    def remove_private_server(cls, folders: tuple[str, ...]) -> None:
        """End it and remove its folders."""
        remove_private_server(folders)

    def inventory(self, database: str) -> tuple[ObjectInfo, ...]:
        """All tables and materialised views with their rows, counted where the server did not at their loading."""
        loaded = self._loaded_rows.pop(database, {})
        with self._access.connect(database, seconds=None) as connection:
            connection.execute(
                "SELECT set_config('lock_timeout', %s, false)", (f"{int(self._access.settings.lock_timeout)}s",)
            )
            tables = tables_of(connection)
            counts = {table.oid: loaded[table.shown] for table in tables if table.kind == "r" and table.shown in loaded}
            counts |= count_rows(connection, [table for table in tables if table.oid not in counts])
            return inventory_of(tables, counts)

    def holding_rows(self, database: str, names: Sequence[str]) -> tuple[str, ...]:
        """Asks each for its first row."""
        with self._access.connect(database) as connection:
            return holding_rows(connection, names)

    def write_mark(self, database: str) -> str:
        """The oldest transaction of the server that is not over."""
        with self._access.connect(database) as connection:
            return write_mark(connection)

    def check_part(self, archive: Archive, database: str, listed: Sequence[str], chosen: Sequence[str]) -> None:  # noqa: ARG002
        """A view or another object that depends on the live tables, and a partition that would be lost."""
        refuse_dependents(self._access, database, listed, chosen)

    def replace_part(self, change: PartChange, archive: Archive | None, reporter: Reporter, announce: Announce) -> bool:
        """Replace the chosen tables in one transaction; nothing of them is kept."""
        if change.name_as is not None:
            place_table(self._access, self.for_database(change.beside), change, change.name_as, announce)
            reporter.log(f"{change.tables[0]} of the backup is in {change.database} now, as {change.name_as}")
            self.drop_target(change.beside)
            return False
        loaded = None
        if archive is not None:
            toc = read_toc(archive.blocks())
            plan = plan_restore(self._access, toc, Selection(tables=change.tables))
            loaded = without_owners(toc, plan.unusable_owners), plan
        PartReplacement(self._access, change, loaded, reporter).carry_out(announce)
        self.drop_target(change.beside)
        return False

    def check_name(self, archive: Archive, database: str, table: str, name: str) -> str:  # noqa: ARG002
        """A relation or type of that name, or one that is too long."""
        check_name(self._access, database, table, name)
        return f"{name} comes without {LEFT_OUT}; its indexes and sequences get names of their own"

    def settle_part(self, mark: str, change: PartChange) -> Literal["old", "new"]:
        """One transaction did all of it, or nothing."""
        return settle_transaction(self._access, change.database, mark)

    def settle_data(self, mark: str, database: str, keep_as: str) -> Literal["old", "new"]:  # noqa: ARG002
        """One transaction did all of it, or nothing."""
        return settle_transaction(self._access, database, mark)

    def archive_checksums(self, archive: Archive, selection: Selection, scratch_folder: Path) -> dict[str, str]:  # noqa: ARG002
        """The rows as pg_dump wrote them."""
        self._checked_toc = read_toc(archive.blocks())
        self._archive_checksums = archive_checksums(archive.blocks(), selection.tables)
        return self._archive_checksums

    def content_checksums(self, database: str, names: Sequence[str], scratch_folder: Path) -> dict[str, str]:  # noqa: ARG002
        """The rows as COPY gives them, in the archive's encoding."""
        if self._checked_toc is None:
            return {}
        return content_checksums(self._access, database, names, self._checked_toc, self._archive_checksums)

    def swap(self, new: str, current: str, keep_as: str, reporter: Reporter) -> None:
        """Rename both databases in one transaction."""
        swap_databases(self._access, new, current, keep_as, reporter)

    def swap_mark(self, new: str) -> str:
        """The database's OID, which a rename does not change."""
        return str(oid_of(self._access, new))

    def settle_swap(self, mark: str, new: str, current: str, keep_as: str) -> Literal["old", "new"]:  # noqa: ARG002
        """One transaction made both renames, or none of them."""
        return "new" if settled_oid(self._access, current, int(mark)) == int(mark) else "old"
