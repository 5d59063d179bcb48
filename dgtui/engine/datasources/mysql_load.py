"""Loading an archive with the client, and what can be known before."""

import os
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice

from dgtui.engine.child import Child, describe_exit, widen_pipe
from dgtui.engine.datasources.dumping import Archive
from dgtui.engine.datasources.loading import LoadError, LoadOutcome, Selection
from dgtui.engine.datasources.mysql_archive import dumped_from
from dgtui.engine.datasources.mysql_connection import Access, Server, Session
from dgtui.engine.datasources.mysql_errors import CLOSED, LOCK_TIMEOUT, TOO_BIG, error_code, quote
from dgtui.engine.datasources.mysql_holders import in_use_hint
from dgtui.engine.datasources.mysql_load_hints import LOST_HINT, load_hint
from dgtui.engine.datasources.mysql_loadwatch import LoadWatch
from dgtui.engine.datasources.mysql_look import count_rows, existing_tables
from dgtui.engine.datasources.mysql_obstacles import full_grant
from dgtui.engine.datasources.mysql_option_file import open_option_file
from dgtui.engine.datasources.mysql_rights import Grants
from dgtui.engine.datasources.mysql_script import Script
from dgtui.engine.datasources.mysql_tools import client_tool, tool_flavour
from dgtui.engine.datasources.mysql_waiting import waiting_session
from dgtui.engine.errors import DatabaseConnectionError, DataGuardianError, RestoreError
from dgtui.engine.model import ToolVersion
from dgtui.engine.reporting import Reporter
from dgtui.engine.tools import version_numbers

_LARGEST_PACKET = 1 << 30
_ERROR = re.compile(r"^ERROR (\d+) \(\w+\) at line (\d+)(?: in file: .*?)?: (.*)")
_CLIENT_ERROR = re.compile(r"^ERROR\b|^(?:mariadb|mysql): (?!\[Warning\])")
_OF_MARIADB_ALONE = ("--loose-sandbox", "--loose-skip-print-query-on-error")


def client_arguments(tool: ToolVersion, database: str, option_file: int) -> list[str]:
    """The command line of the client that replays a script; nothing in the script can leave the database's server.

    In binary mode the client acts on no command but DELIMITER, so that `\\!`, `system` and `source` are just bytes.
    """
    return [
        tool.path,
        f"--defaults-file=/dev/fd/{option_file}",
        "--batch",
        "--binary-mode",
        *(_OF_MARIADB_ALONE if tool_flavour(tool) == "mariadb" else ()),
        "--comments",
        "--skip-reconnect",
        "--max-allowed-packet=1G",
        "--default-character-set=utf8mb4",
        "--",
        database,
    ]


def load_archive(
    access: Access,
    archive: Archive,
    script: Script,
    reporter: Reporter,
    counted: Callable[[Session], Mapping[str, int]] | None = None,
) -> LoadOutcome:
    """Replay the archive's chosen sections into the script's database.

    Where others write to it, `counted` tells how many rows its tables held before these could.
    """
    database = script.database
    with _large_packets(access, archive.total_size_bytes, reporter) as limit:
        code, lines = _replay(access, script, archive.blocks(), reporter)
    error, hint = _load_error(access, code, lines, script, limit)
    script.replayed = error is None
    absent = [LoadError(message=f"The backup holds no table {name}") for name in script.missing()]
    errors = [*([error] if error else []), *absent]
    notes = _definer_notes(access, script)
    if not errors:
        lost, noted = _compare_rows(access, database, script, counted)
        errors, notes = lost, (*notes, *noted)
    return LoadOutcome(errors=tuple(errors), error_count=len(errors), hint=hint, notes=notes)


def replay_statements(access: Access, text: bytes, script: Script, reporter: Reporter) -> None:
    """Replay statements that were written down. Raises RestoreError at the first that fails."""
    code, lines = _replay(access, script, [text], reporter)
    error, hint = _load_error(access, code, lines, script)
    if error:
        raise RestoreError(f"{error.statement}: {error.message}".lstrip(": "), subject=script.database, hint=hint)


def definers_in(archive: Archive, selection: Selection) -> set[tuple[str, str]]:
    """User and host of each DEFINER in the chosen sections; reads the archive to its end."""
    script = Script("", selection)
    for _ in script.blocks(archive.blocks()):
        pass
    return script.definers


def missing_definers(access: Access, definers: set[tuple[str, str]]) -> tuple[str, ...]:
    """Which of these accounts the server does not have; none where we may not look."""
    if not definers:
        return ()
    with access.session() as session:
        readable = "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'mysql' AND TABLE_NAME = 'user'"
        if not session.value(readable):
            return ()
        known = {(str(user), str(host)) for user, host in session.rows("SELECT User, Host FROM mysql.user")}
    return tuple(sorted(f"{user}@{host}" for user, host in definers if (user, host) not in known))


def flavour_notes(archive: Archive, server: Server) -> tuple[str, ...]:
    """What the user should know about a dump of another product or a newer version."""
    head = b"".join(islice(archive.blocks(), 1))
    from_mariadb, version = dumped_from(head)
    notes = []
    source = f"{'MariaDB' if from_mariadb else 'MySQL'} {version}"
    if from_mariadb != (server.flavour == "mariadb"):
        notes.append(
            f"The dump is of {source}, the target is {server.product}: "
            "what only one of them has (sequences, system versions, some collations) fails to load"
        )
    elif version_numbers(version)[:2] > server.numbers[:2]:
        notes.append(f"The dump is of {source}, the target is the older {server.product}")
    return tuple(notes)


def _replay(access: Access, script: Script, archive: Iterable[bytes], reporter: Reporter) -> tuple[int, list[str]]:
    lines: list[str] = []
    with access.session() as session:
        tool, before = client_tool(session.server, access.settings.tools), int(session.value("SELECT CONNECTION_ID()"))

    def hear(line: str) -> None:
        if _CLIENT_ERROR.match(line):
            lines.append(line)
        reporter.log(line, origin=tool.name, level="error" if _CLIENT_ERROR.match(line) else "info")

    option_file = open_option_file(access, tool_flavour(tool))
    try:
        child = Child(
            client_arguments(tool, script.database, option_file),
            on_line=hear,
            secrets=[access.password or ""],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=[option_file],
        )
    finally:
        os.close(option_file)
    watch = LoadWatch(access, script.database, before, reporter, child.process.kill)
    try:
        widen_pipe(child.stdin_fd)
        watch.begin(child.process.pid)
        child.feed(watch.handing(_announced(script, archive, reporter)), idle_timeout=None)
        code = child.wait()
    finally:
        watch.end()
        child.stop()
    if watch.error is not None:
        raise watch.error
    return code, lines


def _announced(script: Script, archive: Iterable[bytes], reporter: Reporter) -> Iterator[bytes]:
    number, name = 0, ""
    for block in script.blocks(archive):
        if script.current != name:
            number, name = number + 1, script.current
            reporter.current_object(name, number=number)
        yield block


def _load_error(
    access: Access, exit_code: int, lines: list[str], script: Script, limit: int | None = None
) -> tuple[LoadError | None, str]:
    """What failed, and what helps against it; `limit` is the longest statement, where one may be longer.

    Raises DatabaseConnectionError.
    """
    if exit_code == 0 and not lines:
        return None, ""
    text = lines[0] if lines else f"The client ended with {describe_exit(exit_code)}"
    code = error_code(text)
    match = _ERROR.match(text)
    closed = code in CLOSED
    if limit is not None and closed:
        # To a statement that is too long the server says nothing, and where it answers still, it has not gone away.
        try:
            with access.session(fallback=RestoreError):
                code = TOO_BIG
        except DatabaseConnectionError as gone:
            gone.hint += LOST_HINT
            raise
        text = f"{text}, as it does at a statement of more than {limit} bytes (max_allowed_packet)"
    error = access.error(code, text, fallback=RestoreError, detail=tuple(lines))
    if isinstance(error, DatabaseConnectionError):
        if closed:
            error.hint += LOST_HINT
        raise error
    where = f"{script.section_at(int(match[2]))} (line {match[2]})" if match else script.current
    return LoadError(message=text, statement=where), _hint_of(access, code, text, script.database)


def _hint_of(access: Access, code: int, text: str, database: str) -> str:
    try:
        with access.session() as session:
            if code == LOCK_TIMEOUT:
                return in_use_hint(session, database, int(access.settings.lock_timeout))
            grants = Grants(session)
            return load_hint(code, text, account=grants.account(), grant=full_grant(grants, database))
    except DataGuardianError:
        return load_hint(code, text, account=access.user, grant=f"GRANT ALL ON {quote(database)}.* TO {access.user};")


def _compare_rows(
    access: Access, database: str, script: Script, counted: Callable[[Session], Mapping[str, int]] | None
) -> tuple[list[LoadError], tuple[str, ...]]:
    """Count what arrived; only notes where an event of the database or others may already have changed something."""
    with waiting_session(access) as session:
        versioned = {table.name for table in existing_tables(session, database) if table.versioned}
        known = counted(session) if counted is not None else {}
        found = {
            name: known[name] if name in known else count_rows(session, database, name, versioned=name in versioned)
            for name in script.rows()
        }
        events = session.value("SELECT COUNT(*) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s", [database])
    differences = [
        f"{found[name]} rows of {name} are in the database, {rows} were in the backup"
        for name, rows in script.rows().items()
        if found[name] != rows
    ]
    if not known and (events or counted is not None):
        return [], tuple(f"{text}; {'an event' if events else 'others'} may have changed them" for text in differences)
    return [LoadError(message=text) for text in differences], ()


def _definer_notes(access: Access, script: Script) -> tuple[str, ...]:
    try:
        absent = missing_definers(access, script.definers)
    except DatabaseConnectionError:
        return ()
    return tuple(
        f"The definer {name} does not exist on this server; what it defined fails when used" for name in absent
    )


@contextmanager
def _large_packets(access: Access, archive_bytes: int, reporter: Reporter) -> Iterator[int | None]:
    """Let the server take statements as long as the archive's, where we may; as before afterwards.

    Gives the longest that it takes, where one of the archive may be longer.
    """
    before, raised = _raise_packet_limit(access, archive_bytes, reporter)
    try:
        yield None if raised else before
    finally:
        if raised:
            _limit_packets(access, before, reporter)


def _limit_packets(access: Access, limit: int | None, reporter: Reporter) -> None:
    try:
        with access.session(fallback=RestoreError) as session:
            session.execute(f"SET GLOBAL max_allowed_packet = {limit}")
    except DataGuardianError as error:
        # Where the connection is lost, that is told, and not that another cannot be had.
        reporter.log(f"max_allowed_packet of the server is not {limit} again: {error.message}", level="warning")


def _raise_packet_limit(access: Access, archive_bytes: int, reporter: Reporter) -> tuple[int | None, bool]:
    """The limit that was found too low, and whether it was raised."""
    import pymysql

    with access.session() as session:
        before = int(session.value("SELECT @@GLOBAL.max_allowed_packet"))
        if archive_bytes <= before or before >= _LARGEST_PACKET:
            return None, False
        try:
            session.execute(f"SET GLOBAL max_allowed_packet = {_LARGEST_PACKET}")
        except pymysql.MySQLError as error:
            reporter.log(
                f"The server takes statements of at most {before} bytes and {access.user} may not change that "
                f"({error.args[0]}): a longer row fails",
                level="warning",
            )
            return before, False
    reporter.log(f"max_allowed_packet of the server is 1 GiB while the backup is loaded (was {before})")
    return before, True


def refuse_triggers(session: Session, database: str, tables: Sequence[str]) -> None:
    """Data alone is not loaded into tables whose triggers would change it. Raises RestoreError."""
    query = "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s"
    names = [(name,) for name, table in session.rows(query, [database]) if table in tables]
    if names:
        listed = ", ".join(str(name) for (name,) in names[:5])
        raise RestoreError(
            f"The tables of {database} have triggers ({listed}), which would act on every row that is loaded",
            subject=database,
            hint=f"DROP TRIGGER {quote(str(names[0][0]))} and the others first, or restore everything elsewhere",
        )
