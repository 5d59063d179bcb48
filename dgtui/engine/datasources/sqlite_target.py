"""An SQLite file as the target of a restore."""

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from dgtui.engine.child import printable
from dgtui.engine.datasources.dumping import Archive
from dgtui.engine.datasources.loading import Announce, LoadOutcome, Selection
from dgtui.engine.datasources.own_names import NEW_SUFFIX
from dgtui.engine.datasources.places import (
    beside,
    copy_ownership,
    holders,
    mark_of,
    need_parent,
    need_room,
    real_path,
    safe_target,
)
from dgtui.engine.datasources.sqlite_beside import LEFT_OUT, place_table, refuse_taken
from dgtui.engine.datasources.sqlite_check import check_file, damaged
from dgtui.engine.datasources.sqlite_contents import file_checksums
from dgtui.engine.datasources.sqlite_data import KeptDatabase, load_rows
from dgtui.engine.datasources.sqlite_file import SqliteFile
from dgtui.engine.datasources.sqlite_part import refuse_other_kinds, refuse_virtual, replace_tables, settle_tables
from dgtui.engine.datasources.sqlite_restore import load_part, need_empty, write_archive
from dgtui.engine.datasources.sqlite_selection import NEEDS_EXTENSION, need_modules
from dgtui.engine.datasources.sqlite_snapshot import MAGIC, SIDE_FILES, connect, side_file
from dgtui.engine.datasources.sqlite_swap import clear_orphans, refuse_open, settle_database, swap_database
from dgtui.engine.errors import RestoreError, ValidationError
from dgtui.engine.file_errors import file_error
from dgtui.engine.files import fsync_folder
from dgtui.engine.reporting import Reporter
from dgtui.engine.restore_model import LateRows, PartChange

_NOT_OF_ITS_BYTES = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY)
_MOST_BYTES_UNPACKED_BEFORE = 1 << 26
"""A larger archive is not unpacked only to know beforehand what the loading finds out."""


@contextlib.contextmanager
def _misfits(live: Path) -> Iterator[None]:
    """What the database itself has against a part of a backup, which is no sign of damage."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_ERROR:
            raise
        raise RestoreError(
            f"This part of the backup does not fit into {live}: {printable(str(error))}; nothing was changed",
            subject=str(live),
            hint="Restore it under another name with --into NAME, and copy from there",
        ) from error


class SqliteTarget(SqliteFile):
    """What the adapter does with a file that a restore writes to."""

    @contextlib.contextmanager
    def _archive_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            if NEEDS_EXTENSION.search(str(error)):
                raise RestoreError(
                    f"No part of this database can be taken without the extension it uses: {printable(str(error))}",
                    subject="The archive",
                    hint="Restore it in full, under another name with --into NAME, and copy from there with a program "
                    "that loads the extension",
                ) from error
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _NOT_OF_ITS_BYTES:
                raise RestoreError(
                    f"A part of the archive could not be written: {printable(str(error))}",
                    subject=self.database,
                    hint="Is there room beside the database and in the state folder (df -h), and may our user write?",
                ) from error
            raise damaged("The archive", (printable(str(error)),)) from error

    def beside_name(self, database: str, suffix: str) -> str:
        """A hidden file in the same folder, so that a rename can bring it into place."""
        return str(beside(real_path(database), suffix))

    def check_restore(self, archive: Archive, database: str, selection: Selection) -> tuple[str, ...]:
        """Is there a place, room, and nobody who has the file open? Chosen tables alone are exchanged while it is."""
        target = safe_target(str(real_path(database)))
        need_parent(target)
        if target.exists() and not target.is_file():
            raise RestoreError(f"{target} is no file", subject=str(target), hint="Name a file to restore into")
        need_room(target, archive.total_size_bytes)
        if not selection.tables or selection.backup_type == "data_only":
            refuse_open(target)
        first = next(iter(archive.blocks()), b"")
        if not first.startswith(MAGIC):
            raise ValidationError("The archive is no SQLite database", subject=database, hint="Use another copy")
        in_part = bool(selection.tables) or selection.backup_type == "schema_only"
        if in_part and archive.total_size_bytes <= _MOST_BYTES_UNPACKED_BEFORE:
            with self._archive_errors():
                need_modules(archive.as_file())
        return tuple(f"{target} is open: {user.program} {user.user}".rstrip() for user in holders(target))

    def create_target(self, database: str, like: str | None = None) -> None:
        """Make an empty file; side files of a database that is gone are moved away from it."""
        target = safe_target(database)
        need_parent(target)
        try:
            clear_orphans(target)
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
            if like is not None and real_path(like).exists():
                copy_ownership(real_path(like).stat(), target)
                # One for reading alone would take in nothing; the swap gives it the mode of the old one.
                target.chmod(stat.S_IMODE(target.stat().st_mode) | stat.S_IRUSR | stat.S_IWUSR)
        except FileExistsError:
            raise RestoreError(
                f"{target} exists already", subject=str(target), hint="Restore under another name, or move it away"
            ) from None
        except OSError as error:
            raise file_error(error, target, "make") from error

    def drop_target(self, database: str) -> None:
        """Remove a database file with its side files; only ever a plain file."""
        target = safe_target(database)
        if os.path.lexists(target) and (target.is_symlink() or not target.is_file()):
            raise RestoreError(
                f"{target} is no plain file and is not removed", subject=str(target), hint=f"ls -l {target}"
            )
        try:
            for ending in ("", *SIDE_FILES):
                side_file(target, ending).unlink(missing_ok=True)
        except OSError as error:
            raise file_error(error, target, "remove") from error

    def load(
        self,
        archive: Archive,
        database: str,
        selection: Selection,
        reporter: Reporter,
        *,
        jobs: int,  # noqa: ARG002  # a file is written by one
        scratch_folder: Path,
    ) -> LoadOutcome:
        """Write the archive into the empty file `database`, and let SQLite check it."""
        target = safe_target(database)
        need_empty(target)
        refuse_open(target)
        with self._archive_errors():
            if selection.tables or selection.backup_type == "schema_only":
                load_part(archive, target, selection, scratch_folder)
            else:
                write_archive(archive.blocks(), target)
            reporter.log("Checking the restored database")
            check_file(target, str(target))
        for ending in SIDE_FILES:
            if side_file(target, ending).exists():
                raise RestoreError(
                    f"{side_file(target, ending)} appeared during the restore",
                    subject=str(target),
                    hint=f"Somebody opened the file too early: fuser -v {target}",
                )
        fsync_folder(target.parent)
        return LoadOutcome()

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
        late: LateRows | None = None,  # noqa: ARG002  # nothing is kept of it
    ) -> LoadOutcome:
        """Load the rows into a copy of the database, which then takes its place."""
        target = safe_target(str(real_path(database)))
        with self._explained(target), _misfits(target):
            return load_rows(
                archive,
                target,
                selection,
                reporter,
                overwrite=overwrite,
                keep_as=safe_target(keep_as),
                scratch_folder=scratch_folder,
                announce=announce,
            )

    def check_part(self, archive: Archive, database: str, listed: Sequence[str], chosen: Sequence[str]) -> None:  # noqa: ARG002
        """What has such a name and is no table, or a virtual one, here or there."""
        with self._reading(safe_target(str(real_path(database)))) as connection:
            refuse_other_kinds(connection, chosen)
            refuse_virtual(connection, chosen)
        self._refuse_virtual_of(archive, chosen)

    def check_loaded(self, change: PartChange) -> None:
        """A virtual table."""
        self._refuse_virtual(safe_target(change.beside), change.tables)

    def _refuse_virtual_of(self, archive: Archive, chosen: Sequence[str]) -> None:
        if archive.total_size_bytes <= _MOST_BYTES_UNPACKED_BEFORE:
            self._refuse_virtual(archive.as_file(), chosen)

    def _refuse_virtual(self, path: Path, chosen: Sequence[str]) -> None:
        with self._archive_errors(), contextlib.closing(connect(path, "immutable=1")) as connection:
            refuse_virtual(connection, chosen)

    def check_name(self, archive: Archive, database: str, table: str, name: str) -> str:
        """Anything of that name, also an index: they share their names; and a virtual table."""
        with self._reading(safe_target(str(real_path(database)))) as connection:
            refuse_taken(connection, database, name)
        self._refuse_virtual_of(archive, [table])
        return f"{name} comes without {LEFT_OUT}; its indexes get names of their own"

    def replace_part(
        self,
        change: PartChange,
        archive: Archive | None,  # noqa: ARG002  # the file beside has it all
        reporter: Reporter,
        announce: Announce,
    ) -> bool:
        """Replace the chosen tables in one transaction; the former ones are kept in a file beside."""
        live = safe_target(str(real_path(change.database)))
        safe_target(change.beside)
        with self._explained(live), _misfits(live):
            if change.name_as is not None:
                busy = float(self.settings.busy_timeout)
                place_table(change, change.name_as, live, announce, busy_seconds=busy)
                reporter.log(f"{change.tables[0]} of the backup is in {live} now, as {change.name_as}")
                self.drop_target(change.beside)
                return False
            busy = float(self.settings.busy_timeout)
            kept = replace_tables(change, live, announce, reporter, busy_seconds=busy)
        self.drop_target(change.beside)
        return kept

    def settle_part(self, mark: str, change: PartChange) -> Literal["old", "new"]:
        """One transaction did all of it, or nothing; what lies beside of the content that is in place goes.

        But what a restore has kept stays where it may not have been put back.
        """
        live = safe_target(str(real_path(change.database)))
        with self._explained(live):
            verdict, is_certain = settle_tables(mark, live, busy_seconds=float(self.settings.busy_timeout))
        if verdict == "old":
            self.drop_target(change.keep_as)
        elif is_certain or not change.back:
            self.drop_target(change.beside)
        return verdict

    def kept_archive(self, kept_as: str) -> Archive:
        """The kept file, which is a whole database."""
        return KeptDatabase(safe_target(kept_as))

    def settle_data(self, mark: str, database: str, keep_as: str) -> Literal["old", "new"]:
        """The rows are in a copy that took the place of the database, or did not."""
        return self.settle_swap(mark, self.beside_name(database, NEW_SUFFIX), database, keep_as)

    def archive_checksums(self, archive: Archive, selection: Selection, scratch_folder: Path) -> dict[str, str]:  # noqa: ARG002
        """The rows of the archive, which is a database itself."""
        with self._archive_errors():
            return file_checksums(archive.as_file(), selection.tables)

    def content_checksums(self, database: str, names: Sequence[str], scratch_folder: Path) -> dict[str, str]:  # noqa: ARG002
        """The rows of a file at rest."""
        with self._explained(real_path(database)):
            return file_checksums(real_path(database), names)

    def swap(self, new: str, current: str, keep_as: str, reporter: Reporter) -> None:
        """Put the restored file in place; refused while anybody has the old one open."""
        real = real_path(current)
        swap_database(safe_target(new), safe_target(str(real)), safe_target(keep_as), reporter)

    def unfit_to_swap(self, new: str) -> str:
        """A damaged database is kept with its side files, and nobody can tell what belongs together."""
        sides = [ending for ending in ("-wal", "-journal") if side_file(Path(new), ending).exists()]
        return f"{new} was damaged and is kept with its {' and '.join(sides)}" if sides else ""

    def check_kept(self, name: str) -> None:
        """Every page of the file."""
        check_file(safe_target(name), name)

    def swap_mark(self, new: str) -> str:
        """Its place on the disk, which a rename does not change."""
        return mark_of(safe_target(new))

    def settle_swap(self, mark: str, new: str, current: str, keep_as: str) -> Literal["old", "new"]:
        """Finish or take back, by what is where."""
        real = safe_target(str(real_path(current)))
        return settle_database(mark, safe_target(new), real, safe_target(keep_as))
