"""What this process has open."""

import contextlib
from pathlib import Path


def open_below(folder: Path) -> list[Path]:
    """The files in a folder that are open, each as often as it is; threads of other tests have theirs elsewhere."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(descriptor.readlink())
    return sorted(path for path in found if path.is_relative_to(folder))
