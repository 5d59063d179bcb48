"""Ports for throw-away servers."""

import secrets
import socket

_FIRST, _COUNT = 10_000, 22_000
"""Below the range that the system gives to outgoing connections: none of them takes the port of a stopped server."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on; taken by chance, so that sessions side by side do not meet."""
    with listening() as probe:
        return int(probe.getsockname()[1])


def listening() -> socket.socket:
    """A server's socket on such a port, which nobody takes while it is closed for a time and opened again."""
    while True:
        try:
            return socket.create_server(("127.0.0.1", _FIRST + secrets.randbelow(_COUNT)))
        except OSError:
            continue
