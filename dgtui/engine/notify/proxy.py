"""The proxy that the environment names for a URL: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`.

Its name and password are shown nowhere.
"""

import base64
import http.client
import ipaddress
import socket
from urllib.parse import unquote, urlsplit

import msgspec

from dgtui.engine.child import printable, redact
from dgtui.engine.errors import DeliveryError
from dgtui.engine.notify.connection import Deadline, connect, io_failure

_PORT = 80
_HINT = "See HTTPS_PROXY and HTTP_PROXY of the environment, such as http://proxy:3128; NO_PROXY names what needs none"


class Proxy(msgspec.Struct, frozen=True):
    """A proxy that speaks HTTP."""

    host: str
    port: int
    username: str | None = None
    password: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """What it is to be told besides the request: name and password, where the environment holds them."""
        if self.username is None:
            return {}
        login = f"{self.username}:{self.password}".encode()
        return {"Proxy-Authorization": f"Basic {base64.b64encode(login).decode()}"}

    def connected(self, deadline: Deadline) -> socket.socket:
        """A connection to the proxy itself. Raises DeliveryError."""
        try:
            return connect(self.host, self.port, deadline)
        except DeliveryError as error:
            raise DeliveryError(f"Through the proxy: {error.message}", subject=self.host, hint=_HINT) from None

    def tunnel(self, host: str, port: int, deadline: Deadline) -> socket.socket:
        """A connection to a host, through which the proxy lets everything pass. Raises DeliveryError."""
        connection = self.connected(deadline)
        try:
            with deadline.guarding(connection):
                self._ask_for(place_text(host, port), connection, deadline)
        except BaseException:
            connection.close()
            raise
        return connection

    def _ask_for(self, place: str, connection: socket.socket, deadline: Deadline) -> None:
        step = self._name
        lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        answer = http.client.HTTPResponse(connection, method="CONNECT")
        try:
            connection.settimeout(deadline.left)
            connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("ascii"))
            answer.begin()
        except http.client.HTTPException:
            raise io_failure(step, OSError("what answers there is no proxy"), deadline, self.host) from None
        except OSError as error:
            raise io_failure(step, error, deadline, self.host) from None
        finally:
            answer.close()
        if not 200 <= answer.status < 300:
            raise self.refusal(answer.status, answer.reason)

    def refusal(self, status: int, reason: str) -> DeliveryError:
        """The error where the proxy itself does not let a request pass."""
        said = printable(redact(reason, [self.password, *self.headers.values()]))[:300]
        return DeliveryError(f"{self._name} answers {status} {said}".rstrip(), subject=self.host, hint=_HINT)

    @property
    def _name(self) -> str:
        return f"The proxy {self.host} port {self.port}"


def proxy_for(scheme: str, host: str, port: int) -> Proxy | None:
    """The proxy to a host; None where there is none, and to this machine itself. Raises DeliveryError."""
    if _is_here(host):
        return None
    # Loaded here: every run loads this file, and few send anything.
    from urllib.request import getproxies_environment, proxy_bypass

    proxies = getproxies_environment()
    url = proxies.get(scheme) or proxies.get("all")
    if not url or proxy_bypass(place_text(host, port)):
        return None
    return _parsed(url)


def place_text(host: str, port: int) -> str:
    """Host and port, as HTTP writes them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_here(host: str) -> bool:
    """Whether it is a name of this machine, which means another one at the proxy."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _parsed(url: str) -> Proxy:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port or _PORT
    except ValueError:
        raise DeliveryError("The proxy that the environment names is no URL", hint=_HINT) from None
    if parts.scheme != "http" or not parts.hostname:
        raise DeliveryError(
            f"The proxy that the environment names is one of {parts.scheme}, and only http is spoken with proxies",
            hint=_HINT,
        )
    username = None if parts.username is None else unquote(parts.username)
    return Proxy(host=parts.hostname, port=port, username=username, password=unquote(parts.password or ""))
