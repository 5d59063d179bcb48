"""The smallest question to a MySQL or MariaDB server, and the figures beside its answer."""

import contextlib
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgtui.engine.datasources.answer import HealthAnswer, TimeLimit
from dgtui.engine.datasources.mysql_connection import Access, server_of
from dgtui.engine.datasources.places import disk_space
from dgtui.engine.errors import BackupCreationError

if TYPE_CHECKING:
    from pymysql.connections import Connection

_SIZE = "SELECT SUM(DATA_LENGTH + INDEX_LENGTH) FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s"


def ask_mysql(access: Access, database: str, seconds: float) -> HealthAnswer:
    """Connect, `SELECT 1`, and what the server tells of itself. Raises ServerTimeout and the errors of `Access`."""
    import pymysql

    limit = TimeLimit(seconds)
    connection: Connection[Any] | None = None
    try:
        connection = access.connect(limit.seconds, greeting=limit.seconds, database=database)
        with limit.cutting(lambda: _cut(connection)):
            _rows(connection, "SELECT 1")
            return _with_figures(connection, database, limit.elapsed, limit)
    except (pymysql.MySQLError, OSError) as error:
        if limit.fired or isinstance(_cause(error), TimeoutError):
            raise limit.exceeded(access.settings.socket or f"{access.host}:{access.port}") from error
        code, text = (*error.args, "", "")[:2] if error.args else (0, "")
        number = code if isinstance(code, int) and code else 2013
        raise access.error(number, str(text or error), fallback=BackupCreationError) from None
    finally:
        if connection is not None:
            connection._force_close()  # a goodbye could wait for a frozen server


def _cause(error: Exception) -> BaseException:
    """PyMySQL keeps the socket's own error behind its codes 2003 and 2013."""
    original = getattr(error, "original_exception", None)
    if isinstance(original, BaseException):
        return original
    return error.__cause__ or error.__context__ or error


def _cut(connection: "Connection[Any] | None") -> None:
    with contextlib.suppress(OSError, AttributeError):
        connection._sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]  # None where it is closed already


def _rows(connection: "Connection[Any]", statement: str, *arguments: object) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, arguments or None)
        return list(cursor.fetchall())


def _with_figures(connection: "Connection[Any]", database: str, latency: float, limit: TimeLimit) -> HealthAnswer:
    """The server answered: a figure that cannot be had, or takes too long, is left out."""
    import pymysql

    connection._read_timeout = limit.for_figures
    product, version, uptime, clients, size = "", "", None, None, None
    free, total = None, None
    with contextlib.suppress(pymysql.MySQLError, OSError):
        ((text, comment, folder, host),) = _rows(
            connection, "SELECT VERSION(), @@version_comment, @@datadir, @@hostname"
        )
        server = server_of(str(text), str(comment))
        product, version = server.product, server.version
        status = dict(_rows(connection, "SHOW GLOBAL STATUS WHERE Variable_name IN ('Uptime', 'Threads_connected')"))
        uptime, clients = int(status["Uptime"]), int(status["Threads_connected"]) - 1
        free, total = _disk(str(folder), str(host))
        ((size,),) = _rows(connection, _SIZE, database)
    return HealthAnswer(
        latency_seconds=latency,
        product=product,
        version=version,
        uptime_seconds=uptime,
        connection_count=clients,
        size_bytes=int(size) if size is not None else None,
        disk_free_bytes=free,
        disk_total_bytes=total,
    )


def _disk(folder: str, host: str) -> tuple[int | None, int | None]:
    """Free and whole room of the server's disk, where the server runs on this very machine."""
    if host != socket.gethostname():
        return None, None
    return disk_space(Path(folder))
