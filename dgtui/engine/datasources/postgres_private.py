"""A PostgreSQL server of our own for a while: started from the installed programs, reached by a Unix socket alone."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from dgtui.engine.child import Child, run_tool
from dgtui.engine.datasources.places import free_bytes
from dgtui.engine.datasources.postgres_connection import Access, PostgresSettings
from dgtui.engine.datasources.postgres_tools import fitting_tool, major
from dgtui.engine.errors import DatabaseConnectionError, DiskSpaceError, RestoreError, ToolMissing, ToolTooOld
from dgtui.engine.file_errors import explained

FOLDER_PREFIX = "dgtui-rehearsal-"
_SUPERUSER = "postgres"
_INITDB_SECONDS = 300.0
_START_SECONDS = 120.0
_STOP_SECONDS = 20.0
_POLL_SECONDS = 0.05
_OWN_ROOM = 200 << 20
"""What an empty cluster and its log of changes need."""
_SETTINGS = (
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "autovacuum=off",
    "max_connections=20",
    "max_locks_per_transaction=256",
    "shared_buffers=64MB",
    "logging_collector=off",
    # Nothing may lie in /dev/shm once it was killed.
    "dynamic_shared_memory_type=mmap",
)


@contextlib.contextmanager
def private_server(
    version: str, room: int, scratch: Path, tools: str | None, made: Callable[[tuple[str, ...]], None]
) -> Iterator[PostgresSettings]:
    """Run a server that fits `version` for the block; `made` gets its folders before anything is in them.

    Whatever happens, it is stopped and its folders are removed. Raises ToolMissing, ToolTooOld, DiskSpaceError,
    RestoreError. Call it from the main thread.
    """
    programs = _programs(version, tools)
    owner = _owner()
    _need_room(_base(scratch, owner), room)
    folders: list[Path] = []
    try:
        for base in (_base(scratch, owner), Path(tempfile.gettempdir())):
            folders.append(_make_folder(base))
            _give_to(folders[-1], owner)
        made(tuple(map(str, folders)))
        data, socket = folders[0] / "data", folders[1]
        prefix = [] if owner is None else _become(owner)
        _make_cluster([*prefix, *_clean_environment()], programs, data)
        settings = PostgresSettings(
            type="postgres", database=_SUPERUSER, socket=str(socket), username=_SUPERUSER, tls="disable", tools=tools
        )
        with _running([*prefix, *_clean_environment()], programs, data, settings):
            yield settings
    finally:
        remove_private_server(tuple(map(str, folders)))


def remove_private_server(folders: tuple[str, ...]) -> None:
    """End what still runs in these folders, and remove them; only ever folders that bear our name."""
    for folder in map(Path, folders):
        if folder.name.startswith(FOLDER_PREFIX) and folder.is_dir() and not folder.is_symlink():
            _end_orphan(folder / "data")
            with explained(folder, "remove"):
                shutil.rmtree(folder)


def _programs(version: str, tools: str | None) -> Path:
    """The folder with `initdb` and `postgres` of this version, else of the lowest newer one."""
    wanted = major(version)
    purpose = f"the backup of PostgreSQL {version}"
    for folder in dict.fromkeys((tools, None)):
        with contextlib.suppress(ToolMissing, ToolTooOld):
            server = Path(fitting_tool("postgres", wanted, folder, purpose=purpose).path).resolve()
            if (server.parent / "initdb").exists():
                return server.parent
    raise ToolMissing(
        f"No PostgreSQL server of version {wanted} or newer is installed for a private server",
        subject="postgres",
        hint=f"Install the package: apt-get install postgresql-{wanted}, or name another place for rehearsals",
    )


def _owner() -> pwd.struct_passwd | None:
    """The user that the server runs as; None for our own one, which PostgreSQL allows to everybody but root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    owner = known.get("postgres") or known.get("nobody")
    if owner is None or shutil.which("setpriv") is None:
        raise ToolMissing(
            "A private PostgreSQL server cannot run as root: a user for it, or setpriv, is missing",
            subject="setpriv",
            hint="Install the packages postgresql-common and util-linux, or name another place for rehearsals",
        )
    return owner


def _base(scratch: Path, owner: pwd.struct_passwd | None) -> Path:
    """Where the cluster lies: our scratch folder, unless another user has to get there."""
    if owner is None:
        return scratch
    lasting = Path("/var/tmp")  # noqa: S108  # the folders in it get random names, and are their owner's alone
    return lasting if lasting.is_dir() else Path(tempfile.gettempdir())


def _make_folder(base: Path) -> Path:
    with explained(base, "make a folder in"):
        return Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=base))


def _give_to(folder: Path, owner: pwd.struct_passwd | None) -> None:
    if owner is not None:
        with explained(folder, "hand over"):
            os.chown(folder, owner.pw_uid, owner.pw_gid)


def _need_room(base: Path, room: int) -> None:
    free, needed = free_bytes(base), room + _OWN_ROOM
    if free is not None and free < needed:
        raise DiskSpaceError(
            f"A private server for this backup needs {needed} bytes, {base} has {free} left",
            subject=str(base),
            hint=f"Make room there, or name another place for rehearsals. See: df -h {base}",
        )


def _become(owner: pwd.struct_passwd) -> list[str]:
    # A change of user takes back what ends the child with us, so it is asked for once more.
    ids = [f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]
    return ["setpriv", *ids, "--pdeathsig", "KILL", "--"]


def _clean_environment() -> list[str]:
    """Words before a command: what our environment holds is nothing for another user to see."""
    return ["env", "-i", f"PATH={os.defpath}", "LC_ALL=C"]


def _make_cluster(prefix: list[str], programs: Path, data: Path) -> None:
    # The socket's folder lets nobody in but its owner and root: that is the lock on the door.
    choices = ["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
    command = [*prefix, str(programs / "initdb"), "-D", str(data), "-U", _SUPERUSER, *choices]
    code, output, errors = run_tool(command, timeout=_INITDB_SECONDS)
    if code != 0:
        raise RestoreError(
            "A private PostgreSQL server cannot be made: initdb failed",
            subject=str(data),
            hint="The last lines of initdb tell why",
            detail=(*output.splitlines()[-5:], *errors.splitlines()[-5:]),
        )


@contextlib.contextmanager
def _running(prefix: list[str], programs: Path, data: Path, settings: PostgresSettings) -> Iterator[None]:
    options = [
        word for setting in (*_SETTINGS, f"unix_socket_directories={settings.socket}") for word in ("-c", setting)
    ]
    server = Child([*prefix, str(programs / "postgres"), "-D", str(data), *options], stdout=subprocess.DEVNULL)
    try:
        _wait_until_it_answers(server, Access(settings, None))
        yield
    finally:
        _stop(server)


def _wait_until_it_answers(server: Child, access: Access) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            return access.open(_SUPERUSER).close()
        except DatabaseConnectionError as error:
            ended = server.process.poll() is not None
            if ended or time.monotonic() > deadline:
                raise RestoreError(
                    "A private PostgreSQL server does not start",
                    subject=str(access.host),
                    hint="The last lines of the server tell why",
                    detail=tuple(server.tail),
                ) from error
            time.sleep(_POLL_SECONDS)


def _stop(server: Child) -> None:
    """End it at once, with its own children; nothing in it is needed any more."""
    with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
        server.process.send_signal(signal.SIGQUIT)
        server.wait(_STOP_SECONDS)
    server.stop()


def _end_orphan(data: Path) -> None:
    """End a server whose worker died, where it did not end with it."""
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return
    if os.fsencode(data) not in arguments:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        for number in (signal.SIGQUIT, signal.SIGKILL):
            os.kill(pid, number)
            deadline = time.monotonic() + _STOP_SECONDS
            while time.monotonic() < deadline:
                os.kill(pid, 0)
                time.sleep(_POLL_SECONDS)
