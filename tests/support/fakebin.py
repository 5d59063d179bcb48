"""Fake dump programs: they run the real tool, so that the bytes are real, and misbehave in one named way.

Modes, with N a number of bytes, `60%` of the whole, or `-1` for all but the last byte:
`empty` (no output, exit 0), `cut0:N` (ends early, exit 0), `cut1:N` (ends early, exit 1), `kill:N` (dies of SIGKILL
after N bytes), `hang` or `hang:N` (stops after N bytes, ignores TERM, and so does a grandchild that holds the pipe),
`flood` (4 MiB on stderr, all is well), `slow:RATE` (bytes a second), `err0` (all is well, but "error:" on stderr),
`stand:N` (stands still after N bytes), `leak` (prints the password it got on stderr), `leak1` (the same, exit 1),
`version:TEXT` (what `--version` says). How many bytes they were stands in a file `sent` beside the program once `hang`
or `stand` has given them.
"""

import json
import shutil
import sys
from pathlib import Path

_PROGRAM = Path(__file__).with_name("fakebin_program.py")


def write_fake(folder: Path, name: str, mode: str, *, real: str | None = None) -> Path:
    """Write a fake `name` into a folder, to be put first in PATH or named as `tools`; its path.

    `real` is the program it wraps; by default the one of that name in PATH.
    """
    real = real or shutil.which(name)
    assert real is not None, f"{name} is not installed"
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / name
    orders = json.dumps({"mode": mode, "real": real})
    text = _PROGRAM.read_text().replace('ORDERS = "{}"', f"ORDERS = {orders!r}")
    program.unlink(missing_ok=True)
    program.write_text(f"#!{sys.executable} -I\n{text}")
    program.chmod(0o755)
    return program
