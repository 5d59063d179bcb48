"""E-mail: SMTP with TLS and login, step by step, so that each failure names its step."""

import base64
import contextlib
import smtplib
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from typing import TypeVar

from dgtui.config.channels import EmailSettings
from dgtui.engine.child import printable, redact
from dgtui.engine.errors import DeliveryError
from dgtui.engine.notify.connection import Commit, Deadline, connect, io_failure, start_tls, tls_context, tls_failure
from dgtui.engine.notify.message import Message, Taken
from dgtui.engine.secrets import fetch_secret

_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_LONGEST_SUBJECT = 200
_WANTS_MORE_FIRST = 530
_LATER = "The server may take it later, and what waits is tried again; where it lasts, look into its log"
_NO_CODE = -1
"""What the library makes of an answer that does not begin with a number."""
_Result = TypeVar("_Result")
_Purpose = Callable[["_Conversation", "_Client"], _Result]
"""What is done once the server has let us in."""


def send_email(
    name: str,
    settings: EmailSettings,
    message: Message,
    commit: Commit,
    deadline: Deadline,
    only_to: tuple[str, ...] = (),
) -> Taken:
    """Send a message, `only_to` those who were put off where the others have it. Raises DeliveryError, ConfigError."""
    recipients = [one for one in settings.recipients if not only_to or one in only_to]
    if not recipients:
        return Taken(odd=f"No recipients any more: {', '.join(only_to)}")

    def deliver(conversation: _Conversation, client: _Client) -> Taken:
        return conversation.deliver(client, message, commit, recipients, others_have_it=bool(only_to))

    return _converse(name, settings, deadline, deliver)


def try_email(name: str, settings: EmailSettings, deadline: Deadline) -> str:
    """Do all that comes before a message, and send none; the server for people. Raises DeliveryError, ConfigError."""

    def leave(conversation: _Conversation, client: _Client) -> None:
        conversation.leave(client)

    _converse(name, settings, deadline, leave)
    return f"{settings.host} port {_port(settings)}"


def _port(settings: EmailSettings) -> int:
    return settings.port or _PORTS[settings.tls]


def _converse(name: str, settings: EmailSettings, deadline: Deadline, purpose: _Purpose[_Result]) -> _Result:
    password = None
    if settings.password is not None:
        password = fetch_secret(settings.password, subject=f"channels.{name}.password")
    try:
        return _Conversation(settings, deadline).hold(password, purpose)
    except smtplib.SMTPResponseException as error:
        raise _refusal(error, settings.host, settings.username or "", password) from None


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

    def hold(self, password: str | None, purpose: _Purpose[_Result]) -> _Result:
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

    def deliver(
        self, client: _Client, message: Message, commit: Commit, recipients: Sequence[str], *, others_have_it: bool
    ) -> Taken:
        self._step = f"The sender {self._settings.sender}"
        if _is_international(self._settings) and not client.has_extn("smtputf8"):
            hint = "Write the addresses in ASCII, a domain as xn--..., or name a server that offers SMTPUTF8"
            raise self._failure("the server takes addresses in ASCII only", hint)
        options = ["SMTPUTF8", "BODY=8BITMIME"] if _is_international(self._settings) else []
        self._expect(client.mail(self._settings.sender, options), 250)
        answers = self._not_taken(client, recipients)
        taken = _outcome(answers)
        if len(answers) == len(recipients):
            if not others_have_it or taken.put_off:
                raise self._taken_for_nobody(answers, others_have_it=others_have_it)
            # There is nobody left who may get it.
            self.leave(client)
            return taken
        self._step = f"The message at {self._settings.host}"
        # From here on the server may take it, whatever becomes of its answer.
        commit()
        self._expect(client.data(_mail(self._settings, message)), 250)
        self.leave(client)
        return taken

    def _start_tls(self, client: _Client) -> None:
        try:
            client.starttls(context=tls_context(self._settings.ca_file))
        except (ssl.SSLError, ssl.CertificateError) as error:
            raise tls_failure(error, self._settings.host, self._deadline) from None
        client.ehlo()

    def _not_taken(self, client: _Client, recipients: Sequence[str]) -> dict[str, tuple[int, str]]:
        """Name the recipients; what the server answers to those that it does not take."""
        self._step = "The recipients"
        answers = {}
        for recipient in recipients:
            code, text = client.rcpt(recipient)
            if code not in (250, 251):
                answers[recipient] = code, _text(text)
        return answers

    def _taken_for_nobody(self, answers: Mapping[str, tuple[int, str]], *, others_have_it: bool) -> DeliveryError:
        host = self._settings.host
        # As with greylisting: nothing is wrong with the addresses.
        later = all(_may_pass(code) for code, _ in answers.values())
        verb = "puts off" if later else "refuses"
        what = f"still {verb}, after it took it for the others" if others_have_it else f"{verb} every recipient"
        return DeliveryError(
            f"{host} {what}: {_answers_text(answers)}",
            subject=host,
            hint=_LATER if later else "Are the addresses right, and may this sender write to them?",
        )

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
        if self._settings.tls != "tls" and self._step.startswith("The greeting") and self._is_silence(error):
            hint = "Does it wait for TLS from the start? Then set tls to tls; mail servers do at port 465"
            return self._failure(f"no answer within {self._deadline.seconds:g} s", hint)
        if self._is_silence(error):
            cause: OSError = TimeoutError()
        elif isinstance(error, smtplib.SMTPException):
            cause = OSError("the server ended the connection")
        else:
            cause = error
        return io_failure(self._step, cause, self._deadline, host)

    def _is_silence(self, error: smtplib.SMTPException | OSError) -> bool:
        # SMTPException is an OSError too, and says nothing of the cause but in its text.
        return self._deadline.over or "timed out" in str(error)


def _outcome(answers: Mapping[str, tuple[int, str]]) -> Taken:
    """What becomes of those that the server does not take."""
    later = {recipient: answer for recipient, answer in answers.items() if _may_pass(answer[0])}
    never = {recipient: answer for recipient, answer in answers.items() if recipient not in later}
    parts = []
    if never:
        parts.append(f"Refused recipients: {_answers_text(never)}")
    if later:
        parts.append(f"Put off: {_answers_text(later)}")
    return Taken(odd=". ".join(parts), put_off=tuple(later))


def _may_pass(code: int) -> bool:
    """Whether the server says that it may take later what it does not take now."""
    return 400 <= code < 500


def _answers_text(answers: Mapping[str, tuple[int, str]]) -> str:
    return "; ".join(f"{recipient}: {code} {text}" for recipient, (code, text) in answers.items())


def _refusal(error: smtplib.SMTPResponseException, host: str, username: str, password: str | None) -> DeliveryError:
    step = error.__notes__[0] if getattr(error, "__notes__", None) else "The server"
    # Some servers say back what they were sent, which is the password in the letters of base64.
    text = _text(error.smtp_error, _written(username, password) if password else ())
    hint = "Look into the mail server's log"
    if _may_pass(error.smtp_code):
        hint = _LATER
    elif error.smtp_code == _WANTS_MORE_FIRST:
        hint = "It wants TLS or a login first: see tls, username and password of the channel"
    elif isinstance(error, smtplib.SMTPAuthenticationError):
        hint = "Are username and password right? Some servers want a password made for programs"
    return DeliveryError(f"{step} was refused: {error.smtp_code} {text}", subject=host, hint=hint)


def _written(username: str, password: str) -> list[str]:
    """A password as it may be sent."""
    forms = (f"\0{username}\0{password}", password)
    return [password, *(base64.b64encode(form.encode()).decode() for form in forms)]


def _text(answer: bytes | str, secrets: Sequence[str] = ()) -> str:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    return printable(" ".join(redact(text, secrets).split()))[:300]


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
