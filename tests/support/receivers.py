"""Receivers of notifications: a mail server and a web server in threads of the test, which can misbehave."""

import base64
import contextlib
import http.client
import http.server
import json
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.support.homes import PATIENCE_SECONDS
from tests.support.ports import free_port

LOGIN = ("watcher", "tr0ub4dor&3")


class Authority:
    """A certificate authority of a test, and contexts of servers that it vouches for."""

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        self.file = folder / "authority.pem"
        self._authority.cert_pem.write_to_path(self.file)

    def server_context(self, name: str = "localhost") -> ssl.SSLContext:
        """A context for a server of this name."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(name).configure_cert(context)
        return context


class MailServer:
    """A real SMTP server; what it got is in `mails`."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.envelopes: list[list[str]] = []
        self.refused_recipients: set[str] = set()
        self.put_off_recipients: set[str] = set()
        self.data_answer = "250 taken"
        self.arrived = threading.Event()
        self.port = 0

    async def handle_RCPT(  # noqa: N802  # the server calls it so
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.refused_recipients:
            return "550 no such mailbox"
        if address in self.put_off_recipients:
            return "450 come again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.data_answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            mail = message_from_bytes(envelope.content, policy=default)
            assert isinstance(mail, EmailMessage)
            self.mails.append(mail)
            self.envelopes.append(list(envelope.rcpt_tos))
            self.arrived.set()
        return self.data_answer


def _check_login(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
    assert isinstance(data, LoginPassword)
    good = (data.login.decode(), data.password.decode()) == LOGIN
    return AuthResult(success=good, handled=False)


@contextlib.contextmanager
def mail_server(
    *,
    starttls: ssl.SSLContext | None = None,
    tls: ssl.SSLContext | None = None,
    login: bool = False,
    international: bool = False,
) -> Iterator[MailServer]:
    """A mail server on a free port of this machine; `international` is one that takes any letters in addresses."""
    server = MailServer()
    options: dict[str, Any] = {"enable_SMTPUTF8": international}
    if login:
        options |= {"authenticator": _check_login, "auth_required": True, "auth_require_tls": starttls is not None}
    controller = Controller(
        server,
        hostname="127.0.0.1",
        port=free_port(),
        ssl_context=tls,
        tls_context=starttls,
        ready_timeout=PATIENCE_SECONDS,
        **options,
    )
    controller.start()
    server.port = controller.port
    try:
        yield server
    finally:
        controller.stop()


@dataclass
class Request:
    """What a web server was asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


@dataclass
class WebServer:
    """A real HTTP server; what it got is in `requests`."""

    port: int = 0
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    answer: bytes = b""
    requests: list[Request] = field(default_factory=list)
    hold: threading.Event | None = None
    """Where set, a request is taken and not answered until the event is set."""
    arrived: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """An address that it answers at."""
        return f"http://127.0.0.1:{self.port}/hook/t0ken-in-the-path"


PROXY_PASSWORD = "pr0xy-s3cret"


@dataclass
class Forwarder:
    """A real HTTP proxy to ports of this machine, by whichever name they are asked for."""

    port: int = 0
    asked: list[str] = field(default_factory=list)
    """What it was asked for by those who gave name and password."""


@contextlib.contextmanager
def http_proxy() -> Iterator[Forwarder]:
    """A proxy on a free port of this machine; it lets in the user `watcher` alone."""
    state = Forwarder()
    login = "Basic " + base64.b64encode(f"watcher:{PROXY_PASSWORD}".encode()).decode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            if self._lets_in():
                with socket.create_connection(("127.0.0.1", int(self.path.rpartition(":")[2]))) as target:
                    self.send_response(200)
                    self.end_headers()
                    _pass_on(self.connection, target)

        def do_POST(self) -> None:
            if self._lets_in():
                url = urlsplit(self.path)
                client = http.client.HTTPConnection("127.0.0.1", url.port)
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name: value for name, value in self.headers.items() if name != "Proxy-Authorization"}
                client.request("POST", f"{url.path}?{url.query}", body, headers)
                self.send_response(client.getresponse().status)
                self.end_headers()
                client.close()

        def _lets_in(self) -> bool:
            self.close_connection = True
            if self.headers["Proxy-Authorization"] != login:
                self.send_error(407)
                return False
            state.asked.append(f"{self.command} {self.path}")
            return True

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    state.port = server.server_port
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    """Pass on what either side says, until one of them ends."""
    while True:
        readable, _, _ = select.select([one, other], [], [])
        for source in readable:
            try:
                content = source.recv(65536)
                (other if source is one else one).sendall(content)
            except OSError:
                return
            if not content:
                return


@contextlib.contextmanager
def web_server(context: ssl.SSLContext | None = None) -> Iterator[WebServer]:
    """A web server on a free port of this machine."""
    state = WebServer()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self._take()

        def do_GET(self) -> None:
            self._take()

        def _take(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            state.requests.append(Request(self.command, self.path, dict(self.headers), body))
            state.arrived.set()
            if state.hold is not None:
                state.hold.wait(120)
            with contextlib.suppress(OSError):
                self.send_response(state.status)
                for name, value in state.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(state.answer)))
                self.end_headers()
                self.wfile.write(state.answer)

        def log_message(self, *_: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        if state.hold is not None:
            state.hold.set()
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def frozen_server() -> Iterator[int]:
    """The port of a server that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        yield int(listener.getsockname()[1])


def closed_port() -> int:
    """A port that nobody listens at."""
    return free_port()
