"""A MySQL or MariaDB database as the target of a restore."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from dgtui.engine.datasources.dumping import Archive, DumpOptions, Probe
from dgtui.engine.datasources.loading import LoadOutcome, MissingRoles, Selection, TargetState
from dgtui.engine.datasources.mysql_archive import names_to_choose, table_names
from dgtui.engine.datasources.mysql_connection import Session
from dgtui.engine.datasources.mysql_contents import dump_blocks, dump_checksums
from dgtui.engine.datasources.mysql_data import fitting_targets
from dgtui.engine.datasources.mysql_errors import quote
from dgtui.engine.datasources.mysql_inside import (
    exchange_inside,
    inside_of,
    is_loaded,
    loaded_objects,
    loaded_tables,
    remove_loaded,
    settle_within,
)
from dgtui.engine.datasources.mysql_inside_kept import drop_kept, is_kept, kept_objects, kept_tables, kept_within
from dgtui.engine.datasources.mysql_load import (
    definers_in,
    flavour_notes,
    load_archive,
    missing_definers,
)
from dgtui.engine.datasources.mysql_look import (
    connected_clients,
    count_rows,
    database_exists,
    existing_tables,
    object_infos,
    other_objects,
)
from dgtui.engine.datasources.mysql_named import naming_notes
from dgtui.engine.datasources.mysql_objects import hold_events
from dgtui.engine.datasources.mysql_obstacles import (
    full_grant,
    missing_grants,
    never_again,
    obstacles,
    refuse_read_only,
)
from dgtui.engine.datasources.mysql_parts import refuse_system
from dgtui.engine.datasources.mysql_places import RESTORE_RIGHTS, MysqlPlaces
from dgtui.engine.datasources.mysql_properties import create_like, creation, possible_properties
from dgtui.engine.datasources.mysql_rights import MAKES_FOR_OTHERS, Grants
from dgtui.engine.datasources.mysql_script import Script
from dgtui.engine.datasources.mysql_swap import settle_databases, swap_databases
from dgtui.engine.datasources.mysql_tools import client_tool
from dgtui.engine.datasources.mysql_waiting import waiting_session
from dgtui.engine.datasources.own_names import NEW_SUFFIX
from dgtui.engine.errors import PermissionDenied, RestoreError
from dgtui.engine.model import ObjectInfo
from dgtui.engine.properties import DatabaseProperties
from dgtui.engine.reporting import Reporter, SilentReporter

_MOST_BYTES_READ_BEFORE = 1 << 30
"""A larger archive is not read to its end only to know beforehand what the loading finds out."""


_ROWS_RIGHTS = ("SELECT", "INSERT")


class MysqlTarget(MysqlPlaces):
    """What the adapter does with a database that a restore writes to."""

    def target_state(self, database: str) -> TargetState:
        """Look at a possible target."""
        with self._access.session() as session:
            if (within := inside_of(database)) is not None:
                return TargetState(exists=is_loaded(session, within))
            if (kept := kept_within(database)) is not None:
                return TargetState(exists=is_kept(session, *kept), objects=kept_objects(session, *kept))
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

    def check_restore(self, archive: Archive, database: str, selection: Selection) -> tuple[str, ...]:
        """What can be known before the target is touched."""
        refuse_system(database)
        with self._access.session() as session:
            client_tool(session.server, self.settings.tools)
            grants = Grants(session)
            refuse_read_only(session, grants, self.location)
            rights = _ROWS_RIGHTS if selection.backup_type == "data_only" else RESTORE_RIGHTS
            lacking = [right for right in rights if not grants.allows(right, database)]
            if lacking:
                raise PermissionDenied(
                    f"{self._access.user} lacks {', '.join(lacking)} on {database}",
                    subject=database,
                    hint=full_grant(grants, database),
                )
            if selection.backup_type != "data_only" and _holds_something(session, database):
                self._need_places_beside(session, grants, database, selection)
            if selection.backup_type == "data_only" and archive.total_size_bytes <= _MOST_BYTES_READ_BEFORE:
                fitting_targets(session, database, table_names(archive.blocks()), selection)
            notes = list(flavour_notes(archive, session.server))
            if not grants.allows_globally(*MAKES_FOR_OTHERS):
                notes.append(
                    f"{self._access.user} may not make views, triggers, routines and events of another definer "
                    "(SET USER or SUPER); such ones fail to load"
                )
        return (*notes, *naming_notes(archive, database, selection, most_bytes=_MOST_BYTES_READ_BEFORE))

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
        if inside_of(database) is not None:
            return
        refuse_system(database)
        with self._access.session(fallback=RestoreError) as session:
            create_like(session, database, like or self.database)

    def lacking_properties(self, recorded: DatabaseProperties) -> tuple[str, ...]:
        """A character set or collation that this server does not have."""
        with self._access.session(fallback=RestoreError) as session:
            return possible_properties(session, recorded)[1]

    def create_as_recorded(self, database: str, recorded: DatabaseProperties) -> tuple[str, ...]:
        """Make an empty database with the recorded character set and collation."""
        refuse_system(database)
        if inside_of(database) is not None:
            return ()
        with self._access.session(fallback=RestoreError) as session:
            session.execute(creation(database, possible_properties(session, recorded)[0], session.server))
        return ()

    def drop_target(self, database: str) -> None:
        """Drop a database with all that is in it."""
        refuse_system(database)
        with waiting_session(self._access, fallback=RestoreError) as session:
            if (within := inside_of(database)) is not None:
                remove_loaded(session, within)
                return
            if (kept := kept_within(database)) is not None:
                drop_kept(session, *kept)
                return
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
        refuse_system(database)
        if (within := inside_of(database)) is not None:
            return self._load_inside(archive, within, reporter)
        script = Script(database, selection)
        outcome = load_archive(self._access, archive, script, reporter)
        if database.endswith(NEW_SUFFIX) and not outcome.errors:
            hold_events(self._access, database, script.events)
        return outcome

    def inventory(self, database: str) -> tuple[ObjectInfo, ...]:
        """All tables with their rows counted."""
        within = inside_of(database)
        with waiting_session(self._access) as session:
            if within is not None:
                return loaded_objects(session, within)
            return tuple(
                ObjectInfo(
                    name=table.name,
                    rows=count_rows(session, database, table.name, versioned=table.versioned),
                    bytes=table.total_bytes,
                    rows_exact=True,
                )
                for table in existing_tables(session, database)
            )

    def archive_checksums(self, archive: Archive, selection: Selection, scratch_folder: Path) -> dict[str, str]:  # noqa: ARG002
        """The rows as the dump tool wrote them; empty where this server would write them otherwise."""
        with self._access.session() as session:
            if flavour_notes(archive, session.server):
                return {}
        return dump_checksums(archive.blocks(), selection.tables)

    def content_checksums(self, database: str, names: Sequence[str], scratch_folder: Path) -> dict[str, str]:
        """The rows of another dump."""
        called = {name: name for name in names}
        if (within := inside_of(database)) is not None:
            with self._access.session() as session:
                called = loaded_tables(session, within)
        restored = self.for_database(within or database)
        wanted = tuple(called[name] for name in names if name in called)
        options = DumpOptions(tables=wanted, scratch_folder=str(scratch_folder))
        dump = restored.open_dump(
            Probe(product="", version="") if within else restored.probe(options), options, SilentReporter()
        )
        found = dump_checksums(dump_blocks(dump, self.idle_timeout), wanted)
        return {name: found[called[name]] for name in names if called.get(name) in found}

    def swap(self, new: str, current: str, keep_as: str, reporter: Reporter) -> None:
        """Swap by one RENAME TABLE, and make the rest anew; refused where that would bend something."""
        for database in (new, current, keep_as):
            refuse_system(database)
        if inside_of(new) is not None:
            exchange_inside(self._access, current, keep_as, reporter)
            return
        swap_databases(self._access, new, current, keep_as, reporter)

    def swap_mark(self, new: str) -> str:
        """Its name: where the former tables are tells enough."""
        return new

    def settle_swap(self, mark: str, new: str, current: str, keep_as: str) -> Literal["old", "new"]:  # noqa: ARG002
        """One RENAME TABLE moved all tables, or none; what is made anew around it is made to its end or back."""
        if inside_of(new) is not None:
            return settle_within(self._access, current, keep_as)
        return settle_databases(self._access, new, current, keep_as)

    def swap_obstacles(self, database: str) -> tuple[str, ...]:
        """What ties it to other databases, and what could not be made anew."""
        with self._access.session() as session:
            return obstacles(session, database)

    def kept_inside(self, database: str) -> tuple[str, ...]:
        """The former tables of one that was exchanged within itself."""
        with self._access.session() as session:
            return kept_tables(session, database)

    def swap_grants(self, database: str) -> tuple[str, ...]:
        """GRANT commands for what the user lacks to make anew what a RENAME TABLE does not carry over."""
        with self._access.session() as session:
            return missing_grants(session, database)

    def never_again(self, database: str) -> tuple[str, ...]:
        """Views, triggers, routines and events that the user may not make, or not in the name of their definers."""
        with self._access.session() as session:
            return never_again(session, database)


def _holds_something(session: Session, database: str) -> bool:
    return bool(existing_tables(session, database) or other_objects(session, database))
