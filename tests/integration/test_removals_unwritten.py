"""Removals of which one write fails: what they removed is said, and all of it is written down and told once."""

import contextlib
from collections import Counter
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from dgtui.engine.audit import verify_audit
from dgtui.engine.catalog.audit import AuditTable
from dgtui.engine.catalog.notifications import Notifications
from dgtui.engine.catalog.removals import RemovalTable
from dgtui.engine.cleanup import Scope
from dgtui.engine.errors import DataGuardianError
from dgtui.engine.facade import Engine
from tests.integration.test_removals_killed import JOB, START, add, engine, lines
from tests.support.backup_folders import new_id
from tests.support.homes import Home
from tests.support.refusing import Refusing, refusing, refusing_from, refusing_those

__all__ = ["engine"]


def cleaned_up(doomed: Engine) -> tuple[int, str]:
    """How many a cleanup says that it removed, and why it failed."""
    try:
        return len(doomed.retention.clean_up(Scope()).removed), ""
    except DataGuardianError as error:
        said = error.message.partition("Already removed: ")[2]
        return int(said.partition(",")[0] or 0), error.message


def nothing_is_owed(of: Engine) -> bool:
    table = RemovalTable(of.catalog)
    return not (table.begun() or table.ended() or table.unwritten())


def known_paths(of: Engine) -> set[str]:
    return {copy.path for one in of.executions() for copy in one.copies if copy.status == "available"}


def test_whichever_write_of_a_cleanup_fails(home: Home, engine: Engine) -> None:
    engine.close()
    removed: list[Path] = []
    kept = add(home, START, "disk")
    for step in count(1):
        leftover = home.storage() / JOB / f".partial-2024-01-01_030000-{new_id()}"
        orphan = home.storage() / JOB / f"{START - timedelta(days=step):%Y-%m-%d_%H%M%S}"
        gone, kept = [*kept, leftover, orphan], add(home, START + timedelta(days=step), "disk")
        for folder in (leftover, orphan):
            folder.mkdir()
            (folder / "backup.tar.zst").write_bytes(b"rest")
        removed += gone
        doomed = home.engine()
        # The one write alone, or all from there on.
        with (refusing if step % 3 else refusing_from)(step) as refused:
            said, why = cleaned_up(doomed)
        lying = {str(folder) for folder in (*gone, *kept) if folder.exists()}
        assert known_paths(doomed) <= lying, step
        assert said == len(gone) + len(kept) - len(lying), (step, refused.seen, why)
        assert why or said == len(gone), step
        doomed.close()
        after = home.engine()
        last = after.retention.clean_up(Scope())
        assert (last.not_removed, last.notes) == ((), ())
        assert [path for folder in kept for path in folder.parent.iterdir()] == kept
        assert known_paths(after) == set(map(str, kept))
        once = Counter(dict.fromkeys(map(str, removed), 1))
        assert lines(home) >= once, step
        audited = [entry for entry in AuditTable(after.catalog).entries() if entry.action == "retention"]
        assert Counter(entry.details[0].partition(": ")[2] for entry in audited) == once, step
        told = Notifications(after.catalog).listed(kind="cleanup_completed")
        assert Counter(line.partition(": ")[0] for one in told for line in one.details) == once, step
        assert nothing_is_owed(after)
        after.close()
        if not refused.refused:
            break
    assert step > 40, "three removals, each of several writes"
    assert verify_audit(home.engine().catalog).damage == ()
    # Half a line is all that a full disk leaves beside the whole ones.
    halves = [line for line in lines(home) if line not in once]
    assert all(any(str(path).startswith(line) for path in removed) for line in halves), halves


def test_a_removal_that_is_ended_later_counts_also_where_the_head_of_the_audit_log_cannot_be_written(
    home: Home, engine: Engine
) -> None:
    for hours in range(2):
        add(home, START + timedelta(hours=hours), "disk")
    with refusing_those(lambda _: len(refused.seen) > 7) as refused, contextlib.suppress(DataGuardianError):
        engine.retention.clean_up(Scope())
    assert len(RemovalTable(engine.catalog).begun()) == 1, refused.seen
    with refusing_those(lambda _: refused.seen[-1] == "head") as refused:
        report = engine.retention.clean_up(Scope())
    assert refused.refused == "head"
    assert (len(report.removed), report.not_removed) == (1, ())
    assert "The entry itself is written" in report.notes[0]
    assert nothing_is_owed(engine)


@pytest.mark.parametrize("failing", [refusing, refusing_from])
def test_whichever_write_of_a_deletion_fails(home: Home, engine: Engine, failing: Refusing) -> None:
    engine.close()
    for step in count(1):
        folders = add(home, START + timedelta(days=step), "disk", "nas")
        doomed = home.engine()
        one = next(one for one in doomed.executions() if one.folder == folders[0].name)
        why = ""
        with failing(step) as refused:
            try:
                doomed.delete(one, force=True)
            except DataGuardianError as error:
                why = error.message
        there = {folder.parts[-3] for folder in folders if folder.exists()}
        assert bool(there) == bool(why), (step, refused.seen, why)
        assert ("Already deleted: the copy at disk" in why) == (there == {"nas"}), (step, why)
        doomed.close()
        after = home.engine()
        known = after.catalog.execution(one.execution_id)
        assert {copy.storage for copy in known.copies if copy.status == "available"} == there if known else not there
        entries = [entry for entry in AuditTable(after.catalog).entries() if entry.object_name == one.execution_id]
        outcomes = {2: "failed", 1: "partial", 0: "completed"}
        # An attempt that removed nothing, and cannot be written down, is no entry later.
        assert [entry.outcome for entry in entries] == [outcomes[len(there)]] or (len(there), entries) == (2, []), step
        after.retention.clean_up(Scope())
        assert all(lines(home)[str(folder)] == 1 for folder in folders if not folder.exists()), step
        assert nothing_is_owed(after)
        after.close()
        if not refused.refused:
            break
    assert step > 20, "two removals, each of several writes"
    assert verify_audit(home.engine().catalog).damage == ()
