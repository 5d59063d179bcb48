"""A daemon that finds the disk of its state folder full waits for room: it is what would tell of it."""

import threading
import time
from pathlib import Path

from dgtui.config import Config
from dgtui.engine.catalog.database import is_without_room
from dgtui.engine.errors import DiskSpaceError
from dgtui.engine.guardian.outcry import Log, tell_restored, tell_unwritable
from dgtui.engine.guardian.systemd import SystemdNotifier

_LOOK_SECONDS = 3.0


def wait_for_room(config: Config, state: Path, notifier: SystemdNotifier, log: Log) -> bool:
    """Return once there is some; whether that had to be waited for, of which people are told."""
    place = state / "catalog.db"
    if not is_without_room(place):
        return False
    over = threading.Event()
    full = DiskSpaceError(f"The disk of {state} is full", subject=str(state), hint=f"Make room there: df -h {state}")
    tell_unwritable(config, state, full, log=log, until=over)
    notifier.ready("waits for room on the disk of its state folder")
    while is_without_room(place):
        notifier.alive()
        time.sleep(min(_LOOK_SECONDS, (notifier.watchdog_seconds or _LOOK_SECONDS) / 3))
    over.set()
    tell_restored(config, state, log=log, until=threading.Event())
    return True
