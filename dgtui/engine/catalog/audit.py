"""The audit log in the catalogue: a table that SQL itself refuses to change, each entry chained to the one before."""

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from dgtui.engine.catalog.database import Also, Database, time_text
from dgtui.engine.catalog.statements import ALL, Sql, rows_at_most, text_containing
from dgtui.engine.errors import CatalogDamaged, CatalogError
from dgtui.engine.notification_model import Actor, AuditEntry

_COLUMNS = "number, at, user, origin, program, action, object_kind, object_name, outcome, details, previous, hash"
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
_details = msgspec.json.Decoder()


class AuditTable:
    """Reads and adds entries; the chain itself is for `dgtui.engine.audit` to make and to prove."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def last(self) -> tuple[int, str] | None:
        """Number and hash of the newest entry; what else stands there is of no account for the next one."""
        rows = list(self._read(Sql("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1")))
        return (int(rows[0]["number"]), str(rows[0]["hash"])) if rows else None

    def add(self, entry: AuditEntry, also: Also | None = None) -> None:
        """Store an entry, and what `also` writes, or neither. Raises CatalogError, also where its number is taken."""
        with self._database.transaction() as connection:
            connection.insert("audit", _columns(entry))
            if also is not None:
                also(connection)

    def entries(self, *, since: datetime | None = None, limit: int | None = None) -> list[AuditEntry]:
        """Entries, the newest first."""
        chosen = _since(since)
        query = f"SELECT {_COLUMNS} FROM audit {chosen.where} ORDER BY number DESC LIMIT :limit"
        values = {**chosen.values, "limit": rows_at_most(limit)}
        return [_decoded(row) for row in self._read(Sql(query, values))]

    def count(self, *, since: datetime | None = None) -> int:
        """How many entries there are."""
        chosen = _since(since)
        with self._database.transaction() as connection:
            return int(connection.scalar(f"SELECT count(*) FROM audit {chosen.where}", chosen.values))

    def tells_of_execution(self, execution_id: str) -> bool:
        """Whether there is an entry of how a backup ended."""
        told = text_containing("details", f'"execution {execution_id}"')
        query = f"SELECT count(*) FROM audit WHERE object_kind = 'job' AND {told.text}"
        with self._database.transaction() as connection:
            return bool(connection.scalar(query, told.values))

    def all_in_order(self) -> Iterator[tuple[AuditEntry, str]]:
        """Every entry, the oldest first, with its time as it stands there; read as they are asked for."""
        for row in self._read(Sql(f"SELECT {_COLUMNS} FROM audit ORDER BY number")):
            yield _decoded(row), str(row["at"])

    def _read(self, query: Sql) -> Iterator[sqlite3.Row]:
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

    def _rows(self, query: Sql, text: Callable[[bytes], str] = str) -> Iterator[sqlite3.Row]:
        with self._database.transaction() as connection:
            connection.text_factory = text
            try:
                yield from connection.execute(query.text, query.values)
            finally:
                connection.text_factory = str


def _since(since: datetime | None) -> Sql:
    return ALL if since is None else Sql("at >= :since", {"since": time_text(since)})


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


def _decoded(row: sqlite3.Row) -> AuditEntry:
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
        return _unreadable(dict(row), error)


def _unreadable(row: dict[str, Any], error: msgspec.MsgspecError) -> AuditEntry:
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
