"""Channels against real receivers: what arrives, and the exact step of each failure."""

import base64
import concurrent.futures
import contextlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest

from dgtui.config.channels import AppriseSettings, ChannelSettings, EmailSettings, WebhookSettings
from dgtui.engine.errors import DataGuardianError
from dgtui.engine.notify.apprise_sender import _Listener
from dgtui.engine.notify.channels import send, try_channel
from dgtui.engine.notify.message import Message
from dgtui.engine.notify.webhook_sender import SIGNATURE_HEADER, TIMESTAMP_HEADER, signature
from dgtui.engine.settings import Duration
from tests.support.certificates import make_certificate, need_openssl
from tests.support.receivers import (
    LOGIN,
    PROXY_PASSWORD,
    Authority,
    Forwarder,
    closed_port,
    frozen_server,
    http_proxy,
    mail_server,
    web_server,
)

MESSAGE = Message(
    delivery_id="6f9619ff-8b86-d011-b42d-00cf4fc964ff",
    created_at=datetime(2025, 2, 13, 6, 0, 1, tzinfo=UTC),
    host="db01",
    severity="critical",
    title="shop antwortet nicht mehr\r\nBcc: everybody@example.org",
    text="größer als\n.\nein Punkt allein\n" + "x" * 2000,
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


def mail(port: int, **others: object) -> EmailSettings:
    settings = EmailSettings(
        host="localhost", port=port, tls="none", sender="dgtui@example.org", recipients=("dba@example.org",)
    )
    return msgspec.structs.replace(settings, **others)


def hook(url: str, **others: object) -> WebhookSettings:
    return msgspec.structs.replace(WebhookSettings(url=url), **others)


def sent(settings: ChannelSettings, *, seconds: float = 30) -> tuple[str, int]:
    """What was odd, and how often the message was said to be handed over."""
    commits: list[None] = []
    taken = send("ops", settings, MESSAGE, commit=lambda: commits.append(None), seconds=seconds)
    assert taken.put_off == ()
    return taken.odd, len(commits)


def failure(settings: ChannelSettings, *, seconds: float = 30) -> tuple[str, int]:
    """The error's text, and how often the message was said to be handed over before it."""
    commits: list[None] = []
    with pytest.raises(DataGuardianError) as caught:
        send("ops", settings, MESSAGE, commit=lambda: commits.append(None), seconds=seconds)
    for secret in (LOGIN[1], "t0ken-in-the-path"):
        assert secret not in f"{caught.value.message} {caught.value.subject} {caught.value.hint}"
    assert caught.value.hint
    return caught.value.message, len(commits)


def hint(settings: ChannelSettings) -> str:
    """What the error says to do next."""
    with pytest.raises(DataGuardianError) as caught:
        send("ops", settings, MESSAGE, commit=lambda: None, seconds=30)
    return caught.value.hint


def test_a_mail_arrives_whole_and_takes_no_header_from_its_text() -> None:
    with mail_server() as server:
        assert sent(mail(server.port, recipients=("dba@example.org", "ops@example.org"))) == ("", 1)
    (got,) = server.mails
    assert server.envelopes == [["dba@example.org", "ops@example.org"]]
    assert got["Subject"] == "[DataGuardian db01] CRITICAL: shop antwortet nicht mehr Bcc: everybody@example.org"
    assert got["Bcc"] is None
    assert got["Message-ID"] == "<6f9619ff-8b86-d011-b42d-00cf4fc964ff@example.org>"
    assert parsedate_to_datetime(got["Date"]) == MESSAGE.created_at
    assert got.get_content().replace("\r\n", "\n") == MESSAGE.text + "\n"


@pytest.mark.parametrize("kind", ["starttls", "tls"])
def test_a_mail_goes_through_tls_with_a_login(authority: Authority, kind: str) -> None:
    context, begins_plain = authority.server_context(), kind == "starttls"
    # The stand-in only takes logins that begin without TLS under STARTTLS.
    tls = {"starttls": context, "tls": None} if begins_plain else {"starttls": None, "tls": context}
    with mail_server(starttls=tls["starttls"], tls=tls["tls"], login=begins_plain) as server:
        settings = mail(server.port, tls=kind, ca_file=str(authority.file))
        if kind == "starttls":
            settings = msgspec.structs.replace(settings, username=LOGIN[0], password=LOGIN[1])
        assert sent(settings) == ("", 1)
    assert len(server.mails) == 1


def test_a_wrong_password_is_told_as_such(authority: Authority) -> None:
    with mail_server(starttls=authority.server_context(), login=True) as server:
        settings = mail(
            server.port, tls="starttls", ca_file=str(authority.file), username=LOGIN[0], password="not-this-one"
        )
        message, commits = failure(settings)
    assert message.startswith("Log in at localhost as watcher was refused: 535")
    assert "not-this-one" not in message
    assert commits == 0
    assert server.mails == []


def test_a_certificate_that_nobody_trusts_is_told_as_such(authority: Authority) -> None:
    with mail_server(starttls=authority.server_context()) as server:
        message, commits = failure(mail(server.port, tls="starttls"))
    assert message.startswith("TLS with localhost: its certificate is not trusted:")
    assert commits == 0
    with web_server(authority.server_context("elsewhere.example")) as web:
        url = f"https://localhost:{web.port}/"
        message, commits = failure(hook(url, ca_file=str(authority.file)))
        assert message.startswith("TLS with localhost: its certificate is not trusted: Hostname mismatch")
        assert (commits, web.requests) == (0, [])


def test_an_authority_of_ones_own_that_does_not_say_what_its_key_is_for(tmp_path: Path) -> None:
    """That is how openssl makes one, and from Python 3.13 on that would be refused."""
    need_openssl()
    own = make_certificate(tmp_path, "ca")
    certificate = make_certificate(tmp_path, "localhost", authority=own)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    with mail_server(tls=context) as server:
        assert sent(mail(server.port, tls="tls", ca_file=str(own))) == ("", 1)


def test_certificates_that_cannot_be_read_are_told_before_anybody_is_connected_to(authority: Authority) -> None:
    with mail_server(tls=authority.server_context()) as server:
        message, commits = failure(mail(server.port, tls="tls", ca_file="/nowhere/ca.pem"))
    assert (message, commits) == ("Read the certificates of /nowhere/ca.pem: No such file or directory", 0)
    with web_server(authority.server_context()) as web:
        message, commits = failure(hook(f"https://localhost:{web.port}/", ca_file="/nowhere/ca.pem"))
    assert (message, commits) == ("Read the certificates of /nowhere/ca.pem: No such file or directory", 0)


def test_a_server_that_waits_for_tls_from_the_start_is_guessed(authority: Authority) -> None:
    with mail_server(tls=authority.server_context()) as server:
        settings = mail(server.port, timeout=Duration(1))
        assert failure(settings)[0] == "The greeting of localhost: no answer within 1 s"
        assert "set tls to tls" in hint(settings)


def test_a_server_without_starttls_gets_nothing() -> None:
    with mail_server() as server:
        message, _ = failure(mail(server.port, tls="starttls"))
    assert message == "STARTTLS with localhost: the server does not offer it"
    assert server.mails == []


def test_one_refused_recipient_keeps_it_from_no_other() -> None:
    with mail_server() as server:
        server.refused_recipients = {"gone@example.org"}
        odd, _ = sent(mail(server.port, recipients=("gone@example.org", "dba@example.org")))
        assert odd == "Refused recipients: gone@example.org: 550 no such mailbox"
        assert server.envelopes == [["dba@example.org"]]
        message, commits = failure(mail(server.port, recipients=("gone@example.org",)))
        assert message == "localhost refuses every recipient: gone@example.org: 550 no such mailbox"
        assert commits == 0


def test_a_mail_that_the_server_does_not_take_is_told_with_its_words() -> None:
    with mail_server() as server:
        server.data_answer = "452 no room"
        assert failure(mail(server.port)) == ("The message at localhost was refused: 452 no room", 1)
        assert "later" in hint(mail(server.port))


def test_greylisting_is_not_told_as_wrong_addresses() -> None:
    with mail_server() as server:
        server.put_off_recipients = {"dba@example.org"}
        to_one = mail(server.port, recipients=("dba@example.org",))
        assert failure(to_one) == ("localhost puts off every recipient: dba@example.org: 450 come again later", 0)
        assert "later" in hint(to_one)
        server.refused_recipients = {"gone@example.org"}
        to_both = mail(server.port, recipients=("dba@example.org", "gone@example.org"))
        assert failure(to_both)[0].startswith("localhost refuses every recipient: dba@example.org: 450")


def test_a_server_that_wants_a_login_is_told_as_such(authority: Authority) -> None:
    with mail_server(starttls=authority.server_context(), login=True) as server:
        asked = mail(server.port, tls="starttls", ca_file=str(authority.file))
        assert failure(asked) == ("The sender dgtui@example.org was refused: 530 5.7.0 Authentication required", 0)
        assert "login" in hint(asked)


@pytest.mark.parametrize("kind", ["mail", "hook"])
def test_nobody_there_and_no_such_name(kind: str) -> None:
    port = closed_port()
    settings: ChannelSettings = mail(port) if kind == "mail" else hook(f"http://localhost:{port}/t0ken-in-the-path")
    assert failure(settings) == (f"Connect to localhost port {port}: Connection refused", 0)
    name = "no-such-host.invalid"
    settings = mail(port, host=name) if kind == "mail" else hook(f"https://{name}/t0ken-in-the-path")
    message, commits = failure(settings)
    assert message.startswith(f"Resolve the name {name}: ")
    assert commits == 0


def test_a_frozen_receiver_costs_its_time_limit_and_no_more(authority: Authority) -> None:
    limit = Duration(1)
    with frozen_server() as port:
        begun = time.monotonic()
        assert failure(mail(port, timeout=limit)) == ("The greeting of localhost: no answer within 1 s", 0)
        assert failure(mail(port, tls="tls", timeout=limit)) == ("TLS with localhost: no answer within 1 s", 0)
        url = f"http://localhost:{port}/"
        assert failure(hook(url, timeout=limit)) == ("The answer of localhost: no answer within 1 s", 1)
        assert time.monotonic() - begun < 60


def test_a_webhook_gets_signed_json() -> None:
    with web_server() as web:
        assert sent(hook(web.url, signing_key="k3y")) == ("", 1)
    (got,) = web.requests
    assert (got.method, got.path) == ("POST", "/hook/t0ken-in-the-path")
    assert got.headers["Idempotency-Key"] == MESSAGE.delivery_id
    assert got.headers[SIGNATURE_HEADER] == signature("k3y", got.headers[TIMESTAMP_HEADER], got.body)
    assert abs(int(got.headers[TIMESTAMP_HEADER]) - time.time()) < 300
    assert got.json["title"] == MESSAGE.title
    assert (got.json["version"], got.json["severity"]) == ("1", "critical")


def test_a_webhook_goes_through_tls(authority: Authority) -> None:
    with web_server(authority.server_context()) as web:
        settings = hook(f"https://localhost:{web.port}/x?y=1", ca_file=str(authority.file))
        assert sent(settings) == ("", 1)
    assert web.requests[0].path == "/x?y=1"


@pytest.fixture
def forwarder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Forwarder]:
    """A proxy that asks for a name and a password, and that the environment names."""
    with http_proxy() as proxy:
        for name in ("HTTPS_PROXY", "HTTP_PROXY"):
            monkeypatch.setenv(name, f"http://watcher:{PROXY_PASSWORD}@127.0.0.1:{proxy.port}")
        for name in ("https_proxy", "http_proxy", "ALL_PROXY", "all_proxy", "no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        yield proxy


def test_a_webhook_goes_through_the_proxy_of_the_environment(authority: Authority, forwarder: Forwarder) -> None:
    """The receiver's name is known to the proxy alone, and the receiver has to prove that it has it."""
    with web_server(authority.server_context("hooks.example")) as server:
        url = f"https://hooks.example:{server.port}/t0ken-in-the-path"
        assert sent(hook(url, ca_file=str(authority.file))) == ("", 1)
        assert try_channel("ops", hook(url, ca_file=str(authority.file)), seconds=30).startswith("hooks.example port")
        message, commits = failure(hook(f"https://other.example:{server.port}/", ca_file=str(authority.file)))
        assert "its certificate is not trusted" in message
        assert commits == 0
    assert [request.path for request in server.requests] == ["/t0ken-in-the-path"]
    assert "Proxy-Authorization" not in server.requests[0].headers
    assert forwarder.asked == [f"CONNECT hooks.example:{server.port}"] * 2 + [f"CONNECT other.example:{server.port}"]


def test_without_tls_the_proxy_is_asked_to_ask(forwarder: Forwarder) -> None:
    with web_server() as server:
        assert sent(hook(f"http://hooks.example:{server.port}/a?b=c")) == ("", 1)
    assert [(request.method, request.path) for request in server.requests] == [("POST", "/a?b=c")]
    assert server.requests[0].headers["Host"] == f"hooks.example:{server.port}"
    assert forwarder.asked == [f"POST http://hooks.example:{server.port}/a?b=c"]


def test_neither_this_machine_nor_what_no_proxy_names_is_asked_for_there(
    forwarder: Forwarder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web_server() as server:
        assert sent(hook(server.url)) == ("", 1)
    monkeypatch.setenv("NO_PROXY", "example.invalid")
    message, _ = failure(hook("https://hooks.example.invalid/"))
    assert message.startswith("Resolve the name hooks.example.invalid")
    assert forwarder.asked == []


@pytest.mark.parametrize("proxy", ["wrong password", "none there", "not of http"])
def test_a_proxy_that_does_not_help_is_told_without_its_password(
    proxy: str, forwarder: Forwarder, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, expected = {
        "wrong password": (f"http://watcher:s3cret-too@127.0.0.1:{forwarder.port}", "answers 407"),
        "none there": (
            f"http://watcher:s3cret-too@127.0.0.1:{closed_port()}",
            "Through the proxy: Connect to",
        ),
        "not of http": ("socks5://watcher:s3cret-too@127.0.0.1:1", "one of socks5, and only http"),
    }[proxy]
    monkeypatch.setenv("HTTPS_PROXY", url)
    channel = hook("https://hooks.example/")
    message, commits = failure(channel)
    assert expected in message
    assert commits == 0
    with pytest.raises(DataGuardianError) as caught:
        send("ops", channel, MESSAGE, commit=lambda: None, seconds=30)
    told = f"{caught.value.message} {caught.value.subject} {caught.value.hint}"
    assert "s3cret" not in told
    assert "HTTPS_PROXY" in told


def test_without_tls_too_it_is_the_proxy_that_refuses(forwarder: Forwarder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://watcher:s3cret-too@127.0.0.1:{forwarder.port}")
    with pytest.raises(DataGuardianError) as caught:
        send("ops", hook("http://hooks.example/"), MESSAGE, commit=lambda: None, seconds=30)
    assert caught.value.message.startswith(f"The proxy 127.0.0.1 port {forwarder.port} answers 407")
    assert "HTTP_PROXY" in caught.value.hint


def test_an_answer_that_is_no_success_is_told_without_the_url() -> None:
    with web_server() as web:
        web.status = 500
        web.answer = b"no route for /hook/t0ken-in-the-path\x1b[2J" + b"x" * 10_000_000
        message, commits = failure(hook(web.url))
    assert message.startswith("127.0.0.1 answers 500 Internal Server Error no route for ***\\x1b[2Jxxx")
    assert (len(message) < 400, commits) == (True, 1)


def test_an_answer_that_says_back_a_part_of_what_it_was_asked_shows_no_secret() -> None:
    with web_server() as web:
        web.status = 403
        url = web.url.replace("http://", "http://watcher:tr0ub4dor%263@") + "?key=k3y-in-the-query"
        login = base64.b64encode(b":".join(part.encode() for part in LOGIN)).decode()
        web.answer = f"t0ken-in-the-path k3y-in-the-query Basic {login} {LOGIN[1]}".encode()
        assert failure(hook(url))[0] == "127.0.0.1 answers 403 Forbidden *** *** Basic *** ***"


def test_a_mail_server_that_says_back_a_login_shows_no_password() -> None:
    settings = mail(0, username=LOGIN[0], password=LOGIN[1])
    # A secret that is cut is one all the same.
    filler = "x" * 280
    plain = base64.b64encode("\0{}\0{}".format(*LOGIN).encode()).decode()
    with socket.create_server(("127.0.0.1", 0)) as server, concurrent.futures.ThreadPoolExecutor(1) as pool:

        def refuse() -> None:
            connection, _ = server.accept()
            with connection, connection.makefile("rb") as lines:
                for answer in ("220 mail", "250-mail\r\n250 AUTH PLAIN", f"535 {filler} AUTH PLAIN {plain}"):
                    connection.sendall(f"{answer}\r\n".encode())
                    lines.readline()

        pool.submit(refuse)
        message, _ = failure(msgspec.structs.replace(settings, port=server.getsockname()[1]))
    assert message == f"Log in at localhost as watcher was refused: 535 {filler} AUTH PLAIN ***"


def test_a_receiver_that_takes_no_more_for_now_is_not_told_as_a_wrong_url() -> None:
    with web_server() as web:
        web.status = 429
        assert "later" in hint(hook(web.url))
        web.status = 410
        assert "URL" in hint(hook(web.url))


def test_a_webhook_follows_to_the_same_host_only() -> None:
    with web_server() as web, web_server() as other:
        web.status = 307
        web.headers = {"Location": other.url}
        message, _ = failure(hook(web.url))
        assert message == f"127.0.0.1 answers 307 and wants the message to go to http://127.0.0.1:{other.port}"
        assert other.requests == []
        web.headers = {"Location": "/elsewhere"}
        assert failure(hook(web.url))[0] == "127.0.0.1 redirects without an end"
        assert [request.path for request in web.requests[-3:]] == ["/elsewhere"] * 3
        # Whoever follows this one asks with GET, and the message is lost.
        web.status = 301
        message, _ = failure(hook(web.url))
        assert message == "127.0.0.1 answers 301 and sends on to another path, but not what it was sent"
        web.status = 308
        for place in ("https://127.0.0.1/hook", "https://127.0.0.1:8443/t0ken-in-the-path"):
            web.headers = {"Location": place}
            assert failure(hook(web.url))[0].endswith(f"to {place.rpartition('/')[0]}")
        for place in ("file:///etc/passwd", "http://[::1", "/two words", "/größer"):
            web.headers = {"Location": place}
            message, _ = failure(hook(web.url))
            assert message == "127.0.0.1 answers 308 and names a place that is no URL of http or https", place


def test_a_name_and_a_password_in_the_url_log_in() -> None:
    with web_server() as web:
        assert sent(hook(web.url.replace("://", f"://watcher:{quote(LOGIN[1])}@"))) == ("", 1)
        (request,) = web.requests
        assert base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode() == ":".join(LOGIN)
        web.status, web.answer = 401, f"who is {LOGIN[1]}?".encode()
        assert "who is ***?" in failure(hook(web.url.replace("://", f"://watcher:{quote(LOGIN[1])}@")))[0]


def test_a_url_that_is_not_ascii_is_told_before_anybody_is_connected_to() -> None:
    assert failure(hook("http://127.0.0.1:1/größer"))[0] == "The URL holds what is not ASCII"


def test_addresses_of_any_letters_go_to_a_server_that_takes_them() -> None:
    wide = {"sender": "wächter@example.org", "recipients": ("jörg@müller.example", "dba@example.org")}
    with mail_server(international=True) as server:
        assert sent(mail(server.port, **wide)) == ("", 1)
    (got,) = server.mails
    assert server.envelopes == [["jörg@müller.example", "dba@example.org"]]
    assert (got["From"], got["To"]) == ("wächter@example.org", "jörg@müller.example, dba@example.org")
    with mail_server() as server:
        message, commits = failure(mail(server.port, **wide))
    assert (message, commits) == ("The sender wächter@example.org: the server takes addresses in ASCII only", 0)


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # on our own machine
def test_a_login_that_cannot_be_sent_and_what_is_no_mail_server_are_told_as_such() -> None:
    with mail_server(login=True) as server:
        message, _ = failure(mail(server.port, username="wächter", password=LOGIN[1]))
    assert message == "Log in at localhost as wächter: only ASCII can be sent as username and password"
    with socket.create_server(("127.0.0.1", 0)) as other, concurrent.futures.ThreadPoolExecutor() as pool:

        def greet() -> None:
            with other.accept()[0] as connection:
                connection.sendall(b"hello there\r\n")

        pool.submit(greet)
        message, _ = failure(mail(other.getsockname()[1]))
    assert message == "The greeting of localhost: what answers there is no mail server"


@pytest.mark.filterwarnings("ignore:.*imghdr.*:DeprecationWarning")  # the library imports it
def test_apprise_delivers_and_tells_why_it_does_not() -> None:
    with web_server() as web:
        settings = AppriseSettings(url=f"json://127.0.0.1:{web.port}/t0ken-in-the-path")
        assert sent(settings) == ("", 1)
        assert web.requests[0].json["message"].startswith("größer als")
        web.status = 500
        message, _ = failure(settings)
        assert message.startswith("The service did not take the message: Failed to send JSON")
    message, _ = failure(AppriseSettings(url="nosuch://t0ken-in-the-path"))
    assert message.startswith("Apprise does not understand the URL: ")
    assert "cto" not in message, "which nobody wrote into it"


@pytest.mark.filterwarnings("ignore:.*imghdr.*:DeprecationWarning")
def test_a_service_that_says_a_letter_now_and_then_costs_its_time_limit_and_no_more() -> None:
    """It cost minutes: the library's own limits begin anew with each letter."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server, concurrent.futures.ThreadPoolExecutor(1) as pool:

        def trickle() -> None:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                while not over.wait(0.2):
                    connection.sendall(b"x")

        pool.submit(trickle)
        try:
            message, commits = failure(
                AppriseSettings(url=f"json://127.0.0.1:{server.getsockname()[1]}/t0ken-in-the-path"), seconds=2
            )
        finally:
            over.set()
    assert (message, commits) == ("The service: no answer within 2 s", 1)


def test_of_two_services_each_tells_its_own() -> None:
    """What the library logs meanwhile for another one is not this one's reason."""
    with _Listener() as mine:
        other = threading.Thread(target=logging.getLogger("apprise").warning, args=("of another",))
        other.start()
        other.join()
        logging.getLogger("apprise").warning("of this one")
    assert mine.lines == ["of this one"]


def test_a_url_with_a_line_break_is_no_url(tmp_path: Path) -> None:
    assert failure(hook("http://127.0.0.1/x\r\nHost: other"))[0] == "The URL is none of http or https"
