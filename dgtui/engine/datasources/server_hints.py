"""What to do next where a database server does not answer."""

import shlex


def connection_hint(host: str, port: int) -> str:
    """The next step when a server does not answer; `host` may be a socket, or the folder of one."""
    if host.startswith("/"):
        return f"Is the server running, and is its socket there? See: ls -la {shlex.quote(host)}"
    return f"Is the server running, and does it listen on {host}:{port}? See: ss -ltn"


def silence_hint(place: str) -> str:
    """The next step where nothing at all comes back from an address: a server that is not there would refuse."""
    return (
        f"Nothing comes back from {place}: does a firewall drop what is sent there, or is the address another one? "
        "A slow network takes a longer `connect_timeout`"
    )
