"""Whether the state folder, which holds the catalogue, can be written and is ours alone, and whether it has room."""

import errno
import os
import shlex
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from dgtui.config import Config
from dgtui.engine.check.finding import Finding, not_writable
from dgtui.engine.datasources import datasource_adapter
from dgtui.engine.file_errors import is_read_only, nearest_folder

_MEND = "Make room, or name a folder on a larger disk with DGTUI_STATE"


def examine_state(config: Config, state: Path, dump_bytes: Mapping[str, int | None]) -> Iterator[Finding]:
    """Look at the room for the largest database that is copied there before it is dumped, and at who may write."""
    yield _obstacle(state) or _room(config, state, dump_bytes)
    if state.is_dir() and (found := state.stat()) and _is_open(found):
        quoted = shlex.quote(str(state))
        yield Finding(
            area="state",
            subject=str(state),
            level="warning",
            message="others can write there, and so have dgtui do whatever it can",
            mend=f"chown {os.geteuid()} {quoted} && chmod go-w {quoted}",
        )


def _is_open(found: os.stat_result) -> bool:
    return found.st_uid not in (os.geteuid(), 0) or bool(found.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def _obstacle(state: Path) -> Finding | None:
    """Why nothing can be recorded there, or the folder not be made."""
    folder = nearest_folder(state)
    if is_read_only(folder):
        return not_writable("state", folder, errno.EROFS)
    # Each run makes files in these, and changes the last.
    own = [path for path in (state / "runs", state / "locks", state / "catalog.db") if path.exists()]
    for path in (folder, *own):
        if not os.access(path, os.W_OK | (os.X_OK if path.is_dir() else 0)):
            return not_writable("state", path, errno.EACCES)
    return None


def _room(config: Config, state: Path, dump_bytes: Mapping[str, int | None]) -> Finding:
    space = os.statvfs(nearest_folder(state))
    free = space.f_bavail * space.f_frsize
    copied = {
        name: dump_bytes.get(name) or 0
        for name, settings in config.datasources.items()
        if datasource_adapter(settings.type).copies_first
    }
    largest = max(copied, key=lambda name: copied[name], default="")
    needed = copied.get(largest, 0)
    text = f"{free:,} bytes free"
    if free and free >= needed:
        return Finding(area="state", subject=str(state), level="ok", message=text)
    reason = f", and a backup of {largest} copies {needed:,} bytes there first" if needed else ""
    return Finding(
        area="state",
        subject=str(state),
        level="error",
        message=f"{text}{reason}",
        mend=_MEND,
        kind="DiskSpaceError",
    )
