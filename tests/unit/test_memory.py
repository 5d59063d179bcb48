"""Memory: whichever library lacks it, the error is ours, and nothing is loaded where there is no room."""

import subprocess
import sys

import pytest

from dgtui.engine.memory import OutOfMemory, memory_explained

_ASK = """
import resource
from dgtui.engine.memory import OutOfMemory, need_room_to_load
with open("/proc/self/statm") as numbers:
    taken = int(numbers.read().split()[0]) * resource.getpagesize()
for room, enough in ((32 << 20, False), (128 << 20, True)):
    resource.setrlimit(resource.RLIMIT_AS, (taken + room, resource.RLIM_INFINITY))
    try:
        need_room_to_load()
    except OutOfMemory:
        assert not enough, room
    else:
        assert enough, room
"""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        ImportError("_hashlib.so: failed to map segment from shared object"),
        ImportError("libpq.so.5: cannot create shared object descriptor: Cannot allocate memory"),
        SystemError("error return without exception set"),
    ],
)
def test_lack_of_memory_is_told_as_such_by_whatever_it_comes(error: Exception) -> None:
    with pytest.raises(OutOfMemory, match="Out of memory"), memory_explained():
        raise error


def test_a_module_that_is_not_there_is_not_called_lack_of_memory() -> None:
    with pytest.raises(ImportError, match="No module"), memory_explained():
        raise ModuleNotFoundError("No module named 'absent'")


def test_room_to_load_is_asked_for_before_loading() -> None:
    """In a process of its own, whose limits are its own."""
    subprocess.run([sys.executable, "-c", _ASK], check=True)
