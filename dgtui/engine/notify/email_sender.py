"""E-mail: SMTP with TLS and login, step by step, so that each failure names its step."""

import contextlib
import smtplib
import socket
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime

from dgtui.config.channels import EmailSettings
from dgtui.engine.child import printable, redact
from dgtui.engine.notify.connection import (
    Commit,
    Deadline,
    DeliveryError,
    connect,
    io_failure,
    start_tls,
    tls_context,
    tls_failure,
)
from dgtui.engine.notify.message import Message
from dgtui.engine.secrets import fetch_secret

_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_LONGEST_SUBJECT = 200
_NO_CODE = -1
"""What the library makes of an answer that does not begin with a number."""
_Purpose = Callable[["_Conversation", "_Client"], str]
"""What is done once the server has let us in."""


def send_email(name: str, settings: EmailSettings, message: Message, commit: Commit, deadline: Deadline) -> str:
    """Send a message; what was odd about it although it was taken. Raises DeliveryError, ConfigError."""

    def deliver(conversation: _Conversation, client: _Client) -> str:
        return conversation.deliver(client, message, commit)

    return _converse(name, settings, deadline, deliver)


def try_email(name: str, settings: EmailSettings, deadline: Deadline) -> str:
    """Do all that comes before a message, and send none; the server for people. Raises DeliveryError, ConfigError."""

    def leave(conversation: _Conversation, client: _Client) -> str:
        conversation.leave(client)
        return ""

    _converse(name, settings, deadline, leave)
    return f"{settings.host} port {_port(settings)}"


def _port(settings: EmailSettings) -> int:
    return settings.port or _PORTS[settings.tls]


def _converse(name: str, settings: EmailSettings, deadline: Deadline, purpose: _Purpose) -> str:
    password = None
    if settings.password is not None:
        password = fetch_secret(settings.password, subject=f"channels.{name}.password")
    try:
        return _Conversation(settings, deadline).hold(password, purpose)
    except smtplib.SMTPResponseException as error:
        raise _refusal(error, settings.host, password) from None


class _Client(smtplib.SMTP):
    """The library's client over a connection that is there already."""

    def __init__(self, connection: socket.socket, host: str, timeout: float) -> None:
        self._connection = connection
        # Given no host here, it does not connect by itself.
        super().__init__(timeout=timeout)
        self._host = host  # what STARTTLS compares with the certificate

    def _get_socket(self, _host: str, _port: int, _timeout: float) -> socket.socket:
        return self._connection


class _Conversation:
    def __init__(self, settings: EmailSettings, deadline: Deadline) -> None:
        self._settings = settings
        self._deadline = deadline
        self._step = ""

    def hold(self, password: str | None, purpose: _Purpose) -> str:
        host = self._settings.host
        context = tls_context(self._settings.ca_file) if self._settings.tls == "tls" else None
        connection = connect(host, _port(self._settings), self._deadline)
        if context is not None:
            connection = start_tls(connection, host, context, self._deadline)
        with self._deadline.guarding(connection), connection:
            client = _Client(connection, host, self._deadline.left)
            try:
                self._enter(client, password)
                return purpose(self, client)
            except smtplib.SMTPResponseException as error:
                error.add_note(self._step)
                raise
            except (smtplib.SMTPException, OSError) as error:
                raise self._explained(error) from None
            finally:
                client.close()

    def _enter(self, client: _Client, password: str | None) -> None:
        host = self._settings.host
        self._step = f"The greeting of {host}"
        code, text = client.connect(host, _port(self._settings))
        if code == _NO_CODE:
            raise self._failure("what answers there is no mail server")
        if code != 220:
            raise smtplib.SMTPConnectError(code, text)
        client.ehlo_or_helo_if_needed()
        if self._settings.tls == "starttls":
            self._step = f"STARTTLS with {host}"
            self._start_tls(client)
        if self._settings.username is not None and password is not None:
            self._step = f"Log in at {host} as {self._settings.username}"
            try:
                client.login(self._settings.username, password)
            except UnicodeEncodeError:
                hint = "Set a password of plain letters, digits and signs for this user"
                raise self._failure("only ASCII can be sent as username and password", hint) from None

    def deliver(self, client: _Client, message: Message, commit: Commit) -> str:
        self._step = f"The sender {self._settings.sender}"
        if _is_international(self._settings) and not client.has_extn("smtputf8"):
            hint = "Write the addresses in ASCII, a domain as xn--..., or name a server that offers SMTPUTF8"
            raise self._failure("the server takes addresses in ASCII only", hint)
        options = ["SMTPUTF8", "BODY=8BITMIME"] if _is_international(self._settings) else []
        self._expect(client.mail(self._settings.sender, options), 250)
        refused = self._recipients(client)
        self._step = f"The message at {self._settings.host}"
        # From here on the server may take it, whatever becomes of its answer.
        commit()
        self._expect(client.data(_mail(self._settings, message)), 250)
        self.leave(client)
        return f"Refused recipients: {'; '.join(refused)}" if refused else ""

    def _start_tls(self, client: _Client) -> None:
        try:
            client.starttls(context=tls_context(self._settings.ca_file))
        except (ssl.SSLError, ssl.CertificateError) as error:
            raise tls_failure(error, self._settings.host, self._deadline) from None
        client.ehlo()

    def _recipients(self, client: _Client) -> list[str]:
        """Name the recipients; those that are refused. Raises where that is all of them."""
        self._step = "The recipients"
        refused = []
        for recipient in self._settings.recipients:
            code, text = client.rcpt(recipient)
            if code not in (250, 251):
                refused.append(f"{recipient}: {code} {_text(text)}")
        if len(refused) == len(self._settings.recipients):
            raise DeliveryError(
                f"{self._settings.host} refuses every recipient: {'; '.join(refused)}",
                subject=self._settings.host,
                hint="Are the addresses right, and may this sender write to them?",
            )
        return refused

    def _expect(self, answer: tuple[int, bytes], code: int) -> None:
        if answer[0] != code:
            raise smtplib.SMTPResponseException(*answer)

    def leave(self, client: _Client) -> None:
        """Say good-bye; all is done by then, and no failure of this is one of it."""
        with contextlib.suppress(smtplib.SMTPException, OSError):
            client.quit()

    def _failure(self, reason: str, hint: str = "Are host and port right?") -> DeliveryError:
        return DeliveryError(f"{self._step}: {reason}", subject=self._settings.host, hint=hint)

    def _explained(self, error: smtplib.SMTPException | OSError) -> DeliveryError:
        host = self._settings.host
        if isinstance(error, smtplib.SMTPNotSupportedError):
            return DeliveryError(
                f"{self._step}: the server does not offer it",
                subject=host,
                hint="Choose another port, or another value of tls",
            )
        # SMTPException is an OSError too, and says nothing of the cause but in its text.
        if "timed out" in str(error):
            cause: OSError = TimeoutError()
        elif isinstance(error, smtplib.SMTPException):
            cause = OSError("the server ended the connection")
        else:
            cause = error
        return io_failure(self._step, cause, self._deadline, host)


def _refusal(error: smtplib.SMTPResponseException, host: str, password: str | None) -> DeliveryError:
    step = error.__notes__[0] if getattr(error, "__notes__", None) else "The server"
    text = redact(_text(error.smtp_error), [password or ""])
    hint = "Look into the mail server's log"
    if isinstance(error, smtplib.SMTPAuthenticationError):
        hint = "Are username and password right? Some servers want a password made for programs"
    return DeliveryError(f"{step} was refused: {error.smtp_code} {text}", subject=host, hint=hint)


def _text(answer: bytes | str) -> str:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    return printable(" ".join(text.split()))[:300]


def _is_international(settings: EmailSettings) -> bool:
    """Whether its addresses need a server that takes more than ASCII in them."""
    return not all(address.isascii() for address in (settings.sender, *settings.recipients))


def _mail(settings: EmailSettings, message: Message) -> bytes:
    mail = EmailMessage(policy=SMTPUTF8 if _is_international(settings) else SMTP)
    # A line break in a header would be the beginning of another header.
    title = " ".join(f"[DataGuardian {message.host}] {message.severity.upper()}: {message.title}".split())
    mail["Subject"] = title[:_LONGEST_SUBJECT]
    mail["From"] = settings.sender
    mail["To"] = ", ".join(settings.recipients)
    mail["Date"] = format_datetime(message.created_at)
    mail["Message-ID"] = f"<{message.delivery_id}@{settings.sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-DataGuardian-Severity"] = message.severity
    mail.set_content(message.text + "\n")
    return mail.as_bytes()
