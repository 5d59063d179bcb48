"""Programs run as children: their output, their end, and what they leave behind."""

import os
import select
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dgtui.engine.child import Child, output_of, run_tool
from dgtui.engine.errors import IdleTimeout, ToolMissing
from dgtui.engine.threads import Thread
from tests.support.homes import PATIENCE_SECONDS

_LEAVING = """
from dgtui.engine.child import run_tool
print(run_tool(["sh", "-c", "setsid sleep 600 2>&- & echo $!; echo odd >&2; exit 3"], timeout=60))
"""

_ALONE = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc")
"""Words before a command: process numbers of its own, and the right to choose the next one."""
_HEIR = """
import subprocess
from pathlib import Path
from dgtui.engine.child import Child
child = Child(["true"])
child.wait()
Path("/proc/sys/kernel/ns_last_pid").write_text(str(child.process.pid - 1))
heir = subprocess.Popen(["sleep", "600"], start_new_session=True)
child.stop()
print(heir.pid == child.process.pid, heir.poll())
"""


def test_output_error_output_and_exit_code() -> None:
    assert run_tool(["sh", "-c", "echo said; echo odd >&2; exit 3"], timeout=60) == (3, "said\n", "odd")
    code, output, tail = output_of(["sh", "-c", "head -c 3000000 /dev/zero; echo a >&2; echo b >&2"], timeout=60)
    assert (code, output, tail) == (0, bytes(3000000), ("a", "b"))


def test_a_program_whose_errors_nobody_can_read_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Thread, "start", start)
    reading, writing = os.pipe()
    with pytest.raises(RuntimeError, match="new thread"):
        Child(["sleep", "600"], pass_fds=(writing,))
    os.close(writing)
    assert select.select([reading], [], [], PATIENCE_SECONDS)[0]
    os.close(reading)


def test_what_a_program_leaves_behind_keeps_nobody_from_ending() -> None:
    done = subprocess.run([sys.executable, "-c", _LEAVING], capture_output=True, text=True, check=True, timeout=120)
    left = done.stdout.partition("'")[2].partition("\\n")[0]
    subprocess.run(["kill", left], check=True)
    assert done.stdout == f"(3, '{left}\\n', 'odd')\n"


def test_a_program_that_takes_too_long_is_ended_with_all_that_it_started() -> None:
    with pytest.raises(IdleTimeout, match="sh did not answer within 0 s"):
        run_tool(["sh", "-c", "yes & yes"], timeout=0.2)


def test_what_was_given_the_number_of_a_program_that_ended_is_not_ended() -> None:
    choosing = [*_ALONE, "test", "-w", "/proc/sys/kernel/ns_last_pid"]
    if shutil.which("unshare") is None or subprocess.run(choosing, check=False).returncode != 0:
        pytest.skip("this system does not let us choose process numbers")
    done = subprocess.run(
        [*_ALONE, sys.executable, "-c", _HEIR], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout == "True None\n", done.stderr


def test_what_a_program_says_has_blanks_where_it_is_indented() -> None:
    said: list[str] = []
    child = Child(["sh", "-c", "printf 'lost\\n\\tit was killed\\n' >&2"], on_line=said.append)
    child.wait()
    child.close()
    assert said == ["lost", " it was killed"]


@pytest.mark.parametrize(
    ("made", "wrong"), [("nothing", "does not exist"), ("file", "may not be executed"), ("folder", "is a folder")]
)
def test_a_program_that_is_named_by_its_path_is_not_said_to_be_looked_for_elsewhere(
    tmp_path: Path, made: str, wrong: str
) -> None:
    program = tmp_path / "program"
    if made == "file":
        program.write_text("")
    elif made == "folder":
        program.mkdir()
    with pytest.raises(ToolMissing) as caught:
        Child([str(program)])
    assert caught.value.message == f"{program} {wrong}"
