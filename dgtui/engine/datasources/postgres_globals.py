"""What belongs to the whole server and no database dump holds: `pg_dumpall --globals-only`, to its end mark."""

from dgtui.engine.child import describe_exit, output_of
from dgtui.engine.datasources.postgres_connection import Access
from dgtui.engine.datasources.postgres_failures import known_failure
from dgtui.engine.errors import BackupCreationError
from dgtui.engine.model import ToolVersion

_SECONDS = 120.0
_END_MARK = b"-- PostgreSQL database cluster dump complete"
_LINES_AT_THE_END = 12
"""Behind the end mark there are empty lines, and in newer versions a command for psql."""


def dump_globals(
    tool: ToolVersion, access: Access, maintenance_database: str, *, passwords: bool, encoding: str, subject: str
) -> bytes:
    """Roles, tablespaces and settings of the server as SQL, in the encoding of that database.

    Raises BackupCreationError where it is not whole, and as `output_of`.
    """
    arguments = [tool.path, "--globals-only", "-w", *([] if passwords else ["--no-role-passwords"])]
    code, output, detail = output_of(
        [*arguments, *access.tool_role, "-d", access.conninfo(maintenance_database)],
        timeout=_SECONDS,
        environment={**access.environment(), "PGCLIENTENCODING": encoding},
        secrets=access.secrets,
    )
    if code != 0:
        known = known_failure(
            "\n".join(detail),
            server=access.server,
            user=access.user,
            acting=access.acting(maintenance_database),
            detail=detail,
        )
        raise known or BackupCreationError(
            f"pg_dumpall --globals-only ended with {describe_exit(code)}",
            subject=subject,
            hint="Remove `globals` from the job, or use a user that may read pg_roles",
            detail=detail,
        )
    if _END_MARK not in output.splitlines()[-_LINES_AT_THE_END:]:
        raise BackupCreationError(
            "What pg_dumpall --globals-only gave is not whole: its end mark is missing",
            subject=subject,
            hint=f"Nothing was kept. Run the backup again; if it stays so, look at what {tool.path} is",
            detail=detail,
        )
    return output
