"""Whether the file of the metrics can be written where the collector looks for it."""

import errno
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from dgtui.config import Config
from dgtui.engine.check.finding import Finding, finding_of
from dgtui.engine.files import file_error, is_read_only


def examine_metrics_file(config: Config) -> Iterator[Finding]:
    """Look at the folder, as whoever runs this; the daemon makes no folder, and replaces the file in it."""
    if config.guardian.metrics_file is None:
        return
    path = Path(config.guardian.metrics_file)
    folder = path.parent
    if not folder.is_dir():
        yield Finding(
            area="metrics",
            subject=str(path),
            level="error",
            message="its folder is not there",
            mend=f"mkdir -p {shlex.quote(str(folder))}, or correct guardian.metrics_file",
            kind="StorageError",
        )
    elif path.is_dir():
        yield _not_writable(errno.EISDIR, path)
    elif is_read_only(folder):
        yield _not_writable(errno.EROFS, folder)
    elif not os.access(folder, os.W_OK | os.X_OK):
        yield _not_writable(errno.EACCES, folder)
    else:
        yield Finding(area="metrics", subject=str(path), level="ok", message="can be written by this user")


def _not_writable(code: int, path: Path) -> Finding:
    error = file_error(OSError(code, os.strerror(code)), path, "write to")
    return finding_of("metrics", str(path), error)
