"""The audit log in the catalogue: a table that SQL itself refuses to change, each entry chained to the one before."""

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from dgtui.engine.catalog.database import Also, Database, time_text
from dgtui.engine.catalog.tables import metadata
from dgtui.engine.errors import CatalogDamaged, CatalogError
from dgtui.engine.notification_model import Actor, AuditEntry

_Query = sa.Select[*tuple[Any, ...]]
_Row = sa.Row[*tuple[Any, ...]]
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
_details = msgspec.json.Decoder()

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("at", sa.String, nullable=False, index=True),
    sa.Column("user", sa.String, nullable=False),
    sa.Column("origin", sa.String, nullable=False),
    sa.Column("program", sa.String, nullable=False),
    sa.Column("action", sa.String, nullable=False),
    sa.Column("object_kind", sa.String, nullable=False),
    sa.Column("object_name", sa.String, nullable=False),
    sa.Column("outcome", sa.String, nullable=False),
    sa.Column("details", sa.String, nullable=False),
    sa.Column("previous", sa.String, nullable=False),
    sa.Column("hash", sa.String, nullable=False),
)
_AT = audit.c.keys().index("at")


@sa.event.listens_for(audit, "after_create")
def _refuse_changes(_table: sa.Table, connection: sa.Connection, **_: Any) -> None:
    for change in ("UPDATE", "DELETE"):
        connection.exec_driver_sql(
            f"CREATE TRIGGER IF NOT EXISTS audit_refuses_{change.lower()} BEFORE {change} ON audit "
            "BEGIN SELECT RAISE(ABORT, 'the audit log is only ever added to'); END"
        )


class AuditTable:
    """Reads and adds entries; the chain itself is for `dgtui.engine.audit` to make and to prove."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def last(self) -> tuple[int, str] | None:
        """Number and hash of the newest entry; what else stands there is of no account for the next one."""
        query = sa.select(audit.c.number, audit.c.hash).order_by(audit.c.number.desc()).limit(1)
        rows = list(self._read(query))
        return (int(rows[0].number), str(rows[0].hash)) if rows else None

    def add(self, entry: AuditEntry, also: Also | None = None) -> None:
        """Store an entry, and what `also` writes, or neither. Raises CatalogError, also where its number is taken."""
        with self._database.transaction() as connection:
            connection.execute(sa.insert(audit).values(**_columns(entry)))
            if also is not None:
                also(connection)

    def entries(self, *, since: datetime | None = None, limit: int | None = None) -> list[AuditEntry]:
        """Entries, the newest first."""
        query = sa.select(audit).order_by(audit.c.number.desc()).limit(limit)
        if since is not None:
            query = query.where(audit.c.at >= time_text(since))
        return [_decoded(row) for row in self._read(query)]

    def count(self, *, since: datetime | None = None) -> int:
        """How many entries there are."""
        query = sa.select(sa.func.count()).select_from(audit)
        if since is not None:
            query = query.where(audit.c.at >= time_text(since))
        with self._database.transaction() as connection:
            return connection.scalar(query) or 0

    def tells_of_execution(self, execution_id: str) -> bool:
        """Whether there is an entry of how a backup ended."""
        query = sa.select(sa.func.count()).select_from(audit)
        query = query.where(audit.c.object_kind == "job", audit.c.details.contains(f'"execution {execution_id}"'))
        with self._database.transaction() as connection:
            return bool(connection.scalar(query))

    def all_in_order(self) -> Iterator[tuple[AuditEntry, str]]:
        """Every entry, the oldest first, with its time as it stands there; read as they are asked for."""
        for row in self._read(sa.select(audit).order_by(audit.c.number)):
            yield _decoded(row), str(row[_AT])

    def _read(self, query: _Query) -> Iterator[_Row]:
        """Rows as they are asked for; where somebody wrote bytes that are no text, what they look like."""
        given = 0
        try:
            for row in self._rows(query):
                given += 1
                yield row
        except CatalogDamaged:
            raise
        except CatalogError:
            # Only now: it takes its time for each text.
            yield from itertools.islice(self._rows(query, text=_any_text), given, None)

    def _rows(self, query: _Query, text: Callable[[bytes], str] = str) -> Iterator[_Row]:
        with self._database.transaction() as connection:
            driver: Any = connection.connection.driver_connection
            driver.text_factory = text
            try:
                yield from connection.execution_options(yield_per=1000).execute(query)
            finally:
                driver.text_factory = str


def _any_text(raw: bytes) -> str:
    """Never what text can be, where it is none: its hash fits nothing."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return f"no text: {raw!r}"


def _columns(entry: AuditEntry) -> dict[str, Any]:
    values = {name: getattr(entry, name) for name in AuditEntry.__struct_fields__ if name != "actor"}
    return {
        **values,
        "at": time_text(entry.at),
        "user": entry.actor.user,
        "origin": entry.actor.origin,
        "program": entry.actor.program,
        "details": msgspec.json.encode(entry.details).decode(),
    }


def _decoded(row: _Row) -> AuditEntry:
    # Taken apart at once: to ask a row for all its columns by their names takes longer than to read it.
    number, at, user, origin, program, action, object_kind, object_name, outcome, details, previous, sealed = row
    try:
        values = {
            "number": number,
            "at": at,
            "action": action,
            "object_kind": object_kind,
            "object_name": object_name,
            "outcome": outcome,
            "previous": previous,
            "hash": sealed,
            "details": _details.decode(details),
            "actor": {"user": user, "origin": origin, "program": program},
        }
        return msgspec.convert(values, AuditEntry)
    except msgspec.MsgspecError as error:
        return _unreadable(row._mapping, error)


def _unreadable(row: sa.RowMapping, error: msgspec.MsgspecError) -> AuditEntry:
    """What is left of an entry that nobody wrote like this; its hash fits none of it."""
    texts = {name: str(row[name]) for name in row if name not in ("number", "at", "details")}
    try:
        at = datetime.fromisoformat(row["at"]).astimezone(UTC)
    except (TypeError, ValueError):
        at = _NO_TIME
    return AuditEntry(
        number=row["number"],
        at=at,
        actor=Actor(user=texts["user"], origin=texts["origin"], program=texts["program"]),
        **{name: texts[name] for name in ("action", "object_kind", "object_name", "outcome", "previous", "hash")},
        details=(f"Somebody has changed this entry, it cannot be read: {error}",),
    )
