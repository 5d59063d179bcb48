"""The smallest question to a file tree: is it there, and can it be read?"""

import os
import stat
import time
from pathlib import Path

from dgtui.engine.datasources.answer import HealthAnswer
from dgtui.engine.datasources.places import disk_space, shown
from dgtui.engine.errors import DatabaseConnectionError, PermissionDenied
from dgtui.engine.file_errors import nearest_folder


def ask_tree(source: Path) -> HealthAnswer:
    """Look at the root. Raises DatabaseConnectionError where it is not there, PermissionDenied."""
    started = time.monotonic()
    name = shown(str(source))
    try:
        found = source.stat()
        if stat.S_ISDIR(found.st_mode):
            with os.scandir(source) as entries:
                next(entries, None)
        elif not os.access(source, os.R_OK):
            raise PermissionError(13, "Permission denied")
    except PermissionError:
        raise PermissionDenied(
            f"{name} cannot be read",
            subject=str(source),
            hint=f"Let our user read it, or run as root. See: ls -ld {name}",
        ) from None
    except OSError as error:
        raise DatabaseConnectionError(
            f"{name} cannot be reached: {error.strerror}",
            subject=str(source),
            hint=f"Is its disk mounted? See: findmnt -T {shown(str(nearest_folder(source)))}",
        ) from error
    latency = time.monotonic() - started
    free, total = disk_space(source)
    size = found.st_size if stat.S_ISREG(found.st_mode) else None
    return HealthAnswer(latency_seconds=latency, size_bytes=size, disk_free_bytes=free, disk_total_bytes=total)
