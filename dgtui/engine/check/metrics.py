"""Whether the file of the metrics can be written where the collector looks for it."""

import errno
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from dgtui.config import Config
from dgtui.engine.check.finding import Finding, not_writable
from dgtui.engine.file_errors import is_read_only


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
        yield not_writable("metrics", path, errno.EISDIR)
    elif is_read_only(folder):
        yield not_writable("metrics", folder, errno.EROFS)
    elif not os.access(folder, os.W_OK | os.X_OK):
        yield not_writable("metrics", folder, errno.EACCES)
    else:
        yield Finding(area="metrics", subject=str(path), level="ok", message="can be written by this user")
