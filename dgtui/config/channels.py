"""The keys of a `[channels.NAME]` table: where notifications go, which ones, and when."""

import re
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from dgtui.config.tables import Rules, url_mistake
from dgtui.config.timetable import timezone_mistake
from dgtui.engine.notification_model import NotificationKind, Severity
from dgtui.engine.settings import Duration, Port, Secret

CLOCK_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_ADDRESS = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+")


def _quiet_rule(text: str | None) -> str | None:
    times = [] if text is None else text.split("-")
    if text is None or (len(times) == 2 and all(map(CLOCK_TIME.fullmatch, times)) and times[0] != times[1]):
        return None
    return "expected two times such as '22:00-07:00'"


def _time_rule(text: str) -> str | None:
    return None if CLOCK_TIME.fullmatch(text) else "expected a time from 00:00 to 23:59"


def _address_rule(address: str) -> str | None:
    return None if _ADDRESS.fullmatch(address) else "expected an address such as dba@example.org"


def _addresses_rule(addresses: tuple[str, ...]) -> str | None:
    wrong = next((address for address in addresses if _address_rule(address)), None)
    return None if wrong is None else f"'{wrong}' is no address such as dba@example.org"


def _file_rule(path: str | None) -> str | None:
    return None if path is None or path.startswith(("/", "~")) else "expected the absolute path of a file"


def _timeout_rule(seconds: Duration) -> str | None:
    return None if 1 <= seconds <= 120 else "expected from 1 s to 2 min"


class ChannelSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys that every kind of channel has."""

    rules: ClassVar[Rules] = {
        "quiet_hours": _quiet_rule,
        "digest_at": _time_rule,
        "timezone": lambda name: None if name is None else timezone_mistake(name),
        "timeout": _timeout_rule,
    }

    type: str
    enabled: Annotated[bool, Meta(description="Whether anything is sent")] = True
    description: Annotated[str, Meta(description="What it is for, in your own words")] = ""
    severity: Annotated[
        Severity, Meta(description="Only what matters at least so much: info, warning, error or critical")
    ] = "warning"
    kinds: Annotated[tuple[NotificationKind, ...], Meta(description="Only these kinds; empty for all")] = ()
    datasources: Annotated[tuple[str, ...], Meta(description="Only what concerns these datasources")] = ()
    jobs: Annotated[tuple[str, ...], Meta(description="Only what concerns these jobs")] = ()
    storages: Annotated[tuple[str, ...], Meta(description="Only what concerns these storages")] = ()
    quiet_hours: Annotated[
        str | None, Meta(description="When only critical ones are sent, such as 22:00-07:00; the others follow after")
    ] = None
    digest: Annotated[
        Literal["none", "hourly", "daily"],
        Meta(description="Whether all but critical ones are collected and sent as one"),
    ] = "none"
    digest_at: Annotated[str, Meta(description="When the daily collection is sent")] = "08:00"
    timezone: Annotated[
        str | None, Meta(description="Time zone of these times, such as Europe/Zurich; empty for the system's")
    ] = None
    group_wait: Annotated[
        Duration,
        Meta(description="How long to wait for others of the same cause, such as a server, to send them as one"),
    ] = Duration(30)
    remind_every: Annotated[Duration, Meta(description="How often to remind of what still lasts; 0 for never")] = (
        Duration(86400)
    )
    timeout: Annotated[Duration, Meta(description="How long sending may take")] = Duration(15)


class EmailSettings(ChannelSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A channel of type `email`."""

    rules: ClassVar[Rules] = {
        **ChannelSettings.rules,
        "sender": _address_rule,
        "recipients": _addresses_rule,
        "ca_file": _file_rule,
    }

    type: Literal["email"] = "email"
    host: Annotated[str, Meta(description="Mail server", min_length=1)]
    sender: Annotated[str, Meta(description="Address that it comes from")]
    recipients: Annotated[tuple[str, ...], Meta(min_length=1, description="Addresses that it goes to")]
    tls: Annotated[
        Literal["starttls", "tls", "none"],
        Meta(description="starttls (usually port 587), tls from the start (465), or none"),
    ] = "starttls"
    port: Annotated[Port | None, Meta(description="Port; empty for the usual one of the kind of TLS")] = None
    username: Annotated[str | None, Meta(description="Name to log in with; empty for no login")] = None
    password: Annotated[Secret | None, Meta(description="Password to log in with")] = None
    ca_file: Annotated[str | None, Meta(description="File with the certificate to trust; empty for the system's")] = (
        None
    )

    def __post_init__(self) -> None:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password go together")
        if self.username is not None and self.tls == "none" and self.host not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError("tls: a password is not sent to another machine without TLS")


class WebhookSettings(ChannelSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A channel of type `webhook`."""

    rules: ClassVar[Rules] = {**ChannelSettings.rules, "url": url_mistake, "ca_file": _file_rule}

    type: Literal["webhook"] = "webhook"
    url: Annotated[Secret, Meta(description="Where the JSON is sent with POST; a secret, since it may hold a token")]
    signing_key: Annotated[
        Secret | None, Meta(description="Key of the HMAC-SHA256 signature; empty for no signature")
    ] = None
    ca_file: Annotated[str | None, Meta(description="File with the certificate to trust; empty for the system's")] = (
        None
    )


class AppriseSettings(ChannelSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A channel of type `apprise`: Slack, Telegram, Teams and many others, by a URL of that library."""

    type: Literal["apprise"] = "apprise"
    url: Annotated[Secret, Meta(description="Apprise URL of the service; a secret, since it holds the token")]


CHANNEL_SETTINGS: dict[str, type[ChannelSettings]] = {
    "email": EmailSettings,
    "webhook": WebhookSettings,
    "apprise": AppriseSettings,
}
REFERENCE_KEYS: tuple[Literal["datasources", "jobs", "storages"], ...] = ("datasources", "jobs", "storages")
"""Keys of a channel that name other objects; each is the name of their table too."""
