"""Opening the files of a local storage: plain files only, and past the page cache where they are read once."""

import errno
import io
import os
from typing import TYPE_CHECKING, BinaryIO

from dgtui.engine.files import open_regular

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_READ_BYTES = 1 << 20
_DROP_BYTES = 16 << 20


class _ReadOnce(io.FileIO):
    """A file whose bytes leave the page cache once they were read."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "rb")
        self._position = self._dropped = 0

    def readinto(self, buffer: "WriteableBuffer", /) -> int | None:
        """Read into a buffer, as every FileIO does."""
        count = super().readinto(buffer)
        self._position += count or 0
        if self._position - self._dropped >= _DROP_BYTES:
            os.posix_fadvise(self.fileno(), 0, self._position, os.POSIX_FADV_DONTNEED)
            self._dropped = self._position
        return count


def open_for_reading(name: str, folder: int, *, once: bool = False) -> BinaryIO:
    """Open a plain file of an open folder, from its start; raises OSError (EINVAL for a pipe, a folder or a device).

    With `once` it is read past the page cache, where nobody else holds it there.
    """
    try:
        descriptor = open_regular(name, folder)
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error), name) from error
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
    if not once:
        return os.fdopen(descriptor, "rb", buffering=_READ_BYTES)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    return io.BufferedReader(_ReadOnce(descriptor), _READ_BYTES)
