"""Telling systemd how the daemon stands (sd_notify); without systemd nothing is sent."""

import contextlib
import os
import socket
import time
from collections.abc import Mapping


class SystemdNotifier:
    """Sends states to the socket that `NOTIFY_SOCKET` names."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        environment = os.environ if environment is None else environment
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        for_us = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        timeout = environment.get("WATCHDOG_USEC", "")
        self.watchdog_seconds = int(timeout) / 1_000_000 if for_us and timeout.isdecimal() and int(timeout) else None
        """Within how many seconds systemd wants to hear from us; None where it does not."""

    def ready(self, status: str) -> None:
        """The daemon works, or works again after a reload."""
        self._send("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """The configuration is being read again; `ready` follows."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """The daemon is coming to its end."""
        self._send("STOPPING=1", "STATUS=stopping")

    def status(self, status: str) -> None:
        """A sentence on how it stands."""
        self._send(f"STATUS={status}")

    def alive(self) -> None:
        """The main loop goes on."""
        if self.watchdog_seconds is not None:
            self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if self._address is None:
            return
        text = "\n".join(" ".join(line.splitlines()) for line in lines)
        # A socket that is gone or full is no reason to stop guarding.
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out,
        ):
            out.setblocking(False)
            out.sendto(text.encode(), self._address)


def _address(text: str) -> str | None:
    """The socket's address; `@` begins a name in the abstract space."""
    if text.startswith("@"):
        return "\0" + text[1:]
    return text if text.startswith("/") else None
