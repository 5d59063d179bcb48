"""The logs that a local storage carries itself, in its folder `_system`."""

import contextlib
import os

from dgtui.engine.file_errors import explained
from dgtui.engine.files import FILE_MODE, make_folder, open_folder, set_mode, write_all
from dgtui.engine.storages.local_reader import open_for_reading
from dgtui.engine.storages.local_root import LocalRoot

SYSTEM = "_system"


def append_line(root: LocalRoot, name: str, line: bytes, *, once: bool) -> None:
    """Add a line, with `once` only where it is not there. Raises StorageError."""
    with root.opened() as root_fd, explained(root.path / SYSTEM / name, "write"), contextlib.ExitStack() as opened:
        with contextlib.suppress(FileExistsError):
            make_folder(SYSTEM, root_fd)
        folder = open_folder(SYSTEM, folder=root_fd)
        opened.callback(os.close, folder)
        # A full disk takes half a line, and the next one all the same once there is room.
        before = _before_line(name, line, folder, once=once)
        if before is None:
            return
        # O_NONBLOCK: a fifo in its place without a reader is an error, and not waited for.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        file = os.open(name, flags, FILE_MODE, dir_fd=folder)
        opened.callback(os.close, file)
        set_mode(file, FILE_MODE)
        write_all(file, before + line)
        os.fsync(file)


def _before_line(name: str, line: bytes, folder: int, *, once: bool) -> bytes | None:
    """What ends the last line where that was cut off; None where the line is wanted `once`, and is there."""
    last = b"\n"
    try:
        with open_for_reading(name, folder) as log:
            if not once:
                log.seek(max(log.seek(0, os.SEEK_END) - 1, 0))
            for last in log:
                if once and last == line:
                    return None
    except FileNotFoundError:
        return b""
    return b"" if last.endswith(b"\n") else b"\n"
