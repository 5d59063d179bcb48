"""What keeps a database from being swapped, or from being made again, and the rights that would change that."""

import re
from collections.abc import Iterable, Sequence

from dgtui.engine.datasources.mysql_connection import Session
from dgtui.engine.datasources.mysql_errors import READ_ONLY_HINT
from dgtui.engine.datasources.mysql_keys import bound_databases
from dgtui.engine.datasources.mysql_look import other_objects, tables_elsewhere
from dgtui.engine.datasources.mysql_rights import MAKES_FOR_OTHERS, NEEDED_FOR_BACKUP, Grants, literal_pattern
from dgtui.engine.errors import RestoreError

_REMAKING = (*NEEDED_FOR_BACKUP, "DROP", "CREATE VIEW", "CREATE ROUTINE", "ALTER ROUTINE")
_MAKING = {"view": "CREATE VIEW", "routine": "CREATE ROUTINE", "event": "EVENT", "trigger": "TRIGGER"}
_WRITES_ALL_THE_SAME = ("READ_ONLY ADMIN", "READ ONLY ADMIN", "SUPER", "CONNECTION_ADMIN")
"""Who has one of these may write where `read_only` is on; which of them it is depends on product and version."""
_NOBODY = "NO_LOCK_NO_ADMIN"
_SHOWN = 5
_OWN_NAME = re.compile(r"(?s)(.*__dgtui)_.*")
_DEFINERS = """
SELECT DEFINER FROM information_schema.VIEWS WHERE TABLE_SCHEMA = %s
UNION SELECT DEFINER FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s
UNION SELECT DEFINER FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %s
UNION SELECT DEFINER FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s
"""


def obstacles(session: Session, database: str) -> tuple[str, ...]:
    """Why a swap of the database would lose or bend something; empty where it can be moved.

    RENAME TABLE moves tables and sequences; what else there is has to be made anew, by a user who may do that.
    """
    reasons = list(_not_remade(session, database))
    if bound := bound_databases(session, database):
        names = ", ".join(dict.fromkeys(name for name, _ in bound))
        reasons.append(f"foreign keys to or from {names}, which may not be made anew there")
    if elsewhere := tables_elsewhere(session, database):
        more = f" and {len(elsewhere) - _SHOWN} more" if len(elsewhere) > _SHOWN else ""
        reasons.append(f"{', '.join(elsewhere[:_SHOWN])}{more}, with files in a DATA DIRECTORY")
    return tuple(reasons)


def missing_grants(session: Session, database: str, place: str | None = None) -> tuple[str, ...]:
    """The commands that give the user the rights for want of which there are obstacles.

    `place` is the database whose place it shall take, where that is another one.
    """
    grants = Grants(session)
    account = grants.account()
    needed: dict[str, list[str]] = {}
    if other_objects(session, database, sequences=False):
        for name in (database, place or database):
            needed[name] = [right for right in _REMAKING if not grants.allows(right, name)]
    for name, right in bound_databases(session, database):
        needed.setdefault(name, []).append(right)
    commands = [
        f"GRANT {', '.join(rights)} ON {literal_pattern(name)}.* TO {account};"
        for name, rights in needed.items()
        if rights
    ]
    if _foreign_definers(session, grants, database):
        commands.append(f"GRANT {_making_for_others(session)} ON *.* TO {account};")
    return tuple(commands)


def never_again(session: Session, database: str) -> tuple[str, ...]:
    """What in a database the user could not make again from a backup either; empty where all would come back."""
    others = other_objects(session, database, sequences=False)
    if not others:
        return ()
    grants = Grants(session)
    reasons = [
        f"{name}, for want of {right}"
        for name in others
        for right in (_MAKING[name.rpartition(" (")[2].rstrip(")")],)
        if not grants.allows(right, database)
    ]
    return (*reasons[:_SHOWN], *_of_other_definers(session, grants, database))


def lacking_beside(grants: Grants, places: Sequence[str], rights: Iterable[str]) -> tuple[str, ...]:
    """The commands that give the user these rights in the databases beside one, where they are wanting there."""
    wanted = tuple(rights)
    lacking = [place for place in places if not all(grants.allows(right, place) for right in wanted)]
    return tuple(dict.fromkeys(full_grant(grants, place) for place in lacking))


def refuse_read_only(session: Session, grants: Grants, server: str) -> None:
    """Raise RestoreError where the server takes no writes from this user."""
    query = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('read_only', 'super_read_only', 'innodb_read_only')"
    on = {str(name).lower(): str(value).upper() for name, value in session.rows(query)}
    switched = {name for name, value in on.items() if value not in ("OFF", "0")}
    if switched == {"read_only"} and on["read_only"] != _NOBODY and grants.allows_globally(*_WRITES_ALL_THE_SAME):
        return
    if switched:
        raise RestoreError(
            f"{server} is read-only ({', '.join(sorted(switched))}); nothing was changed",
            subject=server,
            hint=READ_ONLY_HINT,
        )


def full_grant(grants: Grants, database: str) -> str:
    """The command that gives the user all rights on a database; where it is one of ours, on all of ours like it.

    Their names end otherwise each time.
    """
    ours = _OWN_NAME.fullmatch(database)
    pattern = f"{literal_pattern(ours[1])[:-1]}%`" if ours else literal_pattern(database)
    return f"GRANT ALL PRIVILEGES ON {pattern}.* TO {grants.account()};"


def _foreign_definers(session: Session, grants: Grants, database: str) -> list[str]:
    if grants.allows_globally(*MAKES_FOR_OTHERS):
        return []
    mine = session.value("SELECT CURRENT_USER()")
    return [str(name) for (name,) in session.rows(_DEFINERS, [database] * 4) if name != mine]


def _of_other_definers(session: Session, grants: Grants, database: str) -> list[str]:
    definers = _foreign_definers(session, grants, database)
    return [f"what {definers[0]} has defined, which may not be made anew"] if definers else []


def _making_for_others(session: Session) -> str:
    """The right to make what another account defines, as this server calls it."""
    server = session.server
    if server.flavour == "mariadb":
        return "SET USER" if server.numbers >= (10, 5) else "SUPER"
    if server.numbers >= (8, 2):
        return "SET_ANY_DEFINER"
    return "SET_USER_ID" if server.numbers >= (8, 0) else "SUPER"


def _not_remade(session: Session, database: str) -> tuple[str, ...]:
    """What in a database could not be dropped and made anew just as it is, each with the reason."""
    others = other_objects(session, database, sequences=False)
    if not others:
        return ()
    reasons = []
    grants = Grants(session)
    if lacking := [right for right in _REMAKING if not grants.allows(right, database)]:
        shown = ", ".join(others[:5]) + (f" and {len(others) - 5} more" if len(others) > 5 else "")
        reasons.append(f"{shown}, for want of {', '.join(lacking)}")
    return (*reasons, *_of_other_definers(session, grants, database))
