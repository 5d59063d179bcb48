"""Dump programs that stand still in the middle of their rows until a test lets them go on."""

import shlex
from pathlib import Path

from tests.support.homes import wait_until


class GatedTool:
    """The real program behind a gate: what is beyond the first bytes stays in its pipe, and at the server."""

    def __init__(self, folder: Path, name: str, real: str, *, after_bytes: int = 200_000) -> None:
        self.folder = folder
        self._reached = folder / "reached"
        self._opened = folder / "opened"
        folder.mkdir()
        real, reached, opened = (shlex.quote(str(part)) for part in (real, self._reached, self._opened))
        program = folder / name
        program.write_text(
            f'#!/bin/bash\n[ "$1" = --version ] && exec {real} --version\nset -o pipefail\n{real} "$@" | '
            f"{{ head -c {after_bytes}; touch {reached}; until [ -e {opened} ]; do sleep 0.05; done; cat; }}\n"
        )
        program.chmod(0o755)

    def wait(self) -> None:
        """Until the first rows are out and the program stands still."""
        wait_until(self._reached.exists, "the middle of a dump")

    def open(self) -> None:
        """Let it go on, and each later one pass."""
        self._opened.touch()
