"""Memory: whichever library lacks it, the error is ours, and nothing is loaded where there is no room."""

import subprocess
import sys

import pytest

from dgtui.engine.errors import OutOfMemory
from dgtui.engine.memory import memory_explained

_ASK = """
import resource
from dgtui.engine.errors import OutOfMemory
from dgtui.engine.memory import need_room_to_load
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

_BEGIN = """
import mmap, os, resource, signal
from dgtui.engine.threads import Thread

def begin(room):
    signal.alarm(60)
    held, number = [None] * 2_000_000, 0
    place = mmap.mmap(-1, room, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    thread = Thread(target=int)
    with open("/proc/self/statm") as numbers:
        taken = int(numbers.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken, resource.RLIM_INFINITY))
    for size in (200_000, 4000, 400, 48):
        try:
            while True:
                held[number] = bytes(size)
                number += 1
        except MemoryError:
            pass
    place.close()
    try:
        thread.start()
    except RuntimeError:
        pass

for pages in range(0, 100, 2):
    if not (pid := os.fork()):
        begin((8 << 20) + pages * 4096)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    assert status == 0, (pages, status)
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


def test_nobody_waits_for_a_thread_that_has_no_room_to_begin() -> None:
    """Room for its stack, and more or less of it for its first steps."""
    subprocess.run([sys.executable, "-c", _BEGIN], check=True)
