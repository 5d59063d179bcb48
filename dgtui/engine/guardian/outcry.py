"""The last resort: telling people past the catalogue that the daemon can write nothing down, as on a full disk."""

import threading
import uuid
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

from dgtui.config import Config
from dgtui.config.channels import ChannelSettings
from dgtui.engine.catalog.delivery_items import Item
from dgtui.engine.catalog.moments import save_moment
from dgtui.engine.errors import DataGuardianError
from dgtui.engine.guardian.duty import DutyContext, Level
from dgtui.engine.messages import now
from dgtui.engine.notification_model import SEVERITIES, Notification, NotificationKind
from dgtui.engine.notify.channels import send
from dgtui.engine.notify.message import Message, compose
from dgtui.engine.notify.rules import wait_after, wants
from dgtui.engine.threads import Thread

Log = Callable[[str, Level], None]


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
        context = self._context
        tell_unwritable(context.config, context.paths.state, error, log=context.log, until=self._over)

    def ends(self) -> bool:
        """Whether something can be written down again; people are told of it then."""
        try:
            save_moment(self._context.catalog, "outcry", self._context.clock())
        except DataGuardianError:
            return False
        if self._over is not None:
            self._over.set()
        self._over = None
        context = self._context
        tell_restored(context.config, context.paths.state, log=context.log, until=context.stopping)
        return True


def tell_unwritable(config: Config, state: Path, error: DataGuardianError, *, log: Log, until: threading.Event) -> None:
    """Tell people directly that nothing can be written down; not any more once `until` is set."""
    text = f"No backup begins and nothing is written down or told as usual: {error.message}"
    log(text, "error")
    details = (f"Next: {error.hint}",) if error.hint else ()
    _tell(config, _notification("state_unwritable", state, text, details), log, until)


def tell_restored(config: Config, state: Path, *, log: Log, until: threading.Event) -> None:
    """Tell people directly that this is over."""
    text = "The daemon can write into its state folder again, and goes on"
    log(text, "info")
    _tell(config, _notification("state_restored", state, text, ()), log, until)


def _notification(kind: NotificationKind, state: Path, message: str, details: tuple[str, ...]) -> Notification:
    return Notification(
        notification_id=str(uuid.uuid4()),
        kind=kind,
        severity=SEVERITIES[kind],
        subject_kind="catalogue",
        subject=str(state),
        message=message,
        created_at=now(),
        details=details,
        ended_kinds=("state_unwritable",) if kind == "state_restored" else (),
    )


def _tell(config: Config, told: Notification, log: Log, until: threading.Event) -> None:
    for name, settings in config.channels.items():
        if not wants(settings, told):
            continue
        item = Item(item=0, channel=name, created_at=told.created_at, notification=told)
        message = compose(str(uuid.uuid4()), [item], at=told.created_at)
        work = partial(_send, name, settings, message, log, until)
        try:
            Thread(target=work, name=f"outcry-{name}", daemon=True).start()
        except RuntimeError as error:
            log(f"Not told through {name}: {error}", "warning")


def _send(name: str, settings: ChannelSettings, message: Message, log: Log, until: threading.Event) -> None:
    """Send it, again and again until it is taken, or nobody needs it any more."""
    put_off: tuple[str, ...] = ()
    for attempt in count(1):
        try:
            taken = send(name, settings, message, commit=lambda: None, seconds=settings.timeout, recipients=put_off)
        except DataGuardianError as error:
            log(f"Notifications through {name}: {error.message}", "warning")
        else:
            put_off = taken.put_off
            if not put_off:
                return
            log(f"Notifications through {name}: {taken.odd}", "warning")
        if until.wait(wait_after(attempt).total_seconds()):
            return
