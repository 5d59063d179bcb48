"""Copying from one pipe to another what stays in the first one as well: Linux's tee(2), which Python does not have."""

import ctypes
import os
from functools import cache

_AT_ONCE = getattr(os, "SPLICE_F_NONBLOCK", 0x02)


def tee(source: int, target: int, at_most: int) -> int:
    """Copy up to `at_most` bytes that wait in the pipe `source` to the pipe `target`; how many, without waiting.

    0 where none wait, where there is no room for any or nobody to read them, where one is no pipe, and on systems
    without it: read and write will tell which.
    """
    system_call = _system_call()
    return max(system_call(source, target, at_most, _AT_ONCE), 0) if system_call is not None else 0


@cache
def _system_call() -> "ctypes._NamedFuncPointer | None":
    try:
        found = ctypes.CDLL(None).tee
    except AttributeError:
        return None
    found.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_size_t, ctypes.c_uint)
    found.restype = ctypes.c_ssize_t
    return found
