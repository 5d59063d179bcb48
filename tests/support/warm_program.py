"""The interpreter that `warm.py` starts: it loads the program once, and each of its copies runs one worker or command.

An order is a packet of JSON with the descriptors that the copy gets; the first of them is told the copy's pid, and at
the end of a command its exit code.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import sys
import threading
from typing import Any, NoReturn

import dgtui
from dgtui.__main__ import main as run_command
from dgtui.engine.cancellation import ENDING_SIGNALS
from dgtui.engine.worker import main as run_worker

LONGEST_ORDER = 1 << 18
_MOST_DESCRIPTORS = 16
_SCREENS = ("dgtui.app", "dgtui.screens")
_LIBRARIES = ("isal.igzip", "lz4.frame", "psycopg", "pymysql.cursors", "sqlite3", "zstandard")


def _load() -> None:
    for module in pkgutil.walk_packages(dgtui.__path__, "dgtui."):
        if not module.name.startswith((*_SCREENS, "dgtui.__main__")):
            importlib.import_module(module.name)
    for name in _LIBRARIES:
        importlib.import_module(name)


class _Copies:
    """Those that run, and whom to tell of the ends of commands."""

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders
        self._told: dict[int, int] = {}
        self._woken, self._waking = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._waking)

    def next_order(self) -> tuple[dict[str, Any], list[int]]:
        """In a copy, what it has to do; the first interpreter ends here, once nobody is left who gives orders."""
        while True:
            ready, _, _ = select.select([self._orders.fileno(), self._woken], [], [])
            if self._woken in ready:
                os.read(self._woken, 512)
                self._collect()
            if self._orders.fileno() in ready:
                packet, descriptors, _, _ = socket.recv_fds(self._orders, LONGEST_ORDER, _MOST_DESCRIPTORS)
                if not packet:
                    sys.exit()
                order = json.loads(packet)
                told, *rest = descriptors
                # As for a worker that is started by itself: it hears of signals once it listens.
                former = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
                pid = os.fork()
                if pid or order["command"] is not None:
                    signal.pthread_sigmask(signal.SIG_SETMASK, former)
                if not pid:
                    self._let_go(told)
                    return order, rest
                os.write(told, f"{pid}\n".encode())
                if order["command"] is None:
                    os.close(told)
                else:
                    self._told[pid] = told
                for descriptor in rest:
                    os.close(descriptor)

    def _collect(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if os.WIFSIGNALED(status):
                # Shown where the test fails: of who died so, nobody else tells by what.
                print(f"{pid} of the warm interpreter ended by signal {os.WTERMSIG(status)}", file=sys.stderr)
            if (told := self._told.pop(pid, None)) is not None:
                with contextlib.suppress(BrokenPipeError):  # the caller waited no longer
                    os.write(told, f"{os.waitstatus_to_exitcode(status)}\n".encode())
                os.close(told)

    def _let_go(self, told: int) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._orders.close()
        for descriptor in (self._woken, self._waking, told, *self._told.values()):
            os.close(descriptor)


def _become(order: dict[str, Any], streams: list[int]) -> None:
    os.chdir(order["folder"])
    os.umask(order["umask"])
    os.environ.clear()
    os.environ.update(order["environment"])
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)


def _carry_out(order: dict[str, Any], descriptors: list[int]) -> int:
    if order["command"] is not None:
        _become(order, descriptors)
        sys.argv[1:] = order["command"]
        return run_command()
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    _become(order, [nothing, os.dup(nothing), descriptors[0]])
    run_worker([*order["worker"], *map(str, descriptors[1:])])
    return 0


def _end(code: int) -> NoReturn:
    """As an interpreter ends, but without taking apart what all copies share, which would cost a third of it all."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _main() -> NoReturn:
    gc.disable()
    _load()
    gc.freeze()
    gc.enable()
    # Whoever began this interpreter may have held them back for a worker.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING_SIGNALS)
    order, descriptors = _Copies(socket.socket(fileno=int(sys.argv[1]))).next_order()
    code = 1
    try:
        code = _carry_out(order, descriptors)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except BaseException:  # noqa: BLE001  # shown as an interpreter shows it
        sys.excepthook(*sys.exc_info())
    _end(code)


if __name__ == "__main__":
    _main()
