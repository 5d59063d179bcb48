"""Webhooks: a POST of JSON with a signature, to this host and no other."""

import base64
import hashlib
import hmac
import http.client
import re
import socket
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

import msgspec

from dgtui.config.channels import WebhookSettings
from dgtui.engine.child import printable, redact
from dgtui.engine.errors import DeliveryError
from dgtui.engine.notify.connection import Commit, Deadline, connect, io_failure, start_tls, tls_context
from dgtui.engine.notify.message import Message
from dgtui.engine.notify.proxy import Proxy, place_text, proxy_for
from dgtui.engine.secrets import fetch_secret

TIMESTAMP_HEADER = "X-DataGuardian-Timestamp"
SIGNATURE_HEADER = "X-DataGuardian-Signature"
_MOST_REDIRECTS = 3
_MOST_READ = 65536
_SHORTEST_SECRET = 6
_PROXY_WANTS_LOGIN = 407
_NOT_NOW = (408, 425, 429)
_KEEPING_METHOD = (307, 308)
_REDIRECTIONS = (301, 302, 303, *_KEEPING_METHOD)


def send_webhook(name: str, settings: WebhookSettings, message: Message, commit: Commit, deadline: Deadline) -> None:
    """Send a message. Raises DeliveryError, ConfigError."""
    url = fetch_secret(settings.url, subject=f"channels.{name}.url")
    key = None
    if settings.signing_key is not None:
        key = fetch_secret(settings.signing_key, subject=f"channels.{name}.signing_key")
    body = msgspec.json.encode({"version": "1", **msgspec.to_builtins(message)})
    headers = {"Content-Type": "application/json", "Idempotency-Key": message.delivery_id}
    if key is not None:
        timestamp = str(int(time.time()))
        headers[TIMESTAMP_HEADER] = timestamp
        headers[SIGNATURE_HEADER] = signature(key, timestamp, body)
    request(url, "POST", body, headers, ca_file=settings.ca_file, commit=commit, deadline=deadline)


def try_webhook(name: str, settings: WebhookSettings, deadline: Deadline) -> str:
    """Connect and ask for nothing; the host for people. Raises DeliveryError, ConfigError."""
    url = fetch_secret(settings.url, subject=f"channels.{name}.url")
    if settings.signing_key is not None:
        fetch_secret(settings.signing_key, subject=f"channels.{name}.signing_key")
    parts = _parts(url)
    host, port = _place(parts)
    _connected(parts, proxy_for(parts.scheme, host, port), settings.ca_file, deadline).close()
    return f"{host} port {port}"


def signature(key: str, timestamp: str, body: bytes) -> str:
    """`sha256=` and the HMAC-SHA256 of timestamp, a full stop, and the body, in hexadecimal digits."""
    content = timestamp.encode() + b"." + body
    return "sha256=" + hmac.new(key.encode(), content, hashlib.sha256).hexdigest()


def request(
    url: str,
    method: str,
    body: bytes | None,
    headers: Mapping[str, str],
    *,
    ca_file: str | None,
    commit: Commit,
    deadline: Deadline,
) -> None:
    """Make a request and expect success; no error holds more of the URL than its host. Raises DeliveryError."""
    parts = _parts(url)
    for _ in range(_MOST_REDIRECTS + 1):
        answer = _one_request(parts, method, body, headers, ca_file=ca_file, commit=commit, deadline=deadline)
        if 200 <= answer.status < 300:
            return
        if answer.status not in _REDIRECTIONS or not answer.location:
            raise _refusal(answer, url, parts)
        parts = _followed(parts, answer)
    raise DeliveryError(
        f"{parts.hostname} redirects without an end", subject=str(parts.hostname), hint="Correct the URL"
    )


def _followed(parts: SplitResult, answer: "_Answer") -> SplitResult:
    """Where the receiver wants the message to go: nowhere but at the same place, and not where it would be lost."""
    what = f"{parts.hostname} answers {answer.status}"
    try:
        target = _parts(urljoin(parts.geturl(), answer.location))
    except (ValueError, DeliveryError):
        raise DeliveryError(
            f"{what} and names a place that is no URL of http or https",
            subject=str(parts.hostname),
            hint="Is the URL right? Look into the receiver's log",
        ) from None
    if _origin(target) == _origin(parts):
        if answer.status in _KEEPING_METHOD:
            return target
        raise DeliveryError(
            f"{what} and sends on to another path, but not what it was sent",
            subject=str(parts.hostname),
            hint="Only 307 and 308 are followed; correct the URL: curl -si with it shows the path under Location",
        )
    raise DeliveryError(
        f"{what} and wants the message to go to {_origin_text(target)}",
        subject=str(parts.hostname),
        hint="Messages are not sent to other places than the one that is configured; correct the URL",
    )


class _Answer(msgspec.Struct, frozen=True):
    status: int
    reason: str
    location: str
    text: str
    asked_to_wait: float


def _one_request(
    parts: SplitResult,
    method: str,
    body: bytes | None,
    headers: Mapping[str, str],
    *,
    ca_file: str | None,
    commit: Commit,
    deadline: Deadline,
) -> _Answer:
    host, port = _place(parts)
    proxy = proxy_for(parts.scheme, host, port)
    connection = _connected(parts, proxy, ca_file, deadline)
    client = http.client.HTTPConnection(host, port, timeout=deadline.left)
    client.sock = connection
    headers = {"User-Agent": "dgtui", "Connection": "close", **_login(parts), **headers}
    # Without TLS the proxy is asked to ask; through the tunnel of TLS the receiver alone can answer.
    asked = proxy if parts.scheme == "http" else None
    if asked is not None:
        headers |= asked.headers
    with deadline.guarding(connection), connection:
        try:
            # From here on the receiver may take it, whatever becomes of its answer.
            commit()
            client.request(method, _request_target(parts, asked), body, headers)
            response = client.getresponse()
            text = response.read(_MOST_READ) if response.status >= 300 else b""
        except http.client.HTTPException as error:
            silent = isinstance(error, http.client.RemoteDisconnected)
            reason = "the connection was ended without an answer" if silent else "the answer is no HTTP"
            raise io_failure(f"The answer of {host}", OSError(reason), deadline, host) from None
        except (OSError, ValueError) as error:
            cause = error if isinstance(error, OSError) else OSError("the URL cannot be asked for")
            raise io_failure(f"The answer of {host}", cause, deadline, host) from None
    if asked is not None and response.status == _PROXY_WANTS_LOGIN:
        raise asked.refusal(response.status, response.reason)
    return _Answer(
        response.status,
        response.reason,
        response.getheader("Location") or "",
        text.decode("utf-8", "replace"),
        _seconds_of(response.getheader("Retry-After") or ""),
    )


def _request_target(parts: SplitResult, proxy: Proxy | None) -> str:
    """Which resource is asked for: of a proxy with the receiver's name."""
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return path if proxy is None else f"http://{place_text(*_place(parts))}{path}"


def _seconds_of(retry_after: str) -> float:
    """What `Retry-After` asks for, as seconds or as a date; 0 where it says neither."""
    text = retry_after.strip()
    if text.isascii() and text.isdecimal():
        return float(text)
    try:
        return parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, OverflowError):
        return 0.0


def _login(parts: SplitResult) -> dict[str, str]:
    """What `https://name:password@host/` asks for."""
    if parts.username is None:
        return {}
    login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}


def _place(parts: SplitResult) -> tuple[str, int]:
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _connected(parts: SplitResult, proxy: Proxy | None, ca_file: str | None, deadline: Deadline) -> socket.socket:
    host, port = _place(parts)
    if parts.scheme != "https":
        return connect(host, port, deadline) if proxy is None else proxy.connected(deadline)
    context = tls_context(ca_file)
    connection = connect(host, port, deadline) if proxy is None else proxy.tunnel(host, port, deadline)
    # Whoever stands between proves nothing by that.
    return start_tls(connection, host, context, deadline)


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port)
    except ValueError:
        usable = False
    if not usable or any(character <= " " or character == "\x7f" for character in url):
        raise DeliveryError(
            "The URL is none of http or https", hint="It begins with https:// and has no blank or line break in it"
        )
    if not f"{parts.path}{parts.query}{parts.username}{parts.password}".isascii():
        raise DeliveryError(
            "The URL holds what is not ASCII", hint="Write it as the receiver shows it, such as %C3%BC for an ü"
        )
    return parts


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    return (parts.scheme, *_place(parts))


def _origin_text(parts: SplitResult) -> str:
    port = f":{parts.port}" if parts.port is not None else ""
    return f"{parts.scheme}://{parts.hostname}{port}"


def _refusal(answer: _Answer, url: str, parts: SplitResult) -> DeliveryError:
    said = " ".join(answer.text.split())
    # A receiver may say back what it was asked, and with it the token in the URL.
    secrets = [url, parts.path if len(parts.path) > 3 else "", parts.query, unquote(parts.password or "")]
    secrets += [part for part in re.split(r"[/=&]", f"{parts.path}&{parts.query}") if len(part) >= _SHORTEST_SECRET]
    secrets += [login.removeprefix("Basic ") for login in _login(parts).values()]
    text = printable(redact(f"{answer.reason} {said}".strip(), secrets))[:300]
    return DeliveryError(
        f"{parts.hostname} answers {answer.status} {text}".rstrip(),
        subject=str(parts.hostname),
        hint=_next_step(answer.status),
        asked_to_wait=answer.asked_to_wait,
    )


def _next_step(status: int) -> str:
    if status in _NOT_NOW:
        return "The receiver may take it later, and what waits is tried again; where it lasts, look into its log"
    if status >= 500:
        return "Look into the receiver's log"
    return "Is the URL right, and does the receiver know what to do with this JSON?"
