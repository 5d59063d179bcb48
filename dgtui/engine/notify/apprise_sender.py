"""Chat services and the like, through the library Apprise (the extra `dgtui[apprise]`)."""

import logging
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any

from dgtui.config.channels import AppriseSettings
from dgtui.engine.child import printable, redact
from dgtui.engine.errors import DeliveryError, ToolMissing
from dgtui.engine.memory import out_of_memory
from dgtui.engine.notify.connection import Commit, Deadline
from dgtui.engine.notify.message import Message
from dgtui.engine.secrets import fetch_secret
from dgtui.engine.threads import Thread

_SHORTEST_SECRET = 6


def send_by_apprise(name: str, settings: AppriseSettings, message: Message, commit: Commit, deadline: Deadline) -> None:
    """Send a message. Raises DeliveryError, ConfigError, ToolMissing."""
    url = fetch_secret(settings.url, subject=f"channels.{name}.url")
    apprise = _library(name)
    with _Listener() as listener:
        service = _service(apprise, name, url, deadline, listener)
    kinds = {"info": "info", "warning": "warning", "error": "failure", "critical": "failure"}

    def notify() -> str:
        with _Listener() as listener:
            taken = service.notify(
                title=f"{message.severity.upper()}: {message.title}",
                body=message.text,
                notify_type=apprise.NotifyType(kinds[message.severity]),
                body_format=apprise.NotifyFormat.TEXT,
            )
        return "" if taken else f"The service did not take the message{_said(listener, url)}"

    # Apprise does not tell when the service may have it: from here on it may.
    commit()
    failure = _in_time(notify, deadline)
    if failure:
        raise DeliveryError(
            failure, subject=name, hint=f"Is the URL right, and does the service run? Try: dgtui notify --test {name}"
        )


def _in_time(notify: Callable[[], str], deadline: Deadline) -> str:
    """What it says in time, whatever limits the library has: those begin anew with each byte that a service sends."""
    said: Future[str] = Future()

    def run() -> None:
        try:
            said.set_result(notify())
        except BaseException as fault:  # noqa: BLE001  # whoever waits for it gets it
            said.set_exception(fault)

    try:
        Thread(target=run, name="apprise", daemon=True).start()
    except RuntimeError:
        raise out_of_memory() from None
    wait([said], timeout=deadline.left)
    return said.result() if said.done() else f"The service: no answer within {deadline.seconds:g} s"


def try_apprise(name: str, settings: AppriseSettings, deadline: Deadline) -> str:
    """See whether Apprise knows the service; it cannot be asked for more without sending.

    Raises DeliveryError, ConfigError, ToolMissing.
    """
    url = fetch_secret(settings.url, subject=f"channels.{name}.url")
    apprise = _library(name)
    with _Listener() as listener:
        service = _service(apprise, name, url, deadline, listener)
    return f"{service[0].service_name}, which can only be reached by sending"


def _library(name: str) -> Any:
    try:
        import apprise
    except ImportError:
        raise ToolMissing(
            "The library Apprise is not installed", subject=name, hint="pip install 'dgtui[apprise]'"
        ) from None
    return apprise


def _service(apprise: Any, name: str, url: str, deadline: Deadline, listener: "_Listener") -> Any:
    asset = apprise.AppriseAsset(async_mode=False, secure_logging=True)
    # With a limit of its own newer ones send in a thread for which the program waits at its end, however long it takes.
    asset._service_timeout = 0.0  # older ones do not know it as an argument
    service = apprise.Apprise(asset=asset)
    asked = _with_limits(url, deadline)
    if not service.add(asked):
        # Nobody wrote the limits into it.
        listener.lines = [line.replace(asked.removeprefix(url), "") for line in listener.lines]
        raise DeliveryError(
            f"Apprise does not understand the URL{_said(listener, url)}",
            subject=name,
            hint="Is the URL right? The documentation of Apprise shows its form for each service",
        )
    return service


def _with_limits(url: str, deadline: Deadline) -> str:
    """The URL with time limits for connecting and reading, where it has none."""
    if re.search(r"[?&](cto|rto)=", url):
        return url
    seconds = max(1, int(deadline.left / 2))
    return f"{url}{'&' if '?' in url else '?'}cto={seconds}&rto={seconds}"


class _Listener(logging.Handler):
    """Keeps what the library logs in this thread: it is the only place where it tells why."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []
        self._thread = threading.get_ident()
        self._logger = logging.getLogger("apprise")

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING and record.thread == self._thread:
            self.lines.append(record.getMessage())

    def __enter__(self) -> "_Listener":
        self._logger.addHandler(self)
        # Nor afterwards: what was given up may still say something.
        self._logger.propagate = False
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)


def _said(listener: _Listener, url: str) -> str:
    """What the library logged, after a colon."""
    parts = [part for part in re.split(r"[/:@?&=]+", url) if len(part) >= _SHORTEST_SECRET]
    text = printable(redact(" ".join(" ".join(listener.lines).split()), [url, *parts]))[:300]
    return f": {text}" if text else ""
