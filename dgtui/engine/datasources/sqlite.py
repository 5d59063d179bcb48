"""SQLite: a database in a file.

The dump is a copy of one consistent moment, made in the run's scratch folder (see `sqlite_snapshot`) and checked there
by SQLite itself while its bytes are on their way.
"""

import contextlib
import os
import shlex
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import msgspec

from dgtui.engine.child import printable
from dgtui.engine.datasources.answer import HealthAnswer
from dgtui.engine.datasources.base import (
    Announce,
    Archive,
    ArchiveCheck,
    Datasource,
    DatasourceSettings,
    Dump,
    DumpOptions,
    LoadOutcome,
    Probe,
    Selection,
    TargetState,
)
from dgtui.engine.datasources.places import (
    NEW_SUFFIX,
    beside,
    copy_ownership,
    free_bytes,
    holders,
    mark_of,
    need_parent,
    need_room,
    real_path,
    safe_target,
)
from dgtui.engine.datasources.sqlite_check import (
    CheckDepth,
    HeaderCheck,
    ThoroughCheck,
    check_file,
    damaged,
    shown_name,
    table_bytes,
    table_names,
    table_objects,
)
from dgtui.engine.datasources.sqlite_contents import file_checksums
from dgtui.engine.datasources.sqlite_data import KeptDatabase, load_rows
from dgtui.engine.datasources.sqlite_dump import (
    SqliteDump,
    copy_progress,
    explain,
    part_of,
    reading_parameters,
    size_of,
)
from dgtui.engine.datasources.sqlite_health import ask_sqlite
from dgtui.engine.datasources.sqlite_locks import shared_lock
from dgtui.engine.datasources.sqlite_part import replace_tables, settle_tables
from dgtui.engine.datasources.sqlite_restore import load_part, need_empty, write_archive
from dgtui.engine.datasources.sqlite_snapshot import (
    MAGIC,
    SIDE_FILES,
    connect,
    open_source,
    side_file,
    take_snapshot,
)
from dgtui.engine.datasources.sqlite_swap import clear_orphans, refuse_open, settle_database, swap_database
from dgtui.engine.errors import DataGuardianError, RestoreError, ValidationError
from dgtui.engine.files import file_error, fsync_folder
from dgtui.engine.model import ObjectInfo, PartChange, ToolVersion
from dgtui.engine.properties import DatabaseProperties, DatabaseSetting
from dgtui.engine.reporting import Reporter
from dgtui.engine.settings import Duration

_LOOK_SECONDS = 0.1
_PRAGMAS = ("page_size", "auto_vacuum", "journal_mode", "user_version", "application_id")
"""Those whose value is kept in the file itself."""


class SqliteSettings(DatasourceSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of an SQLite datasource."""

    path: Annotated[str, msgspec.Meta(description="The database file", min_length=1)]
    busy_timeout: Annotated[Duration, msgspec.Meta(description="How long to wait for a locked database")] = Duration(10)
    integrity_check: Annotated[
        CheckDepth,
        msgspec.Meta(description="At each backup: every index against its table (full), or pages alone (quick)"),
    ] = "full"


class SqliteDatasource(Datasource[SqliteSettings]):
    """One SQLite file."""

    kind: ClassVar[str] = "sqlite"
    part_words: ClassVar[str] = "in one transaction under the file's lock; other writers wait meanwhile"
    label: ClassVar[str] = "SQLite"
    archive_format: ClassVar[str] = "db"
    copies_first = True
    loads_data = True
    loads_data_beside = True
    keeps_former_data = True
    swap_words: ClassVar[str] = "a rename of the file"
    writers_at_swap: ClassVar[str] = "nobody may have the file open: the swap is refused while another program does"
    settings_type: ClassVar[type[DatasourceSettings]] = SqliteSettings
    options: ClassVar[frozenset[str]] = frozenset({"schema_only", "tables", "exclude_tables"})

    @property
    def database(self) -> str:
        """The path of the file."""
        return str(Path(self.settings.path).expanduser())

    @property
    def _source(self) -> Path:
        # SQLite itself follows links, and names -wal and -journal after the file they lead to.
        return real_path(self.database)

    def probe(self, options: DumpOptions | None = None) -> Probe:
        """Look at the file; nothing is left beside it."""
        source = self._source
        with self._reading(source, options.scratch_folder if options else "") as connection:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            size = pages * connection.execute("PRAGMA page_size").fetchone()[0]
            objects = table_objects(connection, seconds=_LOOK_SECONDS)
            sizes = table_bytes(connection, seconds=_LOOK_SECONDS)
            properties = _properties(connection)
        return Probe(
            product=f"SQLite {sqlite3.sqlite_version}",
            version=sqlite3.sqlite_version,
            size_bytes=size,
            objects=tuple(msgspec.structs.replace(entry, bytes=sizes.get(entry.name)) for entry in objects),
            clients=holders(source),
            estimated_dump_bytes=size,
            estimate_kind="estimated",
            tool=ToolVersion(name="sqlite3 (library)", path="", version=sqlite3.sqlite_version),
            properties=properties,
        )

    @contextlib.contextmanager
    def _reading(self, source: Path, scratch_folder: str = "") -> Iterator[sqlite3.Connection]:
        """A connection that looks at a database without leaving anything beside it."""
        busy = float(self.settings.busy_timeout)
        with contextlib.ExitStack() as stack:
            path, parameters = source, reading_parameters(source)
            if parameters == "copy":
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="look-", dir=scratch_folder or None))
                path, parameters = Path(folder) / "look.db", "immutable=1"
                with self._explained(source):
                    take_snapshot(source, path, busy_seconds=busy, progress=lambda _done, _total: None)
            elif parameters == "immutable=1":
                # Only while nobody is writing can a file be taken for unchangeable.
                descriptor = open_source(source)
                stack.callback(os.close, descriptor)
                stack.enter_context(shared_lock(descriptor, source, busy))
            with self._explained(source):
                connection = stack.enter_context(contextlib.closing(connect(path, parameters, busy_seconds=busy)))
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
                yield connection

    @contextlib.contextmanager
    def _explained(self, source: Path) -> Iterator[None]:
        """Turn what SQLite says into our errors."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise explain(error, source, float(self.settings.busy_timeout)) from error

    def health(self, seconds: float) -> HealthAnswer:
        """Open the file and read its first page."""
        return ask_sqlite(self._source, seconds)

    def missing_rights(self) -> tuple[str, ...]:
        """What keeps us from reading the file."""
        source = self._source
        name = shlex.quote(str(source))
        lacking = []
        if source.exists() and not os.access(source, os.R_OK):
            lacking.append(f"setfacl -m u:{os.geteuid()}:r -- {name}")
        return tuple(lacking)

    def open_dump(self, probe: Probe, options: DumpOptions, reporter: Reporter) -> Dump:
        """Copy one moment of the database into the scratch folder, and stream that.

        It returns when the copy stands: from there on nothing at the source can disturb it, or is disturbed by it.
        """
        source = self._source
        folder = Path(options.scratch_folder or tempfile.gettempdir())
        copy = folder / f"copy-{os.getpid()}-{os.urandom(4).hex()}.db"
        try:
            with self._explained(source):
                take_snapshot(
                    source,
                    copy,
                    busy_seconds=float(self.settings.busy_timeout),
                    progress=copy_progress(source, reporter),
                )
                copy = part_of(copy, options)
            reporter.log(f"Copied one moment of {source}: {copy.stat().st_size:,} bytes; SQLite checks it meanwhile")
            reporter.current_object(printable(source.name))
            sizes = {entry.name: entry.bytes for entry in probe.objects if entry.bytes is not None}
            with self._explained(source):
                return SqliteDump(copy, source, sizes, self.settings.integrity_check)
        except BaseException:
            for ending in ("", *SIDE_FILES):
                side_file(copy, ending).unlink(missing_ok=True)
            raise

    @classmethod
    def archive_check(cls, scratch_folder: Path) -> ArchiveCheck:
        """SQLite's own check of every page, in a scratch file."""
        return ThoroughCheck(scratch_folder)

    @classmethod
    def live_check(cls, scratch_folder: Path) -> ArchiveCheck:  # noqa: ARG003
        """Header and length: the dump itself lets SQLite check every page of its copy."""
        return HeaderCheck()

    def archive_objects(self, archive: Archive) -> tuple[str, ...]:
        """The names of the tables."""
        with self._archive_errors(), contextlib.closing(connect(archive.as_file(), "immutable=1")) as connection:
            return tuple(shown_name(name) for name in table_names(connection))

    @contextlib.contextmanager
    def _archive_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise damaged("The archive", (printable(str(error)),)) from error

    def target_state(self, database: str) -> TargetState:
        """Look at a path; what cannot be read counts as content all the same."""
        target = real_path(database)
        free = free_bytes(target)
        if not target.exists():
            return TargetState(exists=False, free_bytes=free)
        size = sum(size_of(side_file(target, ending)) for ending in ("", *SIDE_FILES))
        return TargetState(
            exists=True, objects=self._content(target, size), clients=holders(target), size_bytes=size, free_bytes=free
        )

    def _content(self, target: Path, size: int) -> tuple[ObjectInfo, ...]:
        if size == 0 and target.is_file():
            return ()
        try:
            with self._reading(target) as connection:
                return table_objects(connection, seconds=_LOOK_SECONDS)
        except DataGuardianError:
            return (ObjectInfo(name=target.name, bytes=size),)

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
    ) -> LoadOutcome:
        """Load the rows into a copy of the database, which then takes its place."""
        target = safe_target(str(real_path(database)))
        with self._explained(target):
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

    def inventory(self, database: str) -> tuple[ObjectInfo, ...]:
        """The tables with their rows, counted."""
        with self._reading(real_path(database)) as connection:
            return table_objects(connection)

    def replace_part(
        self,
        change: PartChange,
        archive: Archive | None,  # noqa: ARG002  # the file beside has it all
        reporter: Reporter,  # noqa: ARG002
        announce: Announce,
    ) -> bool:
        """Replace the chosen tables in one transaction; nothing of them is kept."""
        live = safe_target(str(real_path(change.database)))
        safe_target(change.beside)
        with self._explained(live):
            replace_tables(change, live, announce, busy_seconds=float(self.settings.busy_timeout))
        self.drop_target(change.beside)
        return False

    def settle_part(self, mark: str, change: PartChange) -> Literal["old", "new"]:
        """One transaction did all of it, or nothing."""
        live = safe_target(str(real_path(change.database)))
        with self._explained(live):
            return settle_tables(mark, live, busy_seconds=float(self.settings.busy_timeout))

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

    def manual_restore(
        self,
        archive_file: str,
        database: str,
        properties: DatabaseProperties | None = None,  # noqa: ARG002
        *,
        rows_only: bool = False,  # noqa: ARG002
    ) -> Sequence[str]:
        """Check, move the old file with its side files away, copy."""
        archive, target, before = (shlex.quote(name) for name in (archive_file, database, f"{database}.before"))
        return (
            "# sqlite3 ends well whatever it finds: only the word ok means that all is well.",
            f"found=$(sqlite3 {archive} 'PRAGMA integrity_check')",
            """[ "$found" = ok ] || { printf '%s\\n' "$found" >&2; false; }""",
            "# A former run of these commands may have kept something under this name.",
            'for side in "" -wal -shm -journal; do',
            f'  if [ -e {before}"$side" ]; then',
            f"""    printf '%s is in the way: move it away\\n' {before}"$side" >&2; false""",
            "  fi",
            "done",
            "# Stop every program that uses the database; `fuser -v FILE` names them.",
            "# The old -wal has to go with the old file: beside the restored one it would undo the restore.",
            'for side in "" -wal -shm -journal; do',
            f'  if [ -e {target}"$side" ]; then mv -- {target}"$side" {before}"$side"; fi',
            "done",
            f"cp -- {archive} {target}",
            f"if [ -e {before} ]; then",
            f"  chmod --reference={before} -- {target} && chown --reference={before} -- {target}",
            "fi",
        )


def _properties(connection: sqlite3.Connection) -> DatabaseProperties:
    """What the file says of itself; a restore brings it back with the file."""
    return DatabaseProperties(
        encoding=connection.execute("PRAGMA encoding").fetchone()[0],
        settings=tuple(
            DatabaseSetting(name=name, value=str(connection.execute(f"PRAGMA {name}").fetchone()[0]))
            for name in _PRAGMAS
        ),
    )
