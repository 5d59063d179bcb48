"""The audit log: who did what, to which object, and how it ended; made so that a change shows.

Each entry holds the hash of the one before. The hash of an entry is the SHA-256, in hexadecimal digits, of these
fields as JSON with the keys in alphabetical order, no blanks, and text as UTF-8:

    {"action", "at", "details", "number", "object_kind", "object_name", "origin", "outcome", "previous", "program",
     "user"}

`at` is as the table holds it (`2025-02-13T06:00:01.000000Z`), `details` a list of texts, `number` counts from 1
without a gap, and `previous` of the first entry is 64 zeros. In Python, of an entry `e` without its hash:
`sha256(json.dumps(e, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()`.

The number and hash of the newest entry also stand in the file `audit-head.json` beside the catalogue, so that a tail
that was cut off shows. Who may write both can forge both: to be safe from the machine's own root, send the output of
`dgtui audit --verify --json` to another machine from time to time.
"""

import contextlib
import hashlib
import os
import pwd
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from dgtui.engine.catalog import Database
from dgtui.engine.catalog.audit import AuditTable
from dgtui.engine.catalog.database import Also, time_text
from dgtui.engine.child import printable
from dgtui.engine.errors import CatalogError, PermissionDenied, StorageError
from dgtui.engine.files import write_durably
from dgtui.engine.locks import take_lock
from dgtui.engine.messages import now
from dgtui.engine.model import Record
from dgtui.engine.notification_model import Actor, AuditEntry

FIRST_PREVIOUS = "0" * 64
HEAD_NAME = "audit-head.json"
DAEMON_VARIABLE = "DGTUI_STARTED_BY_DAEMON"
"""Set by the daemon for itself and the workers that it starts: what they do, nobody asked for by hand."""
_LOCK_SECONDS = 20.0
_encoder = msgspec.json.Encoder()


class Head(Record, frozen=True):
    """The newest entry, as it is written down in a second place."""

    number: int
    hash: str


class Damage(Record, frozen=True):
    """A place where the audit log is not what was written."""

    number: int
    """The entry at which it shows; 0 where it is not one entry."""
    kind: Literal["changed", "removed", "chain broken", "tail cut", "head missing", "head damaged"]
    text: str


class Verdict(Record, frozen=True):
    """What a check of the whole audit log found."""

    entries: int
    head: str
    """Hash of the newest entry: to compare with one that was noted elsewhere."""
    damage: tuple[Damage, ...] = ()


class HeadNotWritten(StorageError):
    """An entry is in the audit log, and `audit-head.json` does not know it yet."""


def append_audit(
    catalog: Database,
    action: str,
    *,
    object_kind: str,
    object_name: str,
    outcome: str,
    details: Sequence[str] = (),
    actor: Actor | None = None,
    at: datetime | None = None,
    also: Also | None = None,
) -> AuditEntry:
    """Add an entry; `actor` is who runs this process where it is not given. Raises CatalogError, StorageError, JobBusy.

    What `also` writes into the catalogue is there if, and only if, the entry is; it is too where HeadNotWritten is
    raised. No text may hold a secret.
    """
    folder = catalog.path.parent
    with take_lock(folder / "locks" / "audit.lock", purpose="writing the audit log", patience_seconds=_LOCK_SECONDS):
        table = AuditTable(catalog)
        number, last_hash = table.last() or (0, FIRST_PREVIOUS)
        last = Head(number=number, hash=last_hash)
        with contextlib.suppress(CatalogError):
            # Where entries were cut off, the new one stands behind the gap: it must not close it.
            last = max(last, read_head(folder) or last, key=lambda head: head.number)
        entry = _sealed(
            AuditEntry(
                number=last.number + 1,
                at=at or now(),
                actor=actor or current_actor(),
                action=action,
                object_kind=object_kind,
                object_name=_plain(object_name),
                outcome=outcome,
                details=tuple(_plain(line) for line in details),
                previous=last.hash,
                hash="",
            )
        )
        table.add(entry, also)
        _write_head(folder, Head(number=entry.number, hash=entry.hash))
    return entry


def _write_head(folder: Path, head: Head) -> None:
    try:
        write_durably(folder / HEAD_NAME, msgspec.json.encode(head))
    except StorageError as error:
        # A full disk often takes an entry, for which the catalogue has room set aside, and no new file.
        raise HeadNotWritten(
            f"{error.message}. The entry itself is written", subject=error.subject, hint=error.hint
        ) from error


def verify_audit(catalog: Database) -> Verdict:
    """Read the whole log and find what was changed, removed, put in or put elsewhere. Raises CatalogError."""
    folder = catalog.path.parent
    with _nobody_writing(folder):
        last: Head | AuditEntry = Head(number=0, hash=FIRST_PREVIOUS)
        at_head = FIRST_PREVIOUS
        damage: list[Damage] = []
        try:
            head = read_head(folder)
        except CatalogError as error:
            head = None
            damage.append(Damage(number=0, kind="head damaged", text=error.message))
        count = 0
        for entry, at in AuditTable(catalog).all_in_order():
            damage += _damage_of(entry, at, last)
            count += 1
            last = entry
            if head is not None and entry.number == head.number:
                at_head = entry.hash
        damage += _damage_of_head(head, last, at_head, known_damaged=bool(damage and damage[0].kind == "head damaged"))
    return Verdict(entries=count, head=last.hash, damage=tuple(damage))


@contextlib.contextmanager
def _nobody_writing(folder: Path) -> Iterator[None]:
    """Between an entry and its head nobody else may look."""
    path = folder / "locks" / "audit.lock"
    with contextlib.ExitStack() as held:
        # Where no lock can be written, no entry can.
        with contextlib.suppress(StorageError, PermissionDenied):
            held.enter_context(take_lock(path, purpose="checking the audit log", patience_seconds=_LOCK_SECONDS))
        yield


def read_head(folder: Path) -> Head | None:
    """The newest entry as the file beside the catalogue says; None where there is none. Raises CatalogError."""
    path = folder / HEAD_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Head)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise CatalogError(f"{path} cannot be read: {error}", subject=str(path)) from None


def current_actor() -> Actor:
    """Who runs this process."""
    connection = os.environ.get("SSH_CLIENT") or os.environ.get("SSH_CONNECTION") or ""
    daemon = bool(os.environ.get(DAEMON_VARIABLE))
    user = user_name(os.getuid())
    behind = os.environ.get("SUDO_USER")
    return Actor(
        user=f"{behind} as {user}" if behind and behind != user else user,
        origin="" if daemon else connection.partition(" ")[0],
        program="daemon" if daemon else "dgtui",
    )


def user_name(uid: int) -> str:
    """The name of a user; the number where the system knows none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _plain(text: str) -> str:
    """Text without what could steer a terminal, or could not be written as UTF-8."""
    return printable(text.encode("utf-8", "backslashreplace").decode())


def _sealed(entry: AuditEntry) -> AuditEntry:
    return msgspec.structs.replace(entry, hash=entry_hash(entry, time_text(entry.at)))


class _Hashed(msgspec.Struct, frozen=True, gc=False):
    """What the hash of an entry is made of, in the order in which it stands in its JSON."""

    action: str
    at: str
    details: tuple[str, ...]
    number: int
    object_kind: str
    object_name: str
    origin: str
    outcome: str
    previous: str
    program: str
    user: str


def entry_hash(entry: AuditEntry, at: str) -> str:
    """The hash that an entry must carry; `at` is its time as the table holds it."""
    hashed = _Hashed(
        action=entry.action,
        at=at,
        details=entry.details,
        number=entry.number,
        object_kind=entry.object_kind,
        object_name=entry.object_name,
        origin=entry.actor.origin,
        outcome=entry.outcome,
        previous=entry.previous,
        program=entry.actor.program,
        user=entry.actor.user,
    )
    return hashlib.sha256(_encoder.encode(hashed)).hexdigest()


def _damage_of(entry: AuditEntry, at: str, last: Head | AuditEntry) -> Iterator[Damage]:
    if entry.number != last.number + 1:
        first = last.number + 1
        several = entry.number > first + 1
        missing = f"entries {first} to {entry.number - 1} before it are" if several else f"entry {first} before it is"
        yield Damage(number=entry.number, kind="removed", text=f"{missing} not there")
    elif entry.previous != last.hash:
        text = f"it does not follow entry {last.number} as that stands there now"
        yield Damage(number=entry.number, kind="chain broken", text=text)
    if entry.hash != entry_hash(entry, at):
        yield Damage(number=entry.number, kind="changed", text="its content is not what its hash was made of")


def _damage_of_head(
    head: Head | None, last: Head | AuditEntry, at_head: str, *, known_damaged: bool
) -> Iterator[Damage]:
    if head is None:
        if last.number and not known_damaged:
            text = f"{HEAD_NAME} is gone: whether newer entries were cut off cannot be told"
            yield Damage(number=0, kind="head missing", text=text)
    elif head.number > last.number:
        text = f"{HEAD_NAME} says that there were {head.number} entries, the last one is {last.number}"
        yield Damage(number=last.number + 1, kind="tail cut", text=text)
    elif head.hash != at_head and head.number:
        yield Damage(number=head.number, kind="changed", text=f"{HEAD_NAME} knows it with another hash")
