"""Runs that last: watching, cancelling, terminals and pipes that go away."""

import contextlib
import fcntl
import json
import os
import re
import select
import signal
import sqlite3
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from dgtui.cli.watch import start_and_watch
from dgtui.engine.errors import EXIT_CANCELLED, EXIT_STOPPED
from tests.support.fakebin import write_fake
from tests.support.homes import PATIENCE_SECONDS, Home, pid_of_worker, wait_until


@pytest.fixture
def slow(home: Home) -> Home:
    """A home whose job is met under way by the slowest machine: it takes minutes, and hardly any work."""
    tree = home.folder / "tree"
    tree.mkdir()
    tree.joinpath("large").write_bytes(os.urandom(10_000_000))
    home.path_prefix = str(write_fake(home.folder / "bin", "tar", "slow:50000").parent)
    home.configure(f'[datasources.shop]\ntype = "files"\npath = {json.dumps(str(tree))}', job='compression = "none"')
    home.engine()
    return home


@pytest.fixture
def quick(home: Home) -> Home:
    """A home whose job is done at once."""
    database = home.folder / "shop.db"
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE orders (number)")
    home.configure(f'[datasources.shop]\ntype = "sqlite"\npath = {json.dumps(str(database))}')
    return home


@contextlib.contextmanager
def started(home: Home, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The program, without a terminal."""
    process = subprocess.Popen(
        [sys.executable, "-m", "dgtui", *arguments],
        env=home.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def run_under_way(home: Home) -> str:
    """Wait for a worker that is dumping; the id of its run."""
    found: list[str] = []

    def dumping() -> bool:
        outcome = home.dgtui("status", "--json")
        assert outcome.exit_code == 0, outcome
        found[:] = [row["run_id"] for row in outcome.json() if row["phase"] == "dump"]
        return bool(found)

    wait_until(dumping, "a run that is dumping")
    return found[0]


def status_of(home: Home, run_id: str) -> str:
    return str(home.dgtui("status", run_id, "--json").json()["status"])


@pytest.mark.parametrize(
    ("number", "code", "status", "said"),
    [(signal.SIGINT, 130, "cancelled", "cancelling"), (signal.SIGTERM, 143, "interrupted", "stopping")],
)
def test_a_signal_ends_the_run_and_waits_for_it(
    slow: Home, number: signal.Signals, code: int, status: str, said: str
) -> None:
    with started(slow, "--run-job", "nightly", "--json") as process:
        run_id = run_under_way(slow)
        process.send_signal(number)
        output, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == code, errors
    assert json.loads(output.splitlines()[-1])["status"] == status
    assert said in errors
    assert "Traceback" not in errors
    assert slow.engine().execution(run_id).status == status
    wait_until(lambda: not slow.engine().paths.is_alive(run_id), "the worker's exit")
    assert slow.litter() == []
    assert not list(slow.storage("disk").glob("*/*/manifest.json"))


def test_status_follow_busy_and_cancel_from_elsewhere(slow: Home) -> None:
    with started(slow, "run", "nightly") as process:
        run_id = run_under_way(slow)
        assert "backup nightly · shop" in slow.dgtui("status").output
        busy = slow.dgtui("--run-job", "nightly")
        assert busy.exit_code == 4, busy
        assert "hint:" in busy.errors
        with started(slow, "follow", run_id[:8]) as follower:
            assert follower.stderr is not None
            assert "Backup nightly" in follower.stderr.readline()
            follower.send_signal(signal.SIGINT)
            _, errors = follower.communicate(timeout=PATIENCE_SECONDS)
        assert follower.returncode == 130
        assert "the run goes on" in errors
        assert status_of(slow, run_id) == "running"
        cancelled = slow.dgtui("cancel", run_id[:8])
        assert cancelled.exit_code == 0, cancelled
        process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130
    assert slow.dgtui("follow", run_id).exit_code == 130
    late = slow.dgtui("cancel", run_id)
    assert late.exit_code == 1, late
    assert slow.dgtui("status").output == ""


def test_the_latest_of_a_job_is_what_it_does_now_and_then_what_it_did_last(slow: Home) -> None:
    tar = Path(slow.path_prefix) / "tar"
    tar.rename(tar.with_name("slow-tar"))
    backup = slow.back_up()
    assert backup.status == "completed"
    tar.with_name("slow-tar").rename(tar)
    with started(slow, "run", "nightly") as process:
        run_id = run_under_way(slow)
        # A worker goes on while it loads the catalogue.
        wait_until(lambda: len(slow.engine().executions()) > 1, "the record of the run")
        status = slow.dgtui("status", "nightly@latest", "--json").json()
        assert (status["run_id"], status["status"]) == (run_id, "running")
        cancelled = slow.dgtui("cancel", "nightly@latest", "--json")
        assert cancelled.exit_code == 0, cancelled
        assert cancelled.json() == {"run_id": run_id, "status": "cancelled"}
        process.communicate(timeout=PATIENCE_SECONDS)
    assert slow.dgtui("follow", "nightly@latest").exit_code == 130
    assert slow.dgtui("status", "nightly@latest", "--json").json()["run_id"] == run_id
    shown = slow.dgtui("show", "nightly@latest", "--json").json()
    assert shown["execution_id"] == backup.execution_id, "what is asked of a backup is asked of one that is there"


def test_a_closed_pipe_leaves_the_job_its_result(quick: Home) -> None:
    program = (
        f'set -o pipefail; "{sys.executable}" -m dgtui --run-job nightly --json | head -1; echo "${{PIPESTATUS[0]}}"'
    )
    done = subprocess.run(
        ["bash", "-c", program],
        env=quick.environment,
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    first, code = done.stdout.splitlines()
    assert json.loads(first)["status"] == "running"
    assert code == "0"
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
    assert quick.dgtui("list", "--json").json()[0]["status"] == "completed"


def test_output_that_is_lost_on_a_full_disk_is_no_success(quick: Home) -> None:
    quick.back_up()
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "dgtui", "list"],
            env=quick.environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert "No space left" in done.stderr


def test_it_works_without_any_open_stream(quick: Home) -> None:
    bare = {name: quick.environment[name] for name in ("DGTUI_CONFIG", "DGTUI_STATE")}
    done = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -m dgtui --run-job nightly <&- >&- 2>&-'],
        env={**bare, "PATH": "/usr/bin:/bin"},
        check=False,
    )
    assert done.returncode == 0
    assert quick.dgtui("list", "--json").json()[0]["status"] == "completed"


class OnTerminal:
    """The program on a pseudo terminal of its own; everything it sends is kept."""

    def __init__(self, home: Home, *arguments: str, **environment: str) -> None:
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        log_in = (
            "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_DFL); os.login_tty(int(sys.argv[1])); "
            "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", log_in, str(slave), "-m", "dgtui", *arguments],
            env={**home.environment, "TERM": "xterm", "LC_ALL": "C.UTF-8", "NO_COLOR": "", **environment},
            pass_fds=[slave],
        )
        os.close(slave)
        self._sent = b""

    @property
    def text(self) -> str:
        """What came so far."""
        while self._master >= 0 and select.select([self._master], [], [], 0)[0]:
            try:
                block = os.read(self._master, 65536)
            except OSError:
                break
            if not block:
                break
            self._sent += block
        return self._sent.decode("utf-8", "replace")

    @property
    def words(self) -> str:
        """The same without colours and movements."""
        return re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", self.text)

    def wait_for(self, text: str) -> None:
        """Read until a text has come."""
        wait_until(lambda: text in self.words, f"{text!r} on the terminal")

    def type(self, text: str) -> None:
        """What a person types."""
        os.write(self._master, text.encode())

    def finish(self) -> int:
        """Read to the end; the exit code."""
        wait_until(lambda: bool(self.text) and self.process.poll() is not None, "the end of the program")
        return self.process.returncode

    def hang_up(self) -> None:
        """Close the terminal."""
        os.close(self._master)
        self._master = -1

    def close(self) -> None:
        """End the program where it still runs."""
        self.process.kill()
        self.process.wait()
        if self._master >= 0:
            self.hang_up()


@contextlib.contextmanager
def on_terminal(home: Home, *arguments: str, **environment: str) -> Iterator[OnTerminal]:
    """The program on a terminal."""
    terminal = OnTerminal(home, *arguments, **environment)
    try:
        yield terminal
    finally:
        terminal.close()


def test_the_panel_on_a_terminal(quick: Home) -> None:
    with on_terminal(quick, "run", "nightly") as terminal:
        assert terminal.finish() == 0
        text, words = terminal.text, terminal.words
    assert "╭ Backup nightly · shop" in words
    assert "✔ completed" in words
    assert "100 %" in words
    assert "\x1b[?25l" in text
    assert text.count("\x1b[?25h") == 1, "the cursor is given back"
    assert "\x1b[32m" in text
    assert "Backup nightly · shop: completed" in words.splitlines()[-1]


def test_no_colour_and_no_unicode_where_they_are_not_wanted(quick: Home) -> None:
    with on_terminal(quick, "run", "nightly", NO_COLOR="1", LC_ALL="C") as terminal:
        assert terminal.finish() == 0
        text = terminal.text
    assert "+ Backup nightly - shop" in re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", text)
    assert not re.search(r"\x1b\[[0-9;]*m", text)
    assert text.partition("\x1b[?25h")[0].isascii()


def test_a_dumb_terminal_gets_plain_lines(quick: Home) -> None:
    with on_terminal(quick, "run", "nightly", TERM="dumb") as terminal:
        assert terminal.finish() == 0
        assert "\x1b" not in terminal.text


def test_ctrl_c_on_the_terminal_cancels(slow: Home) -> None:
    with on_terminal(slow, "run", "nightly") as terminal:
        terminal.wait_for(" %")
        terminal.type("\x03")
        terminal.wait_for("cancelling…")
        assert terminal.finish() == 130
        assert not re.search(r"100 %  [\d.]+ MB", terminal.words)
        assert "■ cancelled" in terminal.words
    assert slow.dgtui("list", "--json").json()[0]["status"] == "cancelled"


def test_a_terminal_that_goes_away_leaves_the_run_alone(slow: Home) -> None:
    with on_terminal(slow, "run", "nightly") as terminal:
        run_id = run_under_way(slow)
        terminal.hang_up()
        assert terminal.process.wait(PATIENCE_SECONDS) == 129
    assert status_of(slow, run_id) == "running"
    assert slow.dgtui("cancel", run_id).exit_code == 0


def test_a_restore_asks_for_the_name_of_its_target(quick: Home) -> None:
    quick.back_up()
    new = quick.folder / "new.db"
    with on_terminal(quick, "restore", "nightly@latest", "--into", str(new)) as terminal:
        terminal.wait_for("to confirm:")
        assert f"Into     {new}"[:60] in terminal.text
        terminal.type("yes\n")
        assert terminal.finish() == 130
        assert "nothing was changed" in terminal.text
    assert not new.exists()
    with on_terminal(quick, "restore", "nightly@latest", "--into", str(new)) as terminal:
        terminal.wait_for("to confirm:")
        terminal.type(f"{new}\n")
        assert terminal.finish() == 0
    assert new.exists()


def test_a_second_ctrl_c_leaves_the_run_to_itself(slow: Home) -> None:
    with started(slow, "run", "nightly") as process:
        run_id = run_under_way(slow)
        worker = pid_of_worker(slow.engine().paths, run_id)
        # A worker that stands still cannot end before the second signal comes.
        os.kill(worker, signal.SIGSTOP)
        try:
            assert process.stderr is not None
            process.send_signal(signal.SIGINT)
            while "cancelling" not in process.stderr.readline():
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=PATIENCE_SECONDS)
        finally:
            os.kill(worker, signal.SIGCONT)
    assert process.returncode == 130
    assert "the run goes on" in errors
    wait_until(lambda: status_of(slow, run_id) == "cancelled", "the end of the cancelled run")


@pytest.mark.parametrize(
    ("number", "exit_code", "status"),
    [(signal.SIGINT, EXIT_CANCELLED, "cancelled"), (signal.SIGTERM, EXIT_STOPPED, "interrupted")],
)
def test_a_signal_between_the_start_of_a_run_and_its_watching(
    slow: Home, number: signal.Signals, exit_code: int, status: str
) -> None:
    """Whoever dies of it leaves a run behind that nobody wants any more."""
    engine = slow.engine()
    runs: list[str] = []

    def start() -> str:
        runs.append(engine.start_job("nightly"))
        os.kill(os.getpid(), number)
        return runs[0]

    assert start_and_watch(engine, start) == exit_code
    assert slow.finish(engine, runs[0]).status == status
    assert slow.litter() == []
