"""Rows alone and chosen tables of a MySQL or MariaDB database, as the targets of a restore."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from dgtui.engine.datasources.base import Datasource
from dgtui.engine.datasources.datasource_settings import ServerSettings
from dgtui.engine.datasources.dumping import Archive
from dgtui.engine.datasources.loading import Announce, LoadOutcome, Selection
from dgtui.engine.datasources.mysql_beside import LEFT_OUT, place_table, refuse_taken
from dgtui.engine.datasources.mysql_connection import Access
from dgtui.engine.datasources.mysql_data import RowsLoad, has_rows, settle_rows
from dgtui.engine.datasources.mysql_look import (
    SYSTEM_DATABASES,
    existing_tables,
    sequence_names,
    view_names,
)
from dgtui.engine.datasources.mysql_part import impossible, refuse_obstacles, replace_tables, settle_tables
from dgtui.engine.datasources.mysql_waiting import waiting_session
from dgtui.engine.datasources.own_names import NEW_SUFFIX
from dgtui.engine.errors import RestoreError
from dgtui.engine.reporting import Reporter
from dgtui.engine.restore_model import LateRows, PartChange

_LONGEST_NAME = 64


class MysqlSettings(ServerSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of a datasource of type `mysql`."""


class MysqlParts(Datasource[MysqlSettings]):
    """What the adapter does with a part of a database that a restore writes to."""

    @property
    def _access(self) -> Access:
        return Access(self.settings, self._password, self.idle_timeout)

    @property
    def database(self) -> str:
        """The database's name."""
        return self.settings.database

    @property
    def location(self) -> str:
        """Host and port, or the socket."""
        return self.settings.socket or f"{self.settings.host}:{self._access.port}"

    def beside_name(self, database: str, suffix: str) -> str:
        """The name with the suffix; a long one is cut and told apart by a digest."""
        if len(database) + len(suffix) <= _LONGEST_NAME:
            return database + suffix
        digest = hashlib.sha256(database.encode("utf-8", "surrogateescape")).hexdigest()[:8]
        return f"{database[: _LONGEST_NAME - len(suffix) - 9].rstrip()}_{digest}{suffix}"

    def load_data(
        self,
        archive: Archive,
        database: str,
        selection: Selection,
        reporter: Reporter,
        *,
        overwrite: bool,
        keep_as: str,
        scratch_folder: Path,  # noqa: ARG002
        announce: Announce,
        late: LateRows | None = None,  # noqa: ARG002  # the former rows are kept, and it with them
    ) -> LoadOutcome:
        """Replay the rows in one transaction, which keeps the former ones; refused where triggers would act on them."""
        refuse_system(database)
        kept = keep_as if self.settings.keep_replaced else ""
        load = RowsLoad(self._access, database, self.beside_name(database, NEW_SUFFIX), kept, announce)
        return load.run(archive, selection, reporter, overwrite=overwrite)

    def check_part(self, archive: Archive, database: str, listed: Sequence[str], chosen: Sequence[str]) -> None:  # noqa: ARG002
        """A view, and what keeps the live tables from being renamed."""
        if others := [name for name in chosen if listed and name not in listed]:
            raise impossible(others[0], f"{', '.join(others)} is no table")
        with self._access.session(fallback=RestoreError) as session:
            if others := [
                name for name in (*view_names(session, database), *sequence_names(session, database)) if name in chosen
            ]:
                raise impossible(others[0], f"{', '.join(others)} is no table in {database}")
            refuse_obstacles(session, database, chosen)

    def check_name(self, archive: Archive, database: str, table: str, name: str) -> str:  # noqa: ARG002
        """A table, view or sequence of that name, or one that is too long."""
        if len(name) > _LONGEST_NAME:
            raise RestoreError(f"{name} is longer than {_LONGEST_NAME} characters", subject=name, hint="Shorten it")
        with self._access.session(fallback=RestoreError) as session:
            refuse_taken(session, database, name)
        return f"{name} comes without {LEFT_OUT}"

    def holding_rows(self, database: str, names: Sequence[str]) -> tuple[str, ...]:
        """Asks each for its first row."""
        with waiting_session(self._access) as session:
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
            refuse_system(name)
        if change.name_as is not None:
            place_table(self._access, change, change.name_as, announce, reporter)
            return False
        return replace_tables(self._access, change, announce, reporter)

    def settle_part(self, mark: str, change: PartChange) -> Literal["old", "new"]:
        """One RENAME TABLE moved all tables, or none of them."""
        return settle_tables(self._access, mark, change)

    def settle_data(self, mark: str, database: str, keep_as: str) -> Literal["old", "new"]:
        """One transaction did all of it, or nothing; tables without transactions are emptied again."""
        return settle_rows(self._access, mark, database, keep_as)


def refuse_system(database: str) -> None:
    """Raise RestoreError where a database is the server's own."""
    if database.lower() in SYSTEM_DATABASES:
        raise RestoreError(
            f"{database} belongs to the server itself", subject=database, hint="Restore into a database of your own"
        )
