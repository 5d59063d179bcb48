"""The catalogue: executions, copies and restores, in SQLite through SQLAlchemy core.

It is a cache of what the manifests at the storages say, with what only this machine knows beside it: failed runs, the
state each copy was last found in, restores, and which storage carried which marker.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from dgtui.engine.errors import DataGuardianError
from dgtui.engine.locks import take_lock
from dgtui.engine.model import ENDED, RESTORABLE, Copy, Execution, Problem, Restore

SCHEMA_VERSION = 1
T = TypeVar("T", Execution, Copy)
_BUSY_SECONDS = 10

_metadata = sa.MetaData()

_meta = sa.Table("meta", _metadata, sa.Column("key", sa.String, primary_key=True), sa.Column("value", sa.String))

_executions = sa.Table(
    "executions",
    _metadata,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("execution_id", sa.String, nullable=False, unique=True),
    sa.Column("job_id", sa.String, nullable=False),
    sa.Column("job", sa.String, nullable=False, index=True),
    sa.Column("datasource", sa.String, nullable=False, index=True),
    sa.Column("datasource_type", sa.String, nullable=False),
    sa.Column("status", sa.String, nullable=False, index=True),
    sa.Column("backup_type", sa.String, nullable=False),
    sa.Column("started_at", sa.String, nullable=False, index=True),
    sa.Column("finished_at", sa.String),
    sa.Column("total_size_bytes", sa.Integer),
    sa.Column("compressed_size_bytes", sa.Integer),
    sa.Column("checksum", sa.String),
    sa.Column("folder", sa.String),
    sa.Column("manifest_sha256", sa.String),
    sa.Column("description", sa.String, nullable=False, default=""),
    sa.Column("expires_at", sa.String),
    sa.Column("warnings", sa.String, nullable=False, default="[]"),
    sa.Column("problem", sa.String),
    sa.Index("executions_of_folder", "job_id", "folder"),
    sqlite_autoincrement=True,
)

_copies = sa.Table(
    "copies",
    _metadata,
    sa.Column("execution_id", sa.String, primary_key=True),
    sa.Column("storage", sa.String, primary_key=True),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("path", sa.String, nullable=False),
    sa.Column("checked_at", sa.String),
    sa.Column("problem", sa.String),
)

_restores = sa.Table(
    "restores",
    _metadata,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("restore_id", sa.String, nullable=False, unique=True),
    sa.Column("execution_id", sa.String, nullable=False, index=True),
    sa.Column("status", sa.String, nullable=False, index=True),
    sa.Column("started_at", sa.String, nullable=False),
    sa.Column("record", sa.String, nullable=False),
    sqlite_autoincrement=True,
)

_storages = sa.Table(
    "storages",
    _metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("marker_id", sa.String, nullable=False),
)


class CatalogError(DataGuardianError):
    """The catalogue cannot be read or written."""


class Catalog:
    """Opens the catalogue under a state folder, making it at first use."""

    def __init__(self, state: Path) -> None:
        """Raises CatalogError, also where a newer version of the program wrote it."""
        self.path = state / "catalog.db"
        _make_private(self.path)
        self._engine = sa.create_engine(
            sa.URL.create("sqlite", database=str(self.path)), connect_args={"timeout": _BUSY_SECONDS}
        )
        sa.event.listen(self._engine, "connect", _configure_connection)
        version = self._schema_version()
        if version is None:
            # Two programs may meet a fresh state folder at once.
            with take_lock(state / "catalog.lock", purpose="making the catalogue", patience_seconds=_BUSY_SECONDS):
                version = self._schema_version() or self._make_tables()
        if version > SCHEMA_VERSION:
            raise CatalogError(
                f"The catalogue was written by a newer version (schema {version}, this one knows {SCHEMA_VERSION})",
                subject=str(self.path),
                hint="Install the newer dgtui, or set DGTUI_STATE to another folder and run dgtui scan",
            )

    def _schema_version(self) -> int | None:
        with self._transaction() as connection:
            if not sa.inspect(connection).has_table("meta"):
                return None
            return int(connection.scalar(sa.select(_meta.c.value).where(_meta.c.key == "schema_version")) or 0) or None

    def _make_tables(self) -> int:
        with self._transaction() as connection:
            _metadata.create_all(connection)
            connection.execute(insert(_meta).values(key="schema_version", value=str(SCHEMA_VERSION)))
        return SCHEMA_VERSION

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except sa.exc.DBAPIError as error:
            raise CatalogError(
                f"The catalogue cannot be used: {error.orig}",
                subject=str(self.path),
                hint="Is its disk full or read-only? A damaged one can be moved away and made anew with dgtui scan",
            ) from error

    def save_execution(self, execution: Execution) -> None:
        """Add an execution, or bring its row and its copies up to date."""
        values = {name: value for name, value in _encode(execution).items() if name not in ("copies", "sequence")}
        statement = insert(_executions).values(**values)
        with self._transaction() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["execution_id"], set_=values))
            for copy in execution.copies:
                _save_copy(connection, execution.execution_id, copy)

    def save_copy(self, execution_id: str, copy: Copy) -> None:
        """Store the state that a copy was found in."""
        with self._transaction() as connection:
            _save_copy(connection, execution_id, copy)

    def remove_copy(self, execution_id: str, storage: str) -> None:
        """Forget a copy that was deleted; an execution without any other is forgotten with it."""
        with self._transaction() as connection:
            connection.execute(
                sa.delete(_copies).where(_copies.c.execution_id == execution_id, _copies.c.storage == storage)
            )
            left = connection.scalar(
                sa.select(sa.func.count()).select_from(_copies).where(_copies.c.execution_id == execution_id)
            )
            if not left:
                connection.execute(sa.delete(_executions).where(_executions.c.execution_id == execution_id))

    def forget_execution(self, execution_id: str) -> None:
        """Remove an execution and what is known of its copies."""
        with self._transaction() as connection:
            connection.execute(sa.delete(_copies).where(_copies.c.execution_id == execution_id))
            connection.execute(sa.delete(_executions).where(_executions.c.execution_id == execution_id))

    def executions(
        self,
        *,
        job: str | None = None,
        datasource: str | None = None,
        status: str | None = None,
        limit: int | None = None,
    ) -> list[Execution]:
        """Executions with their copies, the newest first."""
        query = sa.select(_executions).order_by(_executions.c.started_at.desc(), _executions.c.sequence.desc())
        for column, wanted in (
            (_executions.c.job, job),
            (_executions.c.datasource, datasource),
            (_executions.c.status, status),
        ):
            if wanted is not None:
                query = query.where(column == wanted)
        return self._select_executions(query.limit(limit))

    def backup_counts(self) -> dict[str, int]:
        """How many restorable executions each datasource has."""
        query = sa.select(_executions.c.datasource, sa.func.count()).group_by(_executions.c.datasource)
        with self._transaction() as connection:
            rows = connection.execute(query.where(_executions.c.status.in_(sorted(RESTORABLE)))).all()
        return {str(datasource): int(count) for datasource, count in rows}

    def storage_usage(self) -> dict[str, tuple[int, int]]:
        """Number and bytes of the backups at each storage."""
        query = (
            sa.select(_copies.c.storage, sa.func.count(), sa.func.sum(_executions.c.compressed_size_bytes))
            .join(_executions, _executions.c.execution_id == _copies.c.execution_id)
            .where(_copies.c.path != "", _copies.c.status != "missing", _executions.c.status.in_(sorted(RESTORABLE)))
            .group_by(_copies.c.storage)
        )
        with self._transaction() as connection:
            return {storage: (count, size or 0) for storage, count, size in connection.execute(query)}

    def unfinished(self) -> list[Execution]:
        """Executions that are recorded as not ended."""
        return self._select_executions(sa.select(_executions).where(_executions.c.status.not_in(sorted(ENDED))))

    def execution(self, execution_id: str) -> Execution | None:
        """One execution by its whole id."""
        found = self._select_executions(sa.select(_executions).where(_executions.c.execution_id == execution_id))
        return found[0] if found else None

    def executions_by_prefix(self, prefix: str) -> list[Execution]:
        """Executions whose id begins with these characters."""
        query = sa.select(_executions).where(_executions.c.execution_id.startswith(prefix, autoescape=True))
        return self._select_executions(query.order_by(_executions.c.sequence.desc()).limit(10))

    def _select_executions(self, query: sa.Select[Any]) -> list[Execution]:
        with self._transaction() as connection:
            rows = connection.execute(query).mappings().all()
            copies: dict[str, list[Copy]] = {}
            ids = [row["execution_id"] for row in rows]
            for start in range(0, len(ids), 500):
                chosen = sa.select(_copies).where(_copies.c.execution_id.in_(ids[start : start + 500]))
                for row in connection.execute(chosen.order_by(_copies.c.storage)).mappings():
                    copies.setdefault(row["execution_id"], []).append(_decode(Copy, row))
        return [_decode(Execution, row, copies=copies.get(row["execution_id"], [])) for row in rows]

    def save_restore(self, restore: Restore) -> None:
        """Add a restore, or bring it up to date."""
        values = {
            "restore_id": restore.restore_id,
            "execution_id": restore.execution_id,
            "status": restore.status,
            "started_at": _time_text(restore.started_at),
            "record": msgspec.json.encode(restore).decode(),
        }
        statement = insert(_restores).values(**values)
        with self._transaction() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["restore_id"], set_=values))

    def restores(self, execution_id: str | None = None) -> list[Restore]:
        """Restores, the newest first."""
        query = sa.select(_restores.c.record).order_by(_restores.c.sequence.desc())
        if execution_id is not None:
            query = query.where(_restores.c.execution_id == execution_id)
        with self._transaction() as connection:
            return [msgspec.json.decode(record, type=Restore) for record in connection.scalars(query)]

    def storage_marker(self, storage: str) -> str | None:
        """The id of the marker that a storage carried when it was last used."""
        with self._transaction() as connection:
            return connection.scalar(sa.select(_storages.c.marker_id).where(_storages.c.name == storage))

    def save_storage_marker(self, storage: str, marker_id: str) -> None:
        """Remember the marker of a storage."""
        statement = insert(_storages).values(name=storage, marker_id=marker_id)
        with self._transaction() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"marker_id": marker_id}))


def _make_private(path: Path) -> None:
    """Make the file before SQLite does: its journals take over the mode that it has.

    An existing one is never opened here: closing it would free the locks that SQLite holds on it in this process.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise CatalogError(
            f"The catalogue cannot be used: {error.strerror}",
            subject=str(path),
            hint="Is its disk full or read-only? DGTUI_STATE names another folder",
        ) from error


def _configure_connection(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")


def _save_copy(connection: sa.Connection, execution_id: str, copy: Copy) -> None:
    values = {"execution_id": execution_id, **_encode(copy)}
    statement = insert(_copies).values(**values)
    connection.execute(statement.on_conflict_do_update(index_elements=["execution_id", "storage"], set_=values))


def _time_text(moment: datetime) -> str:
    """A time as text that sorts by time."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _encode(record: Execution | Copy) -> dict[str, Any]:
    """The columns of a row; what is not plain becomes JSON."""
    columns: dict[str, Any] = {}
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if isinstance(value, datetime):
            value = _time_text(value)
        elif isinstance(value, Problem | tuple):
            value = msgspec.json.encode(value).decode()
        columns[name] = value
    return columns


def _decode(kind: type[T], row: sa.RowMapping, *, copies: Sequence[Copy] = ()) -> T:
    values = {name: row[name] for name in kind.__struct_fields__ if name in row}
    for name in ("warnings", "problem"):
        if values.get(name) is not None:
            values[name] = msgspec.json.decode(values[name])
    if kind is Execution:
        values["copies"] = msgspec.to_builtins(tuple(copies))
    return msgspec.convert(values, kind)
