"""A catalogue, a real receiver, and a clock that is moved by hand, to try when messages are sent."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dgtui.config import Config
from dgtui.config.channels import ChannelSettings, WebhookSettings
from dgtui.engine.catalog import Catalog
from dgtui.engine.notification_model import NotificationKind
from dgtui.engine.notify import raise_notification
from dgtui.engine.notify.courier import Courier, DeliveryReport
from dgtui.engine.settings import Duration
from tests.support.receivers import WebServer, web_server

START = datetime(2025, 2, 13, 21, 30, tzinfo=UTC)


class Post:
    """A catalogue, a web server, and a clock that is moved by hand."""

    def __init__(self, catalog: Catalog, web: WebServer) -> None:
        self.catalog = catalog
        self.web = web
        self.now = START
        self.channels: dict[str, ChannelSettings] = {}
        self.set()
        self._seen = 0

    def set(self, name: str = "hook", **keys: object) -> None:
        """Configure a webhook channel."""
        settings = WebhookSettings(url=self.web.url, timezone="UTC", severity="info", timeout=Duration(30))
        self.channels[name] = msgspec.structs.replace(settings, **keys)

    def tell(
        self, kind: NotificationKind, subject: str = "shop", group: str = "", related: tuple[str, ...] = ()
    ) -> None:
        raise_notification(
            self.catalog,
            kind,
            subject_kind="datasource" if kind.startswith("connection") else "job",
            subject=subject,
            message=f"{kind} {subject}",
            group_key=group,
            related=related,
            at=self.now,
        )

    def deliver(self, *, after: timedelta = timedelta()) -> DeliveryReport:
        self.now += after
        datasources: dict[str, Any] = dict.fromkeys([f"shop{number}" for number in range(40)] + ["shop"])
        config = Config(channels=self.channels, datasources=datasources)
        return Courier(self.catalog, config, clock=lambda: self.now).deliver()

    def got(self) -> list[dict[str, Any]]:
        """What the server took since the last call."""
        new = self.web.requests[self._seen :]
        self._seen = len(self.web.requests)
        return [request.json for request in new]

    def subjects(self) -> list[list[str]]:
        """The subjects of each message since the last call."""
        return [[one["subject"] for one in message["notifications"]] for message in self.got()]


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    catalog = Catalog(tmp_path)
    with web_server() as web:
        yield Post(catalog, web)
    catalog.close()


MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
