"""An SQLite file: what is configured of it, and looking into it."""

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, ClassVar

import msgspec

from dgtui.engine.datasources.base import Datasource
from dgtui.engine.datasources.datasource_settings import DatasourceSettings, SettingRules, path_mistake
from dgtui.engine.datasources.loading import TargetState
from dgtui.engine.datasources.places import free_bytes, holders, need_sight, real_path
from dgtui.engine.datasources.sqlite_check import CheckDepth, quoted, shown_name, table_names, table_objects
from dgtui.engine.datasources.sqlite_dump import explain, reading_parameters, size_of
from dgtui.engine.datasources.sqlite_locks import shared_lock
from dgtui.engine.datasources.sqlite_snapshot import SIDE_FILES, connect, open_source, side_file, take_snapshot
from dgtui.engine.errors import DataGuardianError
from dgtui.engine.model import ObjectInfo
from dgtui.engine.settings import Duration

_LOOK_SECONDS = 0.1


class SqliteSettings(DatasourceSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of an SQLite datasource."""

    rules: ClassVar[SettingRules] = {**DatasourceSettings.rules, "path": path_mistake}

    path: Annotated[str, msgspec.Meta(description="The database file", min_length=1)]
    busy_timeout: Annotated[Duration, msgspec.Meta(description="How long to wait for a locked database")] = Duration(10)
    integrity_check: Annotated[
        CheckDepth,
        msgspec.Meta(description="At each backup: every index against its table (full), or pages alone (quick)"),
    ] = "full"

    @property
    def source(self) -> str:
        """The file."""
        return self.path


class SqliteFile(Datasource[SqliteSettings]):
    """What the adapter sees in a file, leaving nothing beside it."""

    @property
    def database(self) -> str:
        """The path of the file."""
        return str(Path(self.settings.path).expanduser())

    @property
    def _source(self) -> Path:
        # SQLite itself follows links, and names -wal and -journal after the file they lead to.
        return real_path(self.database)

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

    def target_state(self, database: str) -> TargetState:
        """Look at a path; what cannot be read counts as content all the same."""
        target = real_path(database)
        free = free_bytes(target)
        need_sight(target)
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

    def inventory(self, database: str) -> tuple[ObjectInfo, ...]:
        """The tables with their rows, counted."""
        with self._reading(real_path(database)) as connection:
            return table_objects(connection)

    def holding_rows(self, database: str, names: Sequence[str]) -> tuple[str, ...]:
        """Asks each for its first row."""
        with self._reading(real_path(database)) as connection:
            there = [name for name in table_names(connection) if shown_name(name) in names]
            return tuple(
                shown_name(name)
                for name in there
                if connection.execute(f"SELECT 1 FROM main.{quoted(name)} LIMIT 1").fetchone() is not None  # noqa: S608
            )
