"""People are reminded of what still lasts: each channel as often as it asks for, and only of what is known to last."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cached_property

from dgtui.config import Config
from dgtui.engine.catalog import Database
from dgtui.engine.catalog.delivery_items import DeliveryItems, Told
from dgtui.engine.catalog.health import HealthRecords
from dgtui.engine.notification_model import Notification


class Reminding:
    """One look at what people are to be reminded of."""

    def __init__(self, catalog: Database, config: Config, at: datetime) -> None:
        self._catalog = catalog
        self._config = config
        self._at = at

    def remind(self) -> None:
        """Add the reminders that are due. Raises CatalogError."""
        items = DeliveryItems(self._catalog)
        for told in items.told():
            settings = self._config.channels.get(told.channel)
            if settings is None or not settings.enabled or not settings.remind_every:
                continue
            every = timedelta(seconds=settings.remind_every)
            # What was sent far ahead, before the clock was set back, counts as long ago.
            is_recent = abs(self._at - told.sent_at) < every
            if not is_recent and self._is_configured(told.notification) and self._was_checked(told, every):
                items.remind(told, at=self._at)

    def _is_configured(self, notification: Notification) -> bool:
        """Nobody is reminded of what was taken out of the configuration."""
        names: dict[str, Mapping[str, object]] = {
            "datasource": self._config.datasources,
            "job": self._config.jobs,
            "storage": self._config.storages,
        }
        known = names.get(notification.subject_kind)
        return known is None or notification.subject in known

    def _was_checked(self, told: Told, every: timedelta) -> bool:
        """Whether what is checked was found as it is since its reminder fell due: nobody may have looked for days."""
        subject = (told.notification.subject_kind, told.notification.subject)
        if subject not in self._checks:
            return True
        checked_at, fell_due = self._checks[subject], told.sent_at + every
        # Where the clock was set back, a check that is not ahead is one since then.
        return checked_at is not None and checked_at <= self._at and (fell_due <= checked_at or fell_due > self._at)

    @cached_property
    def _checks(self) -> dict[tuple[str, str], datetime | None]:
        return HealthRecords(self._catalog).checks_told()
