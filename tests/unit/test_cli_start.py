"""The start: what is answered, and what is not even loaded."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dgtui import __version__

_INTERRUPTED = """
import sys
class Interrupted:
    def find_spec(self, name, path=None, target=None):
        if name == "dgtui.cli.outcome":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
from dgtui.__main__ import main
main(["list"])
"""
HEAVY = {"dgtui.engine.catalog", "http.client", "textual", "psycopg", "pymysql", "zstandard"}
_PROGRAM = """
import sys
from dgtui.__main__ import main
sys.argv = ["dgtui", *sys.argv[1:]]
try:
    code = main()
except SystemExit as ended:
    code = ended.code
print("LOADED", *sorted(sys.modules), file=sys.stderr)
sys.exit(code)
"""


def start(*arguments: str, **environment: str) -> tuple[subprocess.CompletedProcess[str], set[str]]:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )
    line = next(line for line in done.stderr.splitlines() if line.startswith("LOADED"))
    return done, set(line.split()[1:])


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["run", "--help"], ["restore", "--help"], []])
def test_nothing_heavy_is_loaded_to_answer_little(arguments: list[str]) -> None:
    done, loaded = start(*arguments)
    assert done.returncode == (0 if arguments else 2)
    assert not loaded & HEAVY


def test_no_screen_is_held_up_by_what_only_the_engine_needs() -> None:
    # A key that opens a screen while the engine is still loaded would wait for the lock of its modules.
    program = (
        "import sys, dgtui.app\n"
        "from dgtui.screens.preloading import load_screens\n"
        "load_screens()\n"
        "print(*sorted({'dgtui.engine.catalog', 'dgtui.engine.facade'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "\n", "")


def test_the_version_is_all_it_prints_and_costs_no_parser() -> None:
    done, loaded = start("--version")
    assert done.stdout == f"dgtui {__version__}\n"
    assert "typer" not in loaded


@pytest.mark.parametrize(
    "arguments",
    [
        ["restore", "job@latest", "--overwrite", "--yes", "--into", ""],
        ["restore", "job@latest", "--yes", "--to", ""],
        ["restore", "job@latest", "--into", "x", "--yes", "--table", "t", "--table", ""],
        ["delete", "job@latest", "--yes", "--storage", ""],
        ["validate", ""],
    ],
)
def test_an_empty_name_is_no_name_at_all(arguments: list[str], tmp_path: object) -> None:
    done, _ = start(*arguments, DGTUI_CONFIG=f"{tmp_path}/none.toml", DGTUI_STATE=f"{tmp_path}/state")
    assert done.returncode == 2
    assert "it is empty" in done.stderr


def test_a_number_that_is_too_large_is_refused(tmp_path: object) -> None:
    place = {"DGTUI_CONFIG": f"{tmp_path}/none.toml", "DGTUI_STATE": f"{tmp_path}/state"}
    for arguments in (["list", "--limit", "9" * 25], ["restore", "job@latest", "--jobs", "100000"]):
        done, _ = start(*arguments, **place)
        assert done.returncode == 2
        assert "is not in the range" in done.stderr


def test_commands_start_without_a_library_that_validates_models(tmp_path: object) -> None:
    """It would take longer to load than the rest of the parser."""
    place = {"DGTUI_CONFIG": f"{tmp_path}/none.toml", "DGTUI_STATE": f"{tmp_path}/state"}
    _, loaded = start("list", "--limit", "5", **place)
    assert "typer" in loaded
    assert "pydantic" not in loaded


def test_a_version_that_nobody_could_read_is_said_to_be_lost() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "dgtui", "--version"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr == "error: output was lost: <stdout>: No space left on device\n"


def test_run_job_is_started_without_the_parser_of_the_other_commands(tmp_path: object) -> None:
    done, loaded = start(
        "--run-job", "nosuch", "--json", DGTUI_CONFIG=f"{tmp_path}/none.toml", DGTUI_STATE=f"{tmp_path}/state"
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert "none.toml" in done.stderr
    assert not loaded & {"typer", "rich", "textual"}


def test_help_names_every_command() -> None:
    done, _ = start("--help")
    for command in (
        "run", "backup", "list", "show", "status", "follow", "cancel", "validate", "restore", "delete", "scan",
        "cleanup", "pin", "unpin", "rehearse", "mark-restored",
        "check", "daemon", "demo", "--run-job",
    ):  # fmt: skip
        assert f" {command} " in done.stdout
    assert "..." not in done.stdout.partition("Commands:")[2], "no help text is cut off at 80 columns"


def test_alone_without_a_terminal_it_names_the_commands() -> None:
    done, _ = start()
    assert done.stdout == ""
    assert "dgtui run" in done.stderr
    assert "terminal" in done.stderr


def test_a_fault_of_the_program_shows_no_traceback_unless_asked() -> None:
    program = "import dgtui.__main__ as m; m._dispatch = lambda _: 1 // 0; m.main(['list'])"
    for asked in ({}, {"DGTUI_TRACEBACK": "1"}):
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False, env={**os.environ, **asked}
        )
        assert done.returncode == 1
        assert ("Traceback" in done.stderr) == bool(asked)
        assert "ZeroDivisionError" in done.stderr


def test_an_interrupt_while_it_begins_is_no_fault_of_the_program() -> None:
    done = subprocess.run([sys.executable, "-c", _INTERRUPTED], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")
