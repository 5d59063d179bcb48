"""The demo: a shop in a folder of its own, made by the command of that name."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from dgtui.config import load_config
from dgtui.engine.errors import RestoreError

if TYPE_CHECKING:
    from dgtui.engine.facade import Engine


def demo_engine() -> "Engine":
    """Run the demo's command in a folder of its own, and open what it made. Raises DataGuardianError."""
    from dgtui.engine.facade import Engine

    folder = Path(tempfile.mkdtemp(prefix="dgtui-demo-"))
    command = [sys.executable, "-m", "dgtui", "demo", "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise RestoreError(
            "The demo did not work",
            subject=str(folder),
            hint="Leave the screens and see all that it says: dgtui demo",
            detail=done.stderr.splitlines()[-5:],
        )
    return Engine(load_config(folder / "config.toml"), folder / "state")
