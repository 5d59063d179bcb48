"""The audit log: whole under many writers, refusing changes, and telling every change that was made all the same."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dgtui.engine.audit import HEAD_NAME, append_audit, current_actor, verify_audit
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.audit import AuditTable
from dgtui.engine.errors import CatalogError
from dgtui.engine.notification_model import Actor, AuditEntry

MOMENT = datetime(2025, 2, 13, 6, 0, 1, tzinfo=UTC)
ALICE = Actor(user="alice", origin="192.0.2.7")
_TAMPER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.executescript(sys.argv[2])
"""
_APPEND = """
import sys
from pathlib import Path
from dgtui.engine import audit
from dgtui.engine.audit import append_audit
from dgtui.engine.catalog import Catalog
from dgtui.engine.errors import CatalogError
audit._LOCK_SECONDS = 240  # the lock goes to whoever looks at the right moment, and not by turns
catalog = Catalog(Path(sys.argv[1]))
for number in range(int(sys.argv[3])):
    append_audit(catalog, "backup", object_kind="job", object_name=sys.argv[2], outcome=str(number))
"""
_UNLOCK = "DROP TRIGGER audit_refuses_update; DROP TRIGGER audit_refuses_delete;"


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    made = Catalog(tmp_path)
    yield made
    made.close()


def fill(catalog: Catalog, count: int = 5) -> list[AuditEntry]:
    return [
        append_audit(
            catalog,
            "backup",
            object_kind="job",
            object_name=f"nächtlich-{number}",
            outcome="completed",
            details=("to disk", 'said "done"'),
            actor=ALICE,
            at=MOMENT + timedelta(minutes=number),
        )
        for number in range(count)
    ]


def tamper(catalog: Catalog, script: str) -> None:
    """Change the catalogue behind the program's back, from another process."""
    subprocess.run([sys.executable, "-c", _TAMPER, str(catalog.path), script], check=True)


def kinds(catalog: Catalog) -> list[tuple[int, str]]:
    return [(damage.number, damage.kind) for damage in verify_audit(catalog).damage]


def test_what_was_written_is_whole(catalog: Catalog) -> None:
    written = fill(catalog)
    verdict = verify_audit(catalog)
    assert (verdict.entries, verdict.head, verdict.damage) == (5, written[-1].hash, ())
    assert AuditTable(catalog).entries(since=MOMENT + timedelta(minutes=3)) == [written[4], written[3]]


def test_an_empty_log_is_whole(catalog: Catalog) -> None:
    assert verify_audit(catalog).damage == ()


@pytest.mark.parametrize(
    ("odd", "details"),
    [
        ("backup", ("to disk", 'said "done"')),
        ('"\\/\b\f\n\r\t\x00\x1b\x7f\x80', ()),
        ("näch\u2028tlich \U0001f5c4 <&>", ("", "\u0301", "[]")),
        ("x" * 100_000, ("y" * 100_000,) * 3),
    ],
)
@pytest.mark.parametrize("at", [MOMENT, MOMENT + timedelta(microseconds=120_000)])
def test_the_hash_is_made_as_it_says(catalog: Catalog, odd: str, details: tuple[str, ...], at: datetime) -> None:
    actor = Actor(user=odd, origin=odd, program=odd)
    for number in range(2):
        entry = append_audit(
            catalog, odd, object_kind=odd, object_name=str(number), outcome=odd, details=details, actor=actor, at=at
        )
        fields = {
            "number": number + 1,
            "at": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "user": odd,
            "origin": odd,
            "program": odd,
            "action": odd,
            "object_kind": odd,
            "object_name": str(number),
            "outcome": odd,
            "details": list(details),
            "previous": entry.previous,
        }
        text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert entry.hash == hashlib.sha256(text.encode()).hexdigest()
        assert AuditTable(catalog).entries(limit=1) == [entry]
    assert verify_audit(catalog).damage == ()


@pytest.mark.parametrize("change", ["UPDATE audit SET outcome = 'failed'", "DELETE FROM audit"])
def test_sql_refuses_to_change_it(catalog: Catalog, change: str) -> None:
    fill(catalog, 2)
    with pytest.raises(CatalogError, match="only ever added to"), catalog.transaction() as connection:
        connection.execute(change)


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("UPDATE audit SET outcome = 'failed' WHERE number = 2", [(2, "changed")]),
        ("UPDATE audit SET user = 'bob' WHERE number = 5", [(5, "changed")]),
        ("UPDATE audit SET at = '2025-02-13T07:01:01+01:00' WHERE number = 2", [(2, "changed")]),
        ("DELETE FROM audit WHERE number = 3", [(4, "removed")]),
        ("DELETE FROM audit WHERE number = 1", [(2, "removed")]),
        ("DELETE FROM audit WHERE number > 3", [(4, "tail cut")]),
        ("DELETE FROM audit", [(1, "tail cut")]),
        (
            """
            UPDATE audit SET number = -1 WHERE number = 2;
            UPDATE audit SET number = 2 WHERE number = 3;
            UPDATE audit SET number = 3 WHERE number = -1
            """,
            [(2, "chain broken"), (2, "changed"), (3, "chain broken"), (3, "changed"), (4, "chain broken")],
        ),
        (
            """
            INSERT INTO audit SELECT 6, at, user, origin, program, action, object_kind, object_name, 'forged',
            details, hash, 'abc' FROM audit WHERE number = 5
            """,
            [(6, "changed")],
        ),
    ],
)
def test_every_change_from_outside_shows(catalog: Catalog, script: str, found: list[tuple[int, str]]) -> None:
    fill(catalog)
    tamper(catalog, f"{_UNLOCK} {script};")
    assert kinds(catalog) == found


@pytest.mark.parametrize(
    "change",
    [
        "details = 'oops'",
        "details = '[1]'",
        "details = x'ff'",
        "details = CAST(x'5b22ff225d' AS TEXT)",
        "at = 'yesterday'",
        "at = CAST(x'ff' AS TEXT)",
        "at = 5",
        "outcome = x'ff00'",
    ],
)
def test_an_entry_that_cannot_even_be_read_is_shown_as_changed_and_stops_no_new_one(
    catalog: Catalog, change: str
) -> None:
    fill(catalog)
    tamper(catalog, f"{_UNLOCK} UPDATE audit SET {change} WHERE number IN (2, 5);")
    assert kinds(catalog) == [(2, "changed"), (5, "changed")]
    assert fill(catalog, 1)[0].number == 6
    assert kinds(catalog) == [(2, "changed"), (5, "changed")]
    shown = AuditTable(catalog).entries()
    assert [entry.number for entry in shown] == [6, 5, 4, 3, 2, 1]
    assert [entry.number for entry in shown if "cannot be read" in " ".join(entry.details)] == [5, 2]


def test_bytes_that_are_no_text_are_shown_as_a_change_and_stop_no_new_entry(catalog: Catalog) -> None:
    fill(catalog)
    tamper(catalog, f"{_UNLOCK} UPDATE audit SET user = CAST(x'616c696365ff' AS TEXT) WHERE number = 2;")
    tamper(catalog, "UPDATE audit SET hash = CAST(x'ff' AS TEXT) WHERE number = 5;")
    assert set(kinds(catalog)) == {(2, "changed"), (5, "changed")}
    assert fill(catalog, 1)[0].number == 6
    assert {(2, "changed"), (5, "changed")} <= set(kinds(catalog))
    assert [entry.actor.user for entry in AuditTable(catalog).entries()][4] == r"no text: b'alice\xff'"


def test_a_cut_tail_still_shows_after_new_entries(catalog: Catalog) -> None:
    fill(catalog)
    tamper(catalog, f"{_UNLOCK} DELETE FROM audit WHERE number > 3;")
    fill(catalog, 2)
    (damage,) = verify_audit(catalog).damage
    assert (damage.number, damage.kind, damage.text) == (6, "removed", "entries 4 to 5 before it are not there")


def test_a_log_that_was_taken_away_as_a_whole_is_not_told_as_a_full_disk(catalog: Catalog) -> None:
    fill(catalog)
    tamper(catalog, f"{_UNLOCK} DROP TABLE audit;")
    with pytest.raises(CatalogError, match="no such table: audit") as refused:
        verify_audit(catalog)
    assert "Somebody has changed it" in refused.value.hint
    assert f"{catalog.path}*" in refused.value.hint


def test_a_head_that_is_gone_or_damaged_shows(catalog: Catalog) -> None:
    fill(catalog)
    head = catalog.path.parent / HEAD_NAME
    head.write_text("{")
    assert kinds(catalog) == [(0, "head damaged")]
    head.unlink()
    assert kinds(catalog) == [(0, "head missing")]


def test_a_kill_between_an_entry_and_its_head_is_no_damage(catalog: Catalog) -> None:
    fill(catalog, 3)
    head = catalog.path.parent / HEAD_NAME
    before = head.read_bytes()
    fill(catalog, 1)
    head.write_bytes(before)
    assert kinds(catalog) == []
    assert fill(catalog, 1)[0].number == 5
    assert kinds(catalog) == []


def test_many_processes_write_one_chain(catalog: Catalog) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", _APPEND, str(catalog.path.parent), f"job-{number}", "15"])
        for number in range(4)
    ]
    assert [writer.wait(timeout=240) for writer in writers] == [0, 0, 0, 0]
    assert (verify_audit(catalog).entries, verify_audit(catalog).damage) == (60, ())
    outcomes = [entry.outcome for entry, _ in AuditTable(catalog).all_in_order() if entry.object_name == "job-2"]
    assert outcomes == [str(number) for number in range(15)]


def test_a_name_that_is_no_text_is_written_and_proven(catalog: Catalog) -> None:
    append_audit(catalog, "backup", object_kind="job", object_name="\udcff\x1b[2J", outcome="completed")
    assert verify_audit(catalog).damage == ()
    assert AuditTable(catalog).entries()[0].object_name == "\\udcff\\x1b[2J"


def test_who_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSH_CLIENT", "SSH_CONNECTION", "SUDO_USER", "DGTUI_STARTED_BY_DAEMON"):
        monkeypatch.delenv(name, raising=False)
    plain = current_actor()
    assert plain == Actor(user=plain.user, origin="", program="dgtui")
    monkeypatch.setenv("SSH_CONNECTION", "198.51.100.4 50022 192.0.2.1 22")
    assert current_actor().origin == "198.51.100.4"
    monkeypatch.setenv("SUDO_USER", "carol")
    assert current_actor().user == f"carol as {plain.user}"
    monkeypatch.setenv("DGTUI_STARTED_BY_DAEMON", "1")
    assert (current_actor().program, current_actor().origin) == ("daemon", "")
