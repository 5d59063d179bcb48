"""Triggers that act under another name for a while, so that no write is made without them when tables are swapped."""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dgtui.engine.datasources.mysql_connection import Session
from dgtui.engine.datasources.mysql_errors import quote
from dgtui.engine.datasources.mysql_look import CARRIED
from dgtui.engine.model import Record

STAND_IN = f"{CARRIED}trigger_"
TRIGGERS_NAME = "its triggers"
TRIGGERS_TITLE = f"\n--\n-- Dumping routines for database '{TRIGGERS_NAME}'\n--\n\n".encode()
"""Triggers have no comment before them by which they would be a section of a dump."""
_TRIGGERS = """
SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_STATEMENT, DEFINER, SQL_MODE,
COLLATION_CONNECTION FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s
ORDER BY EVENT_OBJECT_TABLE, EVENT_MANIPULATION, ACTION_TIMING, ACTION_ORDER
"""
_TOKEN = re.compile(
    rb"(?m)^(?:((?:ALTER DATABASE [^\n]*;\n)?/\*!50003 SET @saved_cs_client)|(DELIMITER ;;)|(DELIMITER ;))"
)
_ALTER_DATABASE = re.compile(rb"(?m)^ALTER DATABASE [^\n]*;\n?")
_DROP = re.compile(rb"(?m)^/\*!50032 DROP TRIGGER IF EXISTS (.+) \*/;$", re.DOTALL)
_BODY = b"\nDELIMITER ;;\n"
_BODY_END = b"\nDELIMITER ;\n"


class Trigger(Record, frozen=True):
    """A trigger as the server's own tables describe it."""

    name: str
    table: str
    timing: str
    event: str
    body: str
    definer: str
    sql_mode: str
    collation: str


def read_triggers(session: Session, database: str) -> tuple[Trigger, ...]:
    """All triggers of a database, those of one table and event in the order in which they act."""
    return tuple(Trigger(*map(str, row)) for row in session.rows(_TRIGGERS, [database]))


def drop_triggers(
    session: Session, database: str, chosen: Callable[[Trigger], bool] = lambda _: True, *, table: str | None = None
) -> None:
    """Drop all triggers of a database, or the chosen ones, or those of one table."""
    for trigger in read_triggers(session, database):
        if chosen(trigger) and table in (None, trigger.table):
            session.execute(f"DROP TRIGGER IF EXISTS {quote(database)}.{quote(trigger.name)}")


def is_stand_in(trigger: Trigger) -> bool:
    """Whether it is one of ours, that acts for another."""
    return trigger.name.startswith(STAND_IN)


def make_stand_ins(session: Session, database: str, triggers: Sequence[Trigger], name_of: Callable[[str], str]) -> None:
    """Let triggers act under names of our own; `name_of` tells what their tables are called now."""
    before = session.rows("SELECT @@SESSION.sql_mode, @@SESSION.collation_connection")[0]
    for number, trigger in enumerate(triggers):
        user, _, host = trigger.definer.rpartition("@")
        definer = f"{quote(user)}@{quote(host)}" if user and host else quote(user or host)
        session.execute("SET SESSION sql_mode = %s, collation_connection = %s", [trigger.sql_mode, trigger.collation])
        session.execute(
            f"CREATE DEFINER = {definer} TRIGGER {quote(database)}.{quote(f'{STAND_IN}{number}')} "
            f"{trigger.timing} {trigger.event} ON {quote(database)}.{quote(name_of(trigger.table))} "
            f"FOR EACH ROW {trigger.body}"
        )
    session.execute("SET SESSION sql_mode = %s, collation_connection = %s", list(before))


def table_by_table(section: bytes, triggers: Sequence[Trigger]) -> bytes:
    """The statements that make triggers; those of a table take the place of their stand-ins while nobody can write.

    What changes the database's character set for one of them cannot be done while tables are locked, and comes before.
    """
    known = {trigger.name: (number, trigger.table) for number, trigger in enumerate(triggers)}
    head, *parts = _parts(section)
    made = [_Making.of(part, known) for part in parts]
    groups = itertools.groupby(made, lambda one: (one.table, one.before, one.after))
    return head + b"".join(_locked(list(group)) for _, group in groups)


@dataclass(frozen=True)
class _Making:
    """What makes one trigger."""

    statements: bytes
    table: str = ""
    """Empty where no stand-in acts for it."""
    stand_in: str = ""
    before: bytes = b""
    """What cannot be done while tables are locked, and after that."""
    after: bytes = b""

    @classmethod
    def of(cls, part: bytes, known: Mapping[str, tuple[int, str]]) -> "_Making":
        """Taken from a part of a dump."""
        head, body, rest = part.partition(_BODY)
        inside, end, tail = rest.partition(_BODY_END)
        named = _DROP.search(head)
        name = _plain(named[1]) if named else ""
        found = known.get(name)
        if found is None or not end:
            return cls(part)
        drop = f"DROP TRIGGER IF EXISTS {quote(name)};".encode("utf-8", "surrogateescape")
        head = _DROP.sub(lambda _: drop, head)
        return cls(
            _ALTER_DATABASE.sub(b"", head) + body + inside + end + _ALTER_DATABASE.sub(b"", tail),
            table=found[1],
            stand_in=f"{STAND_IN}{found[0]}",
            before=b"".join(_ALTER_DATABASE.findall(head)),
            after=b"".join(_ALTER_DATABASE.findall(tail)),
        )


def _plain(name: bytes) -> str:
    """A trigger's name where it is dropped: MariaDB's tool quotes it there, MySQL's writes it as it is."""
    text = name.decode("utf-8", "surrogateescape")
    return text[1:-1].replace("``", "`") if text.startswith("`") and text.endswith("`") else text


def _locked(group: Sequence[_Making]) -> bytes:
    making = b"".join(one.statements for one in group)
    first = group[0]
    if not first.table:
        return making
    lock = f"LOCK TABLES {quote(first.table)} WRITE;\n".encode("utf-8", "surrogateescape")
    stand_ins = b"".join(f"DROP TRIGGER IF EXISTS {quote(one.stand_in)};\n".encode() for one in group)
    return first.before + lock + making + b"\n" + stand_ins + b"UNLOCK TABLES;\n" + first.after


def with_drops(section: bytes, names: Sequence[str]) -> bytes:
    """A dump's statements that make these triggers, as a section of its own, each dropped before it is made."""
    head, *bodies = section.split(_BODY)
    drops = (
        f"\n/*!50032 DROP TRIGGER IF EXISTS {quote(name)} */;".encode("utf-8", "surrogateescape") for name in names
    )
    return TRIGGERS_TITLE + head + b"".join(drop + _BODY + body for drop, body in zip(drops, bodies, strict=True))


def _parts(section: bytes) -> Iterator[bytes]:
    """What comes before the first trigger, and the statements of each; a line in a body begins nothing."""
    start, in_body = 0, False
    for token in _TOKEN.finditer(section):
        if token[2]:
            in_body = True
        elif token[3]:
            in_body = False
        elif not in_body:
            yield section[start : token.start()]
            start = token.start()
    yield section[start:]
