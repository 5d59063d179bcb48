"""SQLite: a database in a file.

The dump is a copy of one consistent moment, made in the run's scratch folder (see `sqlite_snapshot`) and checked there
by SQLite itself while its bytes are on their way.
"""

import os
import shlex
import sqlite3
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import msgspec

from dgtui.engine.child import printable
from dgtui.engine.datasources.answer import HealthAnswer
from dgtui.engine.datasources.datasource_settings import DatasourceSettings
from dgtui.engine.datasources.dumping import WHOLE, ArchiveCheck, Dump, DumpOptions, Probe
from dgtui.engine.datasources.places import (
    holders,
)
from dgtui.engine.datasources.sqlite_check import (
    HeaderCheck,
    ThoroughCheck,
    table_bytes,
    table_objects,
)
from dgtui.engine.datasources.sqlite_dump import (
    SqliteDump,
    copy_progress,
    part_of,
)
from dgtui.engine.datasources.sqlite_file import SqliteSettings
from dgtui.engine.datasources.sqlite_health import ask_sqlite
from dgtui.engine.datasources.sqlite_snapshot import (
    SIDE_FILES,
    side_file,
    take_snapshot,
)
from dgtui.engine.datasources.sqlite_target import SqliteTarget
from dgtui.engine.model import ToolVersion
from dgtui.engine.properties import DatabaseProperties, DatabaseSetting
from dgtui.engine.reporting import Reporter

_LOOK_SECONDS = 0.1
_PRAGMAS = ("page_size", "auto_vacuum", "journal_mode", "user_version", "application_id")
"""Those whose value is kept in the file itself."""


class SqliteDatasource(SqliteTarget):
    """One SQLite file."""

    kind: ClassVar[str] = "sqlite"
    part_words: ClassVar[str] = (
        "in one transaction under the file's lock; other writers wait meanwhile; the former tables are kept beside"
    )
    keeps_former_part: ClassVar[bool] = True
    label: ClassVar[str] = "SQLite"
    new_target: ClassVar[str] = "new file"
    archive_format: ClassVar[str] = "db"
    copies_first = True
    loads_data = True
    loads_data_beside = True
    keeps_former_data = True
    swap_words: ClassVar[str] = "a rename of the file"
    beside_words: ClassVar[str] = "in one transaction under the file's lock; other writers wait meanwhile"
    writers_at_swap: ClassVar[str] = "nobody may have the file open: the swap is refused while another program does"
    settings_type: ClassVar[type[DatasourceSettings]] = SqliteSettings
    options: ClassVar[frozenset[str]] = frozenset({"schema_only", "tables", "exclude_tables", "name_as"})

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

    def health(self, seconds: float) -> HealthAnswer:
        """Open the file and read its first page."""
        return ask_sqlite(self._source, seconds)

    def missing_rights(self) -> tuple[str, ...]:
        """What keeps us from reading the file."""
        source = self._source
        name = shlex.quote(str(source))
        lacking = []
        if os.access(source, os.F_OK) and not os.access(source, os.R_OK):
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

    def manual_restore(
        self,
        archive_file: str,
        database: str,
        properties: DatabaseProperties | None = None,  # noqa: ARG002
        dumped: DumpOptions = WHOLE,
    ) -> Sequence[str]:
        """Check, move the old file with its side files away, copy."""
        archive, target, before = (shlex.quote(name) for name in (archive_file, database, f"{database}.before"))
        return (
            "# sqlite3 ends well whatever it finds: only the word ok means that all is well.",
            f"found=$(sqlite3 {archive} 'PRAGMA integrity_check')",
            """[ "$found" = ok ] || { printf '%s\\n' "$found" >&2; false; }""",
            *(_not_over_the_whole(archive, target) if dumped.tables or dumped.exclude_tables else ()),
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


def _not_over_the_whole(archive: str, target: str) -> tuple[str, ...]:
    """A file with chosen tables alone is no substitute for one that has them all."""
    return (
        "# This backup holds chosen tables alone: in the place of the database it would take all others away.",
        f"if [ -e {target} ]; then",
        """  printf '%s is there, and has tables that this backup leaves out: copy from %s with ATTACH\\n' \\""",
        f"""    {target} "$PWD"/{archive} >&2; false""",
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
