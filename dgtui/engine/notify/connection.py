"""Connections to receivers that may be gone, frozen or endless: each step has a name, all have one time limit."""

import contextlib
import os
import shlex
import socket
import ssl
import time
from collections.abc import Callable, Iterator

from dgtui.engine.child import printable
from dgtui.engine.errors import DeliveryError
from dgtui.engine.threads import Thread, Timer


class Deadline:
    """A time limit for all the steps of one attempt."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds that are left, never quite none."""
        return max(0.001, self._end - time.monotonic())

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self._end

    @contextlib.contextmanager
    def guarding(self, connection: socket.socket) -> Iterator[None]:
        """End the connection when the time is up, also under a peer that sends a byte now and then."""

        # A descriptor of its own: that of the connection passes to another object when TLS begins.
        with socket.socket(fileno=os.dup(connection.fileno())) as same:
            timer = Timer(self.left, _end, [same])
            timer.daemon = True
            timer.start()
            try:
                yield
            finally:
                timer.cancel()
                timer.join()


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


Commit = Callable[[], None]
"""Called right before the step after which the receiver may have the message."""


def connect(host: str, port: int, deadline: Deadline) -> socket.socket:
    """A connection to a host, by whichever of its addresses answers. Raises DeliveryError."""
    failure = ""
    for family, kind, protocol, address in _addresses(host, port, deadline):
        if deadline.over:
            break
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(deadline.left)
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = _reason(error)
        else:
            return connection
    reason = failure or f"no answer within {deadline.seconds:g} s"
    raise DeliveryError(
        f"Connect to {host} port {port}: {reason}",
        subject=host,
        hint="Is the port right, does the service run, and does a firewall let it through?",
    )


Address = tuple[int, int, int, "tuple[str, int] | tuple[str, int, int, int]"]


def _addresses(host: str, port: int, deadline: Deadline) -> list[Address]:
    """What the name stands for; the system's own time limit for that is not ours to set."""
    found: list[Address] = []
    failures: list[OSError] = []

    def look_up() -> None:
        try:
            for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
                found.append((family, kind, protocol, address))  # type: ignore[arg-type]  # both kinds of address
        except OSError as error:
            failures.append(error)
        except UnicodeError:
            failures.append(OSError("it is no name of a host"))

    thread = Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(deadline.left)
    if failures or not found:
        reason = (failures[0].strerror or str(failures[0])) if failures else f"no answer within {deadline.seconds:g} s"
        raise DeliveryError(
            f"Resolve the name {host}: {reason}", subject=host, hint="Is the name right? Try: getent hosts " + host
        )
    return list(found)


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """A context that proves who the server is. Raises DeliveryError where the file cannot be read."""
    path = os.path.expanduser(ca_file) if ca_file is not None else None  # noqa: PTH111  # an unknown user is no error
    try:
        context = ssl.create_default_context(cafile=path)
    except OSError as error:
        reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else _reason(error)
        raise DeliveryError(
            f"Read the certificates of {path}: {reason}",
            subject=str(path),
            hint=f"Is ca_file of the channel right, and may this user read it? See: ls -l {shlex.quote(str(path))}",
        ) from None
    if path is not None:
        # From Python 3.13 on an authority of one's own, as `openssl req -x509` makes it, would be refused: it does not
        # say what its key is for.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def start_tls(connection: socket.socket, host: str, context: ssl.SSLContext, deadline: Deadline) -> ssl.SSLSocket:
    """Go on in TLS. Raises DeliveryError."""
    try:
        connection.settimeout(deadline.left)
        return context.wrap_socket(connection, server_hostname=host)
    except (OSError, ValueError) as error:
        connection.close()
        raise tls_failure(error, host, deadline) from None


def tls_failure(error: OSError | ValueError, host: str, deadline: Deadline) -> DeliveryError:
    """Why TLS did not come about."""
    hint = "Is this the port for TLS from the start? For mail, 465 is and 587 is not"
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = f"its certificate is not trusted: {error.verify_message}"
        hint = "Name the certificate of its authority in ca_file, or correct the host's name"
    elif isinstance(error, ssl.SSLError):
        reason = (error.reason or "failed").replace("_", " ").lower()
    elif deadline.over or isinstance(error, TimeoutError):
        reason = f"no answer within {deadline.seconds:g} s"
    else:
        reason = _reason(error)
    return DeliveryError(f"TLS with {host}: {reason}", subject=host, hint=hint)


def io_failure(step: str, error: OSError, deadline: Deadline, host: str) -> DeliveryError:
    """Why a step of a conversation failed."""
    over = deadline.over or isinstance(error, TimeoutError)
    reason = f"no answer within {deadline.seconds:g} s" if over else _reason(error)
    return DeliveryError(f"{step}: {reason}", subject=host, hint="Look into the receiver's log")


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer"
    return printable(getattr(error, "strerror", None) or str(error) or type(error).__name__)
