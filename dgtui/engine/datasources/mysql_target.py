"""A MySQL or MariaDB database as the target of a restore."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from dgtui.engine.datasources.base import Datasource
from dgtui.engine.datasources.datasource_settings import ServerSettings
from dgtui.engine.datasources.dumping import Archive, DumpOptions
from dgtui.engine.datasources.loading import Announce, LoadOutcome, MissingRoles, Selection, TargetState
from dgtui.engine.datasources.mysql_archive import names_to_choose, table_names
from dgtui.engine.datasources.mysql_beside import LEFT_OUT, place_table, refuse_taken
from dgtui.engine.datasources.mysql_connection import Access, Session
from dgtui.engine.datasources.mysql_contents import Silent, dump_blocks, dump_checksums
from dgtui.engine.datasources.mysql_data import RowsLoad, fitting_targets, has_rows, settle_rows
from dgtui.engine.datasources.mysql_errors import quote
from dgtui.engine.datasources.mysql_load import (
    definers_in,
    flavour_notes,
    load_archive,
    missing_definers,
)
from dgtui.engine.datasources.mysql_look import (
    SYSTEM_DATABASES,
    connected_clients,
    count_rows,
    database_exists,
    existing_tables,
    object_infos,
    other_objects,
    sequence_names,
    view_names,
)
from dgtui.engine.datasources.mysql_objects import hold_events
from dgtui.engine.datasources.mysql_obstacles import lacking_beside, missing_grants, never_again, obstacles
from dgtui.engine.datasources.mysql_part import impossible, refuse_obstacles, replace_tables, settle_tables
from dgtui.engine.datasources.mysql_properties import create_like, creation, possible_properties
from dgtui.engine.datasources.mysql_rights import MAKES_FOR_OTHERS, Grants
from dgtui.engine.datasources.mysql_script import Script
from dgtui.engine.datasources.mysql_swap import settle_databases, swap_databases
from dgtui.engine.datasources.mysql_tools import client_tool
from dgtui.engine.datasources.places import NEW_SUFFIX
from dgtui.engine.errors import PermissionDenied, RestoreError
from dgtui.engine.model import ObjectInfo
from dgtui.engine.properties import DatabaseProperties
from dgtui.engine.reporting import Reporter
from dgtui.engine.restore_model import PartChange

_PATIENCE = 3600.0
_LONGEST_NAME = 64
_MOST_BYTES_READ_BEFORE = 1 << 30
"""A larger archive is not read to its end only to know beforehand what the loading finds out."""


class MysqlSettings(ServerSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of a datasource of type `mysql`."""


class MysqlTarget(Datasource[MysqlSettings]):
    """What the adapter does with a database that a restore writes to."""

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
            if selection.backup_type != "data_only" and _holds_something(session, database):
                self._need_places_beside(grants, database)
            if selection.backup_type == "data_only" and archive.total_size_bytes <= _MOST_BYTES_READ_BEFORE:
                fitting_targets(session, database, table_names(archive.blocks()), selection)
            notes = list(flavour_notes(archive, session.server))
            if not grants.allows_globally(*MAKES_FOR_OTHERS):
                notes.append(
                    f"{self._access.user} may not make views, triggers, routines and events of another definer "
                    "(SET USER or SUPER); such ones fail to load"
                )
            return tuple(notes)

    def _need_places_beside(self, grants: Grants, database: str) -> None:
        """Raise PermissionDenied where the databases beside a target, which a swap goes through, may not be made."""
        places = [self.beside_name(database, suffix) for suffix in (NEW_SUFFIX, _KEPT_SUFFIX)]
        if commands := lacking_beside(grants, places, _RESTORE_RIGHTS):
            raise PermissionDenied(
                f"{self._access.user} may not make the databases beside {database} that it is loaded into first and "
                "kept in; nothing was changed",
                subject=database,
                hint=f"Give that right, which holds for these databases alone: {' '.join(commands)}",
                detail=commands,
            )

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
        script = Script(database, selection)
        outcome = load_archive(self._access, archive, script, reporter)
        if database.endswith(NEW_SUFFIX) and not outcome.errors:
            hold_events(self._access, database, script.events)
        return outcome

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
        load = RowsLoad(self._access, database, self.beside_name(database, NEW_SUFFIX), announce)
        return load.run(archive, selection, reporter, overwrite=overwrite)

    def inventory(self, database: str) -> tuple[ObjectInfo, ...]:
        """All tables with their rows counted."""
        with self._access.session(patience=_PATIENCE) as session:
            return tuple(
                ObjectInfo(
                    name=table.name,
                    rows=count_rows(session, database, table.name, versioned=table.versioned),
                    bytes=table.total_bytes,
                    rows_exact=True,
                )
                for table in existing_tables(session, database)
            )

    def check_part(self, database: str, listed: Sequence[str], chosen: Sequence[str]) -> None:
        """A view, and what keeps the live tables from being renamed."""
        if others := [name for name in chosen if listed and name not in listed]:
            raise impossible(others[0], f"{', '.join(others)} is no table")
        with self._access.session(fallback=RestoreError) as session:
            if others := [
                name for name in (*view_names(session, database), *sequence_names(session, database)) if name in chosen
            ]:
                raise impossible(others[0], f"{', '.join(others)} is no table in {database}")
            refuse_obstacles(session, database, chosen)

    def check_name(self, database: str, table: str, name: str) -> str:  # noqa: ARG002
        """A table, view or sequence of that name, or one that is too long."""
        if len(name) > _LONGEST_NAME:
            raise RestoreError(f"{name} is longer than {_LONGEST_NAME} characters", subject=name, hint="Shorten it")
        with self._access.session(fallback=RestoreError) as session:
            refuse_taken(session, database, name)
        return f"{name} comes without {LEFT_OUT}"

    def holding_rows(self, database: str, names: Sequence[str]) -> tuple[str, ...]:
        """Asks each for its first row."""
        with self._access.session(patience=_PATIENCE) as session:
            there = [table for table in existing_tables(session, database) if table.name in names]
            return tuple(table.name for table in there if has_rows(session, database, table))

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
        if change.name_as is not None:
            place_table(self._access, change, change.name_as, announce, reporter)
            return False
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
        """Swap by one RENAME TABLE, and make the rest anew; refused where that would bend something."""
        for database in (new, current, keep_as):
            _refuse_system(database)
        swap_databases(self._access, new, current, keep_as, reporter)

    def swap_mark(self, new: str) -> str:
        """Its name: where the former tables are tells enough."""
        return new

    def settle_swap(self, mark: str, new: str, current: str, keep_as: str) -> Literal["old", "new"]:  # noqa: ARG002
        """One RENAME TABLE moved all tables, or none; what is made anew around it is made to its end or back."""
        return settle_databases(self._access, new, current, keep_as)

    def swap_obstacles(self, database: str) -> tuple[str, ...]:
        """What ties it to other databases, and what could not be made anew."""
        with self._access.session() as session:
            return obstacles(session, database)

    def swap_grants(self, database: str) -> tuple[str, ...]:
        """GRANT commands for what the user lacks to make anew what a RENAME TABLE does not carry over."""
        with self._access.session() as session:
            return missing_grants(session, database)

    def never_again(self, database: str) -> tuple[str, ...]:
        """Views, triggers, routines and events that the user may not make, or not in the name of their definers."""
        with self._access.session() as session:
            return never_again(session, database)


_RESTORE_RIGHTS = ("SELECT", "INSERT", "CREATE", "DROP", "ALTER", "INDEX", "REFERENCES", "LOCK TABLES")
_ROWS_RIGHTS = ("SELECT", "INSERT")
_KEPT_SUFFIX = "__dgtui_old_00000000000000"


def _holds_something(session: Session, database: str) -> bool:
    return bool(existing_tables(session, database) or other_objects(session, database))


def _refuse_system(database: str) -> None:
    if database.lower() in SYSTEM_DATABASES:
        raise RestoreError(
            f"{database} belongs to the server itself", subject=database, hint="Restore into a database of your own"
        )
