"""Notifications as they are raised: told once, ended by what ends them, listed and marked read."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.notifications import Notifications
from dgtui.engine.notification_model import Notification, NotificationKind
from dgtui.engine.notify import end_states, raise_notification

MOMENT = datetime(2025, 2, 13, 6, 0, 1, tzinfo=UTC)


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    made = Catalog(tmp_path)
    yield made
    made.close()


def tell(
    catalog: Catalog, kind: NotificationKind, subject: str = "shop", minutes: int = 0, event: str = ""
) -> Notification | None:
    return raise_notification(
        catalog,
        kind,
        subject_kind="datasource",
        subject=subject,
        message=f"{kind} of {subject}",
        at=MOMENT + timedelta(minutes=minutes),
        event=event,
    )


def test_a_state_that_lasts_is_told_once_until_it_has_ended(catalog: Catalog) -> None:
    assert tell(catalog, "connection_lost") is not None
    assert tell(catalog, "connection_lost", minutes=5) is None
    assert tell(catalog, "connection_lost", "crm", minutes=5) is not None
    restored = tell(catalog, "connection_restored", minutes=10)
    assert restored is not None
    assert restored.ended_kinds == ("connection_lost",)
    assert tell(catalog, "connection_restored", minutes=11) is None
    assert tell(catalog, "connection_lost", minutes=12) is not None
    lasting = Notifications(catalog).listed(lasting=True)
    assert {(one.subject, one.created_at) for one in lasting} == {
        ("crm", MOMENT + timedelta(minutes=5)),
        ("shop", MOMENT + timedelta(minutes=12)),
    }


def test_an_event_is_told_once_however_often_it_is_raised(catalog: Catalog) -> None:
    assert tell(catalog, "backup_failed", event="run-1") is not None
    assert tell(catalog, "backup_failed", event="run-1") is None
    assert tell(catalog, "backup_failed", event="run-2") is not None


def test_a_good_backup_ends_what_was_wrong_with_its_job_only(catalog: Catalog) -> None:
    tell(catalog, "backup_overdue", "nightly")
    tell(catalog, "backup_overdue", "weekly")
    good = tell(catalog, "backup_completed", "nightly", minutes=1)
    assert good is not None
    assert good.ended_kinds == ("backup_overdue",)
    assert [one.subject for one in Notifications(catalog).listed(lasting=True)] == ["weekly"]
    again = tell(catalog, "backup_completed", "nightly", minutes=2)
    assert again is not None
    assert again.ended_kinds == ()


def test_a_state_can_end_in_silence(catalog: Catalog) -> None:
    tell(catalog, "storage_low")
    assert end_states(catalog, ["storage_low"], subject_kind="datasource", subject="shop", at=MOMENT) == 1
    assert Notifications(catalog).listed(lasting=True) == []


def test_the_unread_come_first_and_are_counted(catalog: Catalog) -> None:
    first, second, third = (tell(catalog, "backup_failed", f"job-{number}", number) for number in range(3))
    assert first is not None
    assert second is not None
    assert third is not None
    stored = Notifications(catalog)
    assert stored.mark_read([third.notification_id], at=MOMENT) == 1
    assert stored.mark_read([third.notification_id], at=MOMENT) == 0
    assert [one.subject for one in stored.listed()] == ["job-1", "job-0", "job-2"]
    assert [one.subject for one in stored.listed(unread=True)] == ["job-1", "job-0"]
    assert stored.listed(kind="backup_completed") == []
    assert stored.unread_counts() == {"backup_failed": 2}
    assert stored.by_prefix(first.notification_id[:8]) == [first]
    assert stored.mark_read(None, at=MOMENT) == 2
    assert stored.unread_counts() == {}


def test_what_comes_from_outside_cannot_steer_a_terminal(catalog: Catalog) -> None:
    told = raise_notification(
        catalog, "backup_failed", subject_kind="job", subject="x", message="\x1b[2Jboo", details=["\x07"]
    )
    assert told is not None
    assert (told.message, told.details) == ("\\x1b[2Jboo", ("\\x07",))


def test_no_message_grows_so_long_that_a_receiver_refuses_it(catalog: Catalog) -> None:
    lines = [f"/var/backups/shop/{number}: not_kept, 3.4 GB" for number in range(100_000)]
    told = raise_notification(
        catalog, "cleanup_completed", subject_kind="storage", subject="disk", message="many removed", details=lines
    )
    assert told is not None
    assert told.details == (*lines[:200], "... and 99,800 more")
