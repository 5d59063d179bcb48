"""Servers and storages that hang hold up nothing but their own answers; signals end the program cleanly."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dgtui.config import load_config
from dgtui.engine.errors import StorageError
from dgtui.engine.facade import Engine
from dgtui.engine.memory import out_of_memory
from dgtui.engine.model import Copy, Execution
from dgtui.screens.backups import BackupsScreen
from dgtui.screens.restore import RestoreScreen
from dgtui.screens.widgets.choice import Choice
from dgtui.screens.widgets.listing import Listing
from dgtui.screens.widgets.styled import plain
from tests.support.homes import PATIENCE_SECONDS, Home, wait_until
from tests.tui.conftest import make_shop, sqlite_table
from tests.tui.driver import Driver, screens


@pytest.fixture
def silent_server() -> Iterator[int]:
    """The port of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def silent_tables(port: int, count: int) -> str:
    """Many datasources on that server."""
    return "".join(
        f'[datasources.silent{number}]\ntype = "postgres"\nhost = "127.0.0.1"\nport = {port}\ndatabase = "x"\n'
        f'username = "x"\ntls = "disable"\nconnect_timeout = 60\ncheck_timeout = 60\n'
        for number in range(count)
    )


async def quick(driver: Driver, *keys: str) -> None:
    """Press keys without waiting for any answer."""
    for key in keys:
        await driver.pilot.press(key)
    await driver.pilot.pause()


async def test_six_frozen_servers_leave_every_key_answering(home: Home, shop: Path, silent_server: int) -> None:
    home.configure(silent_tables(silent_server, 6) + sqlite_table("shop", shop))
    async with screens(home, ready=False) as driver:
        await driver.until(lambda: driver.app.is_ready, "the engine")
        await driver.until(lambda: "checking" in driver.rows("#datasources")[0], "the questions")
        await driver.until(lambda: "● healthy" in driver.rows("#datasources")[6], "the one that answers")
        assert sum("checking" in row for row in driver.rows("#datasources")) == 6
        await quick(driver, "3")
        await driver.until(lambda: "never ran" in driver.rows("#jobs")[0], "the jobs")
        await quick(driver, "1", "end", "b")
        await quick(driver, "enter")
        assert (await driver_watch(driver)) == "completed"


async def test_a_check_that_is_over_is_not_shown_as_under_way_beside_a_dialog(home: Home, shop: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        home.configure(silent_tables(int(silent.getsockname()[1]), 1) + sqlite_table("shop", shop))
        async with screens(home, ready=False) as driver:
            await driver.until(lambda: driver.app.is_ready, "the engine")
            place = driver.screen
            listing = driver.widget("#datasources", Listing)
            await driver.until(lambda: "checking" in driver.rows("#datasources")[0], "the question")
            await quick(driver, "D")
            assert driver.screen is not place
            # The server's end lets whoever waits for it go.
            held, _ = silent.accept()
            held.close()
            silent.close()
            await driver.until(
                lambda: "checking" not in plain(listing.rows[0].cells[2]), "what the table tells beside the dialog"
            )
            assert driver.screen is not place


async def test_a_question_without_memory_for_its_thread_is_told_and_can_be_asked_again(
    home: Home, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.configure(sqlite_table("shop", shop))

    def no_room(_size: int) -> None:
        raise out_of_memory()

    async with screens(home) as driver:
        await driver.until(lambda: "● healthy" in driver.rows("#datasources")[0], "the first check")
        with monkeypatch.context() as patch:
            patch.setattr("dgtui.engine.threads.need_room", no_room)
            await driver.press("c")
            assert any("Out of memory" in toast for toast in driver.toasts)
            assert "checking" not in driver.rows("#datasources")[0]
        await driver.press("c")
        await driver.until(lambda: "● healthy" in driver.rows("#datasources")[0], "the check")


def test_a_terminal_that_is_gone_ends_the_program_even_where_nobody_sends_a_signal(home: Home, shop: Path) -> None:
    controller, terminal = os.openpty()
    # It is not the program's controlling terminal: the kernel tells it nothing.
    program = subprocess.Popen(
        [sys.executable, "-m", "dgtui"],
        env={**home.environment, "TERM": "xterm-256color", "LANG": "C.UTF-8"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    seen = b""
    while b"healthy" not in seen:
        seen += os.read(controller, 65536)
    os.close(controller)
    try:
        assert program.wait(PATIENCE_SECONDS) == 128 + signal.SIGHUP
    finally:
        program.kill()
        program.wait()


async def driver_watch(driver: Driver) -> str:
    """Watch the run whose panel is seen, without waiting for other answers."""
    from dgtui.screens.run import RunScreen

    await driver.until(lambda: isinstance(driver.screen, RunScreen), "the panel")
    panel = driver.run_screen()
    await driver.until(lambda: panel.snapshot.ended, "the end")
    return panel.snapshot.status


class HangingEngine(Engine):
    """Its storage `nas` hangs until it is let go."""

    released: threading.Event

    def copies_at(self, storage: str, executions: Sequence[Execution]) -> dict[str, Copy]:
        """Hang where a dead network mount would."""
        if storage == "nas" and not self.released.wait(PATIENCE_SECONDS):
            raise StorageError("hung for too long")
        return super().copies_at(storage, executions)


async def test_a_frozen_storage_holds_up_only_its_own_column(
    home: Home, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.back_up()
    released = threading.Event()
    HangingEngine.released = released

    def hanging(home: Home) -> Callable[[], Engine]:
        config = load_config(home.config_path)
        return lambda: HangingEngine(config, home.state)

    async with screens(home, ready=False) as driver:
        driver.app._open_engine = hanging(home)
        await driver.until(lambda: driver.app.is_ready, "the engine")
        await quick(driver, "2")
        await driver.until(lambda: len(driver.rows("#executions")) == 1, "the backups")
        # What is known of a copy from before is not shown as if its storage had said so now.
        told = "disk just now; nas no answer yet, as it was"
        await driver.until(lambda: told in driver.text("#details"), "the doubt")
        assert "●?" in driver.rows("#executions")[0]
        assert driver.rows("#executions")[0].count("●") == 2
        await quick(driver, "r")
        assert isinstance(driver.screen, RestoreScreen)
        await driver.until(lambda: "everything in it will be replaced" in driver.text("#preview"), "the preview")
        await quick(driver, "right")
        assert driver.widget("#storage", Choice).key == "disk"
        assert driver.app.asking.is_asked("copies nas")
        await quick(driver, "escape", "1")
        assert driver.app.current_mode == "datasources"
        released.set()
        await driver.settle()
        await driver.press("2")
        assert "?" not in driver.rows("#executions")[0]
        assert "storages asked just now" in driver.text("#details")
        assert isinstance(driver.screen, BackupsScreen)
        driver.screen._live._is_silent("nas")
        assert not driver.screen._live.silent, "a timer that was too late changes nothing"


async def test_that_a_storage_still_says_the_same_is_told_as_soon_as_it_answers(
    home: Home, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else an answer of just now would be shown under the age of the one before."""
    execution = home.back_up()
    long_ago = execution.started_at - timedelta(hours=3)
    copies = tuple(msgspec.structs.replace(copy, checked_at=long_ago) for copy in execution.copies)
    home.engine().catalog.save_execution(msgspec.structs.replace(execution, copies=copies))
    released = threading.Event()
    copies_at = Engine.copies_at

    def hanging(engine: Engine, storage: str, executions: Sequence[Execution]) -> dict[str, Copy]:
        assert released.wait(PATIENCE_SECONDS)
        return copies_at(engine, storage, executions)

    monkeypatch.setattr(Engine, "copies_at", hanging)
    monkeypatch.setattr("dgtui.screens.live_copies._PATIENCE_SECONDS", 600)
    async with screens(home) as driver:
        await quick(driver, "2")
        await driver.until(lambda: "storages asked 3 h ago" in driver.text("#details"), "what is known")
        released.set()
        await driver.settle()
        assert "storages asked just now" in driver.text("#details")


async def test_backups_of_another_datasource_are_not_shown_while_those_of_the_chosen_one_are_looked_for(
    home: Home, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a restore could begin from the backup of the wrong database."""
    crm = home.folder / "crm.db"
    make_shop(crm)
    job = '[jobs.crm-nightly]\ndatasource = "crm"\nstorages = ["disk"]\nretries = 0\n'
    home.configure(sqlite_table("shop", shop) + sqlite_table("crm", crm), more=job)
    home.back_up()
    home.back_up("crm-nightly")
    released = threading.Event()
    executions = Engine.executions

    def hanging(engine: Engine, *, datasource: str | None = None, **wanted: Any) -> list[Execution]:
        assert datasource != "shop" or released.wait(PATIENCE_SECONDS)
        return executions(engine, datasource=datasource, **wanted)

    async with screens(home) as driver:
        await driver.press("2")
        assert len(driver.rows("#executions")) == 1
        monkeypatch.setattr(Engine, "executions", hanging)
        await quick(driver, "left", "down")
        assert driver.widget("#sources", Listing).key == "shop"
        await driver.until(lambda: driver.rows("#executions") == [], "the others' backups to go")
        await quick(driver, "r")
        assert not isinstance(driver.screen, RestoreScreen)
        released.set()
        await driver.settle()
        assert len(driver.rows("#executions")) == 1
        await driver.press("r")
        assert isinstance(driver.screen, RestoreScreen)


_PATIENT = """
import sys
from dgtui.__main__ import main
from dgtui.screens import hanging_up
hanging_up.GRACE_SECONDS = 600
sys.exit(main())
"""
"""The program, on a machine that may be too busy for a clean end within the usual time."""


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_ends_the_program_cleanly_and_leaves_the_run_alone(
    home: Home, shop: Path, number: signal.Signals
) -> None:
    controller, terminal = os.openpty()
    program = subprocess.Popen(
        [sys.executable, "-c", _PATIENT],
        env={**home.environment, "TERM": "xterm-256color", "LANG": "C.UTF-8", "COLUMNS": "80", "LINES": "24"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    seen = bytearray()

    def read() -> None:
        while True:
            try:
                block = os.read(controller, 65536)
            except OSError:
                return
            seen.extend(block)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        wait_until(lambda: b"healthy" in seen, "the first screen")
        program.send_signal(number)
        assert program.wait(PATIENCE_SECONDS) == 128 + number
        reader.join(PATIENCE_SECONDS)
        assert b"\x1b[?1049l" in seen, "the terminal's own screen is back"
        assert b"Traceback" not in seen
    finally:
        program.kill()
        program.wait()
        os.close(controller)


async def test_a_target_that_is_frozen_is_asked_once_and_not_twice_for_the_same_restore(
    home: Home, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.back_up()
    async with screens(home) as driver:
        app, asked, answers = driver.app, [], threading.Event()
        preview = app.engine.preview_restore

        def slow(execution: Execution, **choice: Any) -> Any:
            asked.append(choice)
            assert answers.wait(PATIENCE_SECONDS)
            return preview(execution, **choice)

        monkeypatch.setattr(app.engine, "preview_restore", slow)
        await quick(driver, "r")
        await driver.until(lambda: isinstance(driver.screen, RestoreScreen) and bool(asked), "the question")
        await driver.until(
            lambda: not any(app.asking.is_asked(f"restore copies {name}") for name in ("disk", "nas")), "the copies"
        )
        await quick(driver, "f5")
        answers.set()
        await driver.settle()
        assert "everything in it will be replaced" in driver.text("#preview")
        assert len(asked) == 1
