"""The last resort: tells people past the catalogue that the daemon can write nothing down, as on a full disk."""

import threading
import uuid
from datetime import datetime
from functools import partial
from itertools import count

from dgtui.config.channels import ChannelSettings
from dgtui.engine.catalog.deliveries import Item
from dgtui.engine.catalog.moments import save_moment
from dgtui.engine.errors import DataGuardianError
from dgtui.engine.guardian.duty import DutyContext
from dgtui.engine.notification_model import SEVERITIES, Notification, NotificationKind
from dgtui.engine.notify.channels import send
from dgtui.engine.notify.message import Message, compose
from dgtui.engine.notify.rules import wait_after, wants
from dgtui.engine.threads import Thread


class Outcry:
    """Sent once as long as it lasts, and once more when it is over; a daemon that dies meanwhile forgets it."""

    def __init__(self, context: DutyContext) -> None:
        self._context = context
        self._over: threading.Event | None = None
        """Set once what is told is over; None where nothing is."""

    @property
    def lasts(self) -> bool:
        """Whether people were told, and not yet that it is over."""
        return self._over is not None

    def begin(self, error: DataGuardianError) -> None:
        """Tell people that nothing can be written down, and why."""
        if self._over is not None:
            return
        self._over = threading.Event()
        self._tell(
            "state_unwritable",
            f"No backup begins and nothing is written down or told as usual: {error.message}",
            (f"Next: {error.hint}",) if error.hint else (),
            until=self._over,
        )

    def ends(self) -> bool:
        """Whether something can be written down again; people are told of it then."""
        try:
            save_moment(self._context.catalog, "outcry", self._context.clock())
        except DataGuardianError:
            return False
        if self._over is not None:
            self._over.set()
        self._over = None
        self._tell("state_restored", "The daemon can write into its state folder again, and goes on", (), until=None)
        return True

    def _tell(
        self, kind: NotificationKind, message: str, details: tuple[str, ...], *, until: threading.Event | None
    ) -> None:
        told = Notification(
            notification_id=str(uuid.uuid4()),
            kind=kind,
            severity=SEVERITIES[kind],
            subject_kind="catalogue",
            subject=str(self._context.paths.state),
            message=message,
            created_at=self._context.clock(),
            details=details,
            ended_kinds=("state_unwritable",) if kind == "state_restored" else (),
        )
        self._context.log(message, "error" if until is not None else "info")
        for name, settings in self._context.config.channels.items():
            if wants(settings, told):
                message_of = _message(name, told, at=told.created_at)
                work = partial(self._send, name, settings, message_of, until)
                try:
                    Thread(target=work, name=f"outcry-{name}", daemon=True).start()
                except RuntimeError as error:
                    self._context.log(f"Not told through {name}: {error}", "warning")

    def _send(self, name: str, settings: ChannelSettings, message: Message, until: threading.Event | None) -> None:
        """Send it, again and again until it is taken; one whose time is over is not sent any more."""
        for attempt in count(1):
            try:
                send(name, settings, message, commit=lambda: None, seconds=settings.timeout)
            except DataGuardianError as error:
                self._context.log(f"Notifications through {name}: {error.message}", "warning")
            else:
                return
            # Whoever was told late of what is over has no use for it.
            if (until or self._context.stopping).wait(wait_after(attempt).total_seconds()):
                return


def _message(channel: str, told: Notification, *, at: datetime) -> Message:
    item = Item(item=0, channel=channel, created_at=at, notification=told)
    return compose(str(uuid.uuid4()), [item], at=at)
