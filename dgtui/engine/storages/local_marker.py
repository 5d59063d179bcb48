"""The marker file in the root of a local storage: without it the disk that belongs there is not mounted."""

import contextlib
import errno
import os
import secrets
import uuid
from datetime import datetime
from pathlib import Path

import msgspec

from dgtui.engine.errors import StorageError
from dgtui.engine.files import open_regular, write_new_file
from dgtui.engine.messages import now

MARKER = ".dgtui-storage.json"
_LARGEST = 1 << 16


class Marker(msgspec.Struct, frozen=True, kw_only=True):
    """What the marker file holds."""

    storage_id: str
    created_at: datetime | None = None


def read_marker(folder: int, path: Path) -> str | None:
    """The storage's id, where `path` is what is open as `folder`; None where there is no marker.

    Raises OSError, and StorageError for one that is damaged.
    """
    try:
        descriptor = open_regular(MARKER, folder)
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise _damaged(path) from error
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _damaged(path) from error
        raise
    try:
        content = os.read(descriptor, _LARGEST)
    finally:
        os.close(descriptor)
    try:
        marker = msgspec.json.decode(content, type=Marker)
        return str(uuid.UUID(marker.storage_id))
    except (ValueError, RecursionError) as error:
        raise _damaged(path) from error


def make_marker(folder: int, path: Path) -> str:
    """Mark a root as a storage of its own, or keep the marker somebody made meanwhile; its id. Raises OSError."""
    marker = Marker(storage_id=str(uuid.uuid4()), created_at=now())
    temporary = f"{MARKER}.{secrets.token_hex(8)}.tmp"
    try:
        write_new_file(temporary, msgspec.json.encode(marker) + b"\n", folder)
        with contextlib.suppress(FileExistsError):
            _publish(temporary, folder)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
    os.fsync(folder)
    return read_marker(folder, path) or marker.storage_id


def _publish(temporary: str, folder: int) -> None:
    try:
        os.link(temporary, MARKER, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except OSError as error:
        # File systems without hard links (vfat, some network mounts): there the last of two at once wins.
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS):
            raise
        os.rename(temporary, MARKER, src_dir_fd=folder, dst_dir_fd=folder)


def _damaged(path: Path) -> StorageError:
    return StorageError(
        f"The marker file of the storage at {path} is damaged: {MARKER}",
        subject=str(path),
        hint=f"Look at it; where the backups are there and right, remove {MARKER}, and the next backup makes a new one",
    )
