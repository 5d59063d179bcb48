"""The real program over a real SSH line that drops in the middle of a backup."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.homes import Home, wait_until
from tests.support.sshd import SshServer, Tmux, remote_program
from tests.tui.conftest import orders


@pytest.fixture
def terminals() -> Iterator[list[Tmux]]:
    """The terminals that a test opens, closed at its end."""
    opened: list[Tmux] = []
    yield opened
    for terminal in opened:
        terminal.close()


def log_in(server: SshServer, home: Home, terminals: list[Tmux]) -> Tmux:
    """Start the program over a new line."""
    terminals.append(Tmux(server.command(remote_program(home.environment))))
    terminals[-1].until("DataGuardian", "healthy")
    return terminals[-1]


def test_a_backup_outlives_the_line_it_was_started_over(
    ssh_server: SshServer, home: Home, shop: Path, terminals: list[Tmux]
) -> None:
    home.config_path.write_text(f"{home.config_path.read_text()}{home.gate}\n")
    before = orders(shop)

    first = log_in(ssh_server, home, terminals)
    first.press("b")
    first.until("Back up shop")
    first.press("Enter")
    first.until("running")
    engine = home.engine()
    run_id = engine.running()[0].run_id
    ssh_server.drop_connections()
    wait_until(lambda: first.ended, "the end of the line")
    assert engine.paths.is_alive(run_id)

    second = log_in(ssh_server, home, terminals)
    second.until("backup nightly")
    second.press("w")
    second.until("running", "Hide, keep running")
    home.open_gate()
    second.until("completed", "100 %")
    second.press("Enter")
    second.until("just now", "2 of 2")
    with contextlib.closing(sqlite3.connect(shop)) as connection, connection:
        connection.execute("DROP TABLE orders")
    second.press("r")
    second.until("Restore shop from", "everything in it will be replaced")
    second.press(*["Down"] * 7)
    second.press("s", "h", "o", "p", "Enter")
    second.until("completed")
    wait_until(lambda: not engine.running(), "the worker's exit")
    # A key right after Escape would be taken for Alt with that key.
    second.press("Enter", "q")
    wait_until(lambda: second.ended, "the end of the program")
    assert orders(shop) == before
