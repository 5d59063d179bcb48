"""Where a restore of a whole MySQL or MariaDB database loads it, and where it keeps what it replaces.

Both are databases beside the target. A user who may make none gets places of our own within the target: see
`mysql_inside` and `mysql_inside_kept`.
"""

from collections.abc import Sequence

from dgtui.engine.datasources.dumping import Archive, DumpOptions
from dgtui.engine.datasources.loading import LoadOutcome, Selection
from dgtui.engine.datasources.mysql_connection import Session
from dgtui.engine.datasources.mysql_inside import inside_name, inside_of, load_inside
from dgtui.engine.datasources.mysql_inside_kept import kept_name, kept_within
from dgtui.engine.datasources.mysql_look import sequence_names
from dgtui.engine.datasources.mysql_obstacles import lacking_beside
from dgtui.engine.datasources.mysql_parts import MysqlParts
from dgtui.engine.datasources.mysql_rights import Grants
from dgtui.engine.datasources.mysql_rows_kept import KeptRows
from dgtui.engine.datasources.own_names import NEW_SUFFIX, OLD_SUFFIX
from dgtui.engine.errors import PermissionDenied, SwapImpossible
from dgtui.engine.reporting import Reporter, SilentReporter

RESTORE_RIGHTS = ("SELECT", "INSERT", "CREATE", "DROP", "ALTER", "INDEX", "REFERENCES", "LOCK TABLES")
_KEEPING_RIGHTS = ("SELECT", "INSERT", "CREATE", "DROP")
_LONGEST_SUFFIX = f"{OLD_SUFFIX}{'0' * 14}"


class MysqlPlaces(MysqlParts):
    """What the adapter tells of the places that a restore of a whole database needs."""

    def loading_place(self, database: str) -> str:
        """A database beside; for a user who may make none, tables of our own within it."""
        with self._access.session() as session:
            within = self._goes_inside(session, Grants(session), database)
        return inside_name(database) if within else super().loading_place(database)

    def keeps_former(self, database: str) -> bool:
        """Of a database that is exchanged within itself only the rows."""
        with self._access.session() as session:
            return not self._goes_inside(session, Grants(session), database)

    def keeps_former_rows(self, database: str) -> bool:
        """Where its user may make a database for them."""
        with self._access.session() as session:
            return bool(self.settings.keep_replaced) and not self._lacking_beside(
                Grants(session), database, _KEEPING_RIGHTS
            )

    def kept_archive(self, kept_as: str) -> Archive:
        """The rows in a database that keeps some."""
        kept, options = self.for_database(kept_as), DumpOptions(backup_type="data_only")
        probe = kept.probe(options)
        return KeptRows(
            probe.size_bytes or 0, lambda: kept.open_dump(probe, options, SilentReporter()), self.idle_timeout
        )

    def name_to_keep(self, beside: str, database: str, suffix: str) -> str:
        """In a database that is exchanged within itself, names of our own too."""
        if inside_of(beside) is not None:
            return kept_name(database, suffix)
        return super().name_to_keep(beside, database, suffix)

    def unfit_to_swap(self, new: str) -> str:
        """Tables that are kept within a database have lost their triggers and foreign keys."""
        return f"{new} holds the rows alone" if kept_within(new) is not None else ""

    def lies_in_target(self, beside: str) -> bool:
        """Tables of our own within a database."""
        return inside_of(beside) is not None

    def _goes_inside(self, session: Session, grants: Grants, database: str) -> bool:
        """Whether a database has to be exchanged within itself, and can be."""
        return (
            session.server.flavour == "mariadb"
            and bool(self._lacking_beside(grants, database))
            and not sequence_names(session, database)
        )

    def _lacking_beside(self, grants: Grants, database: str, rights: Sequence[str] = RESTORE_RIGHTS) -> tuple[str, ...]:
        """The GRANT commands for the databases beside; empty where they can be made."""
        places = [self.beside_name(database, suffix) for suffix in (NEW_SUFFIX, _LONGEST_SUFFIX)]
        return lacking_beside(grants, places, rights)

    def _need_places_beside(self, session: Session, grants: Grants, database: str, selection: Selection) -> None:
        """Raise PermissionDenied where the databases beside a target may not be made, and it cannot do without."""
        commands = self._lacking_beside(grants, database)
        if commands and (selection != Selection() or not self._goes_inside(session, grants, database)):
            raise PermissionDenied(
                f"{self._access.user} may not make the databases beside {database} that it is loaded into first and "
                "kept in; nothing was changed",
                subject=database,
                hint=f"Give that right, which holds for these databases alone: {' '.join(commands)}",
                detail=commands,
            )

    def _load_inside(self, archive: Archive, database: str, reporter: Reporter) -> LoadOutcome:
        """Load within the target; an error of what cannot be told there names the way beside."""
        try:
            return load_inside(self._access, archive, database, reporter)
        except SwapImpossible as error:
            with self._access.session() as session:
                commands = self._lacking_beside(Grants(session), database)
            error.hint = f"Let it be loaded into a database beside: {' '.join(commands)}"
            raise
