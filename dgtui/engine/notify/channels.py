"""The channels: which sender belongs to which settings."""

from dgtui.config.channels import AppriseSettings, ChannelSettings, EmailSettings, WebhookSettings
from dgtui.engine.errors import ConfigError
from dgtui.engine.notify.connection import Commit, Deadline
from dgtui.engine.notify.message import Message, Taken


def send(
    name: str,
    settings: ChannelSettings,
    message: Message,
    *,
    commit: Commit,
    seconds: float,
    recipients: tuple[str, ...] = (),
) -> Taken:
    """Send a message within so many seconds, to these `recipients` alone where the others have it.

    `commit` is called before the step after which the receiver may have it. Raises DataGuardianError, which tells
    the step that failed.
    """
    deadline = Deadline(min(seconds, settings.timeout))
    match settings:
        case EmailSettings():
            from dgtui.engine.notify.email_sender import send_email

            return send_email(name, settings, message, commit, deadline, recipients)
        case WebhookSettings():
            from dgtui.engine.notify.webhook_sender import send_webhook

            send_webhook(name, settings, message, commit, deadline)
            return Taken()
        case AppriseSettings():
            from dgtui.engine.notify.apprise_sender import send_by_apprise

            send_by_apprise(name, settings, message, commit, deadline)
            return Taken()
        case _:
            raise ConfigError(f"Nothing sends through channels of type {settings.type}", subject=name)


def try_channel(name: str, settings: ChannelSettings, *, seconds: float) -> str:
    """Fetch a channel's secrets, go to its server and log in there, and send nothing; what was reached, for people.

    Raises DataGuardianError, which tells the step that failed.
    """
    deadline = Deadline(min(seconds, settings.timeout))
    match settings:
        case EmailSettings():
            from dgtui.engine.notify.email_sender import try_email

            return try_email(name, settings, deadline)
        case WebhookSettings():
            from dgtui.engine.notify.webhook_sender import try_webhook

            return try_webhook(name, settings, deadline)
        case AppriseSettings():
            from dgtui.engine.notify.apprise_sender import try_apprise

            return try_apprise(name, settings, deadline)
        case _:
            raise ConfigError(f"Nothing sends through channels of type {settings.type}", subject=name)
