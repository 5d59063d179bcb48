"""Ports for throw-away servers."""

import secrets
import socket

_FIRST, _COUNT = 10_000, 22_000
"""Below the range that the system gives to outgoing connections: none of them takes the port of a stopped server."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on; taken by chance, so that sessions side by side do not meet."""
    while True:
        port = _FIRST + secrets.randbelow(_COUNT)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
