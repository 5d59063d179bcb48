"""Code that the user nobody runs, who may not read everything as root may."""

import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c")


def as_nobody(code: str, *arguments: str) -> str:
    """What the code printed; skips where nobody cannot reach this Python, its packages or these sources."""
    # A Python below /root (pyenv puts it there) cannot even be started, and would print nothing.
    if _run("import pytest, tests, dgtui").returncode != 0:
        pytest.skip("this Python, its packages or these sources lie where other users cannot reach them")
    done = _run(code, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*_NOBODY, code, *arguments], capture_output=True, text=True, check=False, cwd=_ROOT)
