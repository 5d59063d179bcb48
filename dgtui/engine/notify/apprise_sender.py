"""Chat services and the like, through the library Apprise (the extra `dgtui[apprise]`)."""

import logging
import re
from typing import Any

from dgtui.config.channels import AppriseSettings
from dgtui.engine.child import printable, redact
from dgtui.engine.errors import ToolMissing
from dgtui.engine.notify.connection import Commit, Deadline, DeliveryError
from dgtui.engine.notify.message import Message
from dgtui.engine.secrets import fetch_secret

_SHORTEST_SECRET = 6


def send_by_apprise(name: str, settings: AppriseSettings, message: Message, commit: Commit, deadline: Deadline) -> None:
    """Send a message; Apprise has time limits of its own. Raises DeliveryError, ConfigError, ToolMissing."""
    url = fetch_secret(settings.url, subject=f"channels.{name}.url")
    apprise = _library(name)
    with _Listener() as listener:
        service = _service(apprise, name, url, deadline, listener)
        # Apprise does not tell when the service may have it: from here on it may.
        commit()
        kinds = {"info": "info", "warning": "warning", "error": "failure", "critical": "failure"}
        taken = service.notify(
            title=f"{message.severity.upper()}: {message.title}",
            body=message.text,
            notify_type=apprise.NotifyType(kinds[message.severity]),
            body_format=apprise.NotifyFormat.TEXT,
        )
    if not taken:
        raise DeliveryError("The service did not take the message", subject=name, hint=_said(listener, url))


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
    service = apprise.Apprise(asset=apprise.AppriseAsset(async_mode=False, secure_logging=True))
    if not service.add(_with_limits(url, deadline)):
        raise DeliveryError("Apprise does not understand the URL", subject=name, hint=_said(listener, url))
    return service


def _with_limits(url: str, deadline: Deadline) -> str:
    """The URL with time limits for connecting and reading, where it has none."""
    if re.search(r"[?&](cto|rto)=", url):
        return url
    seconds = max(1, int(deadline.left / 2))
    return f"{url}{'&' if '?' in url else '?'}cto={seconds}&rto={seconds}"


class _Listener(logging.Handler):
    """Keeps what the library logs: it is the only place where it tells why."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []
        self._logger = logging.getLogger("apprise")

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            self.lines.append(record.getMessage())

    def __enter__(self) -> "_Listener":
        self._logger.addHandler(self)
        self._propagate, self._logger.propagate = self._logger.propagate, False
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
        self._logger.propagate = self._propagate


def _said(listener: _Listener, url: str) -> str:
    parts = [part for part in re.split(r"[/:@?&=]+", url) if len(part) >= _SHORTEST_SECRET]
    return printable(redact(" ".join(" ".join(listener.lines).split()), [url, *parts]))[:300]
