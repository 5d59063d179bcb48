"""What people ask for and one write of it fails: it is done and in the audit log, or neither, and told once."""

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count

import pytest

from dgtui.engine.audit import HeadNotWritten
from dgtui.engine.catalog.audit import AuditTable
from dgtui.engine.catalog.notifications import Notifications
from dgtui.engine.errors import DataGuardianError
from dgtui.engine.facade import Engine
from dgtui.engine.restore_by_hand import mark_restored
from tests.support.backup_folders import add_backup, mark_storage
from tests.support.homes import Home
from tests.support.refusing import refusing

START = datetime(2025, 1, 1, 3, tzinfo=UTC)


@pytest.fixture
def engine(home: Home) -> Engine:
    """One backup of the job `nightly`."""
    home.configure('[datasources.shop]\ntype = "files"\npath = "/nowhere"\n')
    home.storage().mkdir()
    mark_storage(home.storage())
    add_backup(home.storage(), "nightly", START)
    engine = home.engine()
    engine.scan("disk")
    return engine


def pin(engine: Engine) -> None:
    (one,) = engine.executions()
    engine.retention.pin(one, "the merger")


def is_pinned(engine: Engine) -> int:
    return sum(one.pin is not None for one in engine.executions())


def mark(engine: Engine) -> None:
    (one,) = engine.executions()
    mark_restored(engine.catalog, engine.config, one, reason="by hand")


def is_marked(engine: Engine) -> int:
    return engine.catalog.restore_count()


@pytest.mark.parametrize(("act", "done", "action"), [(pin, is_pinned, "pin"), (mark, is_marked, "mark restored")])
def test_whichever_write_fails_what_is_done_is_in_the_audit_log(
    engine: Engine, act: Callable[[Engine], None], done: Callable[[Engine], int], action: str
) -> None:
    """It was done, and told as failed: whoever did it again had it twice."""
    for number in count(1):
        failed: DataGuardianError | None = None
        with refusing(number) as refused:
            try:
                act(engine)
            except DataGuardianError as error:
                failed = error
        entries = [one for one in AuditTable(engine.catalog).entries() if one.action == action]
        assert done(engine) == len(entries), refused.refused
        if entries:
            break
        assert failed is not None
    assert refused.refused == "head"
    assert (failed is None) == (act is mark)
    assert failed is None or isinstance(failed, HeadNotWritten)
    assert len(Notifications(engine.catalog).listed(kind="restore_completed")) == (act is mark)


def test_whichever_write_fails_people_are_told_that_the_catalogue_was_made_anew(home: Home, engine: Engine) -> None:
    """Where its audit entry could not be written, nobody was ever told."""
    engine.close()
    for number in count(1):
        for file in home.state.glob("catalog.db*"):
            file.unlink()
        with refusing(number) as refused, contextlib.suppress(DataGuardianError):
            home.engine().close()
        after = home.engine()
        assert len(after.executions()) == 1, (number, refused.refused)
        told = Notifications(after.catalog).listed(kind="catalogue_rebuilt")
        assert len(told) == 1, (number, refused.refused)
        entries = [one for one in AuditTable(after.catalog).entries() if one.action == "rebuild catalogue"]
        assert len(entries) == 1, (number, refused.refused)
        after.close()
        if not refused.refused:
            break
    assert number > 10
