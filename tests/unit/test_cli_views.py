"""The panel, the plain lines and the JSON of a run, on made-up runs."""

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgtui.cli.json_view import JsonView
from dgtui.cli.live_view import LiveView
from dgtui.cli.plain_view import PlainView
from dgtui.engine.messages import (
    LogMessage,
    Message,
    PhaseMessage,
    ProgressMessage,
    StatusMessage,
    StorageMessage,
    encode_message,
)
from dgtui.engine.model import Problem
from dgtui.engine.run_follower import RunFollower, RunSnapshot
from dgtui.engine.runs import RunPaths
from dgtui.wording.panel import Line, Panel
from dgtui.wording.terminal import PLAIN, Look
from dgtui.wording.words import cells

START = datetime(2025, 2, 13, 6, 0, 1, tzinfo=UTC)
PANEL = Panel(title="Backup shop-nightly · shop", look=Look(), keys="Ctrl+C cancels")


def progress(done: int, total: int | None = 1000, **more: object) -> ProgressMessage:
    return ProgressMessage(done=done, total=total, total_kind="exact" if total else "unknown", at=START, **more)  # type: ignore[arg-type]


def running(**changes: object) -> RunSnapshot:
    values = {"run_id": "1a2b3c4d-0000", "status": "running", "phase": "dump", "started_at": START, **changes}
    return RunSnapshot(**values)  # type: ignore[arg-type]


def text_of(lines: list[Line]) -> list[str]:
    return ["".join(span.text for span in line) for line in lines]


def drawn(snapshot: RunSnapshot, width: int = 79, panel: Panel = PANEL, seconds: float = 23) -> list[str]:
    return text_of(panel.lines(snapshot, width=width, moment=START + timedelta(seconds=seconds)))


def test_the_panel_shows_what_goes_on() -> None:
    lines = drawn(
        running(
            progress=progress(
                2_100_000_000,
                3_400_000_000,
                rate=92e6,
                seconds_left=14.1,
                current_object="public.orders",
                object_number=12,
                object_count=48,
            ),
            storages=(
                StorageMessage(name="disk", state="writing", bytes=742_000_000),
                StorageMessage(
                    name="nas", state="left out", problem=Problem(kind="StorageError", message="not mounted")
                ),
            ),
            log=(
                LogMessage(text="pg_dump: dumping public.orders", origin="pg_dump"),
                LogMessage(text="hi", origin="tar"),
            ),
        )
    )
    whole = "\n".join(lines)
    for part in (
        "Backup shop-nightly · shop", "● running", "0:00:23", "public.orders (12 of 48)",
        "61 %  2.1 of 3.4 GB  92 MB/s  14 s", "• pg_dump: dumping public.orders", "• tar: hi",
        "disk ● 742 MB", "nas ⚡ left out: not mounted", "Ctrl+C cancels",
    ):  # fmt: skip
        assert part in whole


def test_the_panel_names_the_storage_that_the_run_waits_for() -> None:
    silent = StorageMessage(name="nas", state="writing", bytes=742_000_000, silent_seconds=12.4)
    whole = "\n".join(drawn(running(storages=(StorageMessage(name="disk", state="writing", bytes=5), silent))))
    assert "disk ● 5 B    nas ⚡ 742 MB, no answer for 12 s" in whole
    assert "nas % 742 MB, no answer for 12 s" in "\n".join(
        drawn(running(storages=(silent,)), panel=Panel(title="x", look=PLAIN))
    )


def test_every_second_moves_the_clock() -> None:
    assert "0:01:00" in drawn(running(), seconds=60)[0]
    assert "0:01:01" in drawn(running(), seconds=61)[0]
    ended = running(status="completed", ended_at=START + timedelta(seconds=5))
    assert "0:00:05" in drawn(ended, seconds=60)[0]


def test_never_100_percent_before_the_end() -> None:
    assert "99 %" in "\n".join(drawn(running(progress=progress(1000))))
    assert "100 %" in "\n".join(drawn(running(status="completed", progress=progress(1000))))


def test_no_percentage_is_invented() -> None:
    snapshot = running(progress=progress(5_000_000, None, rate=1e6))
    first, later = "\n".join(drawn(snapshot, seconds=1)), "\n".join(drawn(snapshot, seconds=3))
    assert "%" not in first
    assert "5.0 MB  1.0 MB/s" in first
    assert first != later, "the block wanders"


def test_a_terminal_without_unicode_gets_ascii() -> None:
    lines = drawn(
        running(log=(LogMessage(text="日本…"),), storages=(StorageMessage(name="disk", state="done"),)),
        panel=Panel(title="Backup a · b", look=PLAIN, keys="cancelling…"),
    )
    assert all(line.isascii() for line in lines)
    assert len({cells(line) for line in lines}) == 1


@given(
    name=st.text(max_size=60),
    width=st.integers(24, 140),
    unicode=st.booleans(),
    total=st.one_of(st.none(), st.integers(1, 10**15)),
    done=st.integers(0, 10**15),
    states=st.lists(st.sampled_from(["writing", "checking", "done", "failed", "left out"]), max_size=4),
)
def test_every_line_fits_whatever_the_names_are(
    name: str, width: int, unicode: bool, total: int | None, done: int, states: list[str]
) -> None:
    snapshot = running(
        progress=progress(done, total, rate=1.5, seconds_left=1e9, current_object=name),
        log=tuple(LogMessage(text=name, origin=name) for _ in range(7)),
        storages=tuple(
            StorageMessage(name=f"{name}{number}", state=state, problem=Problem(kind="X", message=name))  # type: ignore[arg-type]
            for number, state in enumerate(states)
        ),
    )
    lines = drawn(snapshot, width=width, panel=Panel(title=name, look=Look(unicode=unicode), keys=name))
    assert {cells(line) for line in lines} == {min(width, 120)}
    assert not any(category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") for line in lines for character in line)


class Terminal(io.StringIO):
    """A stream that counts how often it was written to."""

    encoding = "utf-8"

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.writes.append(text)
        return len(text)


def test_the_live_view_draws_twice_a_second_at_most_and_only_what_changed() -> None:
    moment, terminal = 0.0, Terminal()
    view = LiveView(PANEL, terminal, clock=lambda: moment)
    for step in range(500):
        moment = step / 50
        view.update([], running(progress=progress(step, current_object="orders")))
    assert 15 <= len(terminal.writes) <= 21
    first, later = terminal.writes[0], terminal.writes[5]
    assert "shop-nightly" in first
    assert "orders" in first
    assert "orders" not in later.replace("shop", ""), "an unchanged line is not sent again"
    assert sum(len(text.encode()) for text in terminal.writes) / 10 < 2048
    view.close()
    view.close()
    assert "".join(terminal.writes).count("\x1b[?25h") == 1


def test_the_live_view_draws_the_end_at_once_and_colours_only_where_it_may() -> None:
    terminal = Terminal()
    view = LiveView(PANEL, terminal, clock=lambda: 0.0)
    view.update([], running())
    view.update([], running(status="completed", ended_at=START))
    assert "completed" in terminal.writes[-1]
    assert "\x1b[32m" not in "".join(terminal.writes)
    coloured = Terminal()
    LiveView(Panel(title="x", look=Look(colour=True)), coloured, clock=lambda: 0.0).update([], running())
    assert "\x1b[32m" in coloured.writes[0]


def test_plain_lines_tell_phases_log_storages_and_every_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    moment = 0.0
    view = PlainView("Backup a\x1b[2J", clock=lambda: moment)
    view.update([PhaseMessage(phase="dump"), LogMessage(text="careful", level="warning")], running())
    for done in range(0, 1000, 10):
        view.update([progress(done)], running(progress=progress(done)))
    writing = StorageMessage(name="disk", state="writing", bytes=5)
    silent = [StorageMessage(name="disk", state="writing", bytes=6, silent_seconds=n) for n in (5, 6)]
    view.update([writing, writing, *silent, writing, StorageMessage(name="disk", state="done", bytes=7)], running())
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Backup a\\x1b[2J" in captured.err
    assert "dumping" in captured.err
    assert "warning: careful" in captured.err
    assert captured.err.count(" %") == 9
    assert captured.err.count("disk:") == 3
    assert captured.err.count("disk: 6 B, no answer for 5 s") == 1
    assert "disk: 7 B done" in captured.err


def test_plain_lines_say_every_ten_seconds_that_something_moves(capsys: pytest.CaptureFixture[str]) -> None:
    moment = 0.0
    view = PlainView("Backup", clock=lambda: moment)
    for second in range(35):
        moment = float(second)
        view.update([], running(progress=progress(second, None)))
    assert capsys.readouterr().err.count(" B") == 3


def test_json_is_the_messages_and_always_has_an_end(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    paths.make()
    sent: list[Message] = [StatusMessage(status="running"), PhaseMessage(phase="dump"), progress(5)]
    paths.messages("abc").write_bytes(b"".join(encode_message(message) + b"\n" for message in sent))
    follower, view = RunFollower(paths, "abc"), JsonView()
    while not follower.snapshot.ended:
        view.update(follower.poll(), follower.snapshot)
    view.update([], follower.snapshot)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["kind"] for line in lines] == ["status", "phase", "progress", "status"]
    assert lines[-1]["status"] == "interrupted"
    assert lines[-1]["problem"]["hint"]
    assert {line["run_id"] for line in lines} == {"abc"}


def test_what_is_written_of_a_backup_that_came_to_nothing_is_not_shown_as_stored() -> None:
    storages = (
        StorageMessage(name="disk", state="writing", bytes=5),
        StorageMessage(name="nas", state="failed", problem=Problem(kind="StorageError", message="full")),
    )
    for status, shown in (("failed", False), ("cancelled", False), ("interrupted", False), ("partial", True)):
        ended = running(status=status, ended_at=START, storages=storages)
        whole = "\n".join(drawn(ended))
        assert ("disk" in whole) is shown, status
        assert "nas ✖" in whole, status


def test_the_keys_at_the_foot_are_those_that_work() -> None:
    panel = Panel(title="x", look=Look(), keys="x Cancel", ended_keys="Esc Close")
    assert "x Cancel" in drawn(running(), panel=panel)[-1]
    foot = drawn(running(status="failed", ended_at=START), panel=panel)[-1]
    assert "Esc Close" in foot
    assert "x Cancel" not in foot
