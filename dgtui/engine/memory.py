"""Memory: too little of it as an error of ours, whoever notices it first, and loading without collecting."""

import contextlib
import errno
import gc
import mmap
import sys
from collections.abc import Iterator

from dgtui.engine.errors import OutOfMemory

NO_THREAD = "can't start new thread"
"""What Python says where there is no room for the stack of one."""
_SIGNS = (
    NO_THREAD,
    "not enough memory",
    "cannot allocate memory",
    "allocation error",
    # What Python says where there was no memory even for its MemoryError, as it happens while a module is loaded.
    "error return without exception set",
    "without setting an exception",
    # What the system's loader says of a library that found no room.
    "failed to map segment",
    "cannot create shared object descriptor",
)
_ROOM_TO_LOAD = 64 << 20
"""The catalogue takes half of it, and what runs at the same time the rest."""


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Load modules without the garbage collector, which finds nothing in them and costs a fifth of the loading."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


@contextlib.contextmanager
def memory_explained() -> Iterator[None]:
    """Raise OutOfMemory for whatever of the block failed for want of memory; all else passes as it is."""
    try:
        yield
    except _kinds() as error:
        if not _wants_memory(error):
            raise
        raise out_of_memory() from error


def need_room_to_load() -> None:
    """Raise OutOfMemory where there is no room for more modules.

    Python itself is no help there: it may go round in circles for ever once it has no memory in the middle of loading.
    """
    need_room(_ROOM_TO_LOAD)


def need_room(size: int) -> None:
    """Raise OutOfMemory where the process would not get so many bytes."""
    try:
        mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except (OSError, MemoryError) as error:
        raise out_of_memory() from error


def out_of_memory() -> OutOfMemory:
    """The error for whoever notices it in their own way."""
    return OutOfMemory(
        "Out of memory: the system gave no more",
        subject="memory",
        hint="See: free -m; ulimit -v; systemctl show -p MemoryMax UNIT. The compression lz4 needs less of it",
    )


def _kinds() -> tuple[type[Exception], ...]:
    """The classes that lack of memory comes as; a library that was not imported raises nothing."""
    zstandard = sys.modules.get("zstandard")
    return (
        MemoryError,
        RuntimeError,
        SystemError,
        ImportError,
        OSError,
        ExceptionGroup,
        *([zstandard.ZstdError] if zstandard else []),
    )


def _wants_memory(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(map(_wants_memory, error.exceptions))
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return any(sign in str(error).lower() for sign in _SIGNS)
