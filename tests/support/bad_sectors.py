"""A disk that begins to fail: one file or folder on it cannot be read any more, all others can."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest


def fail_to_open(monkeypatch: pytest.MonkeyPatch, bad: Path) -> None:
    """Let each attempt to open this file or folder end with an error of the disk, for root too."""
    opened = os.open

    def failing(path: Any, *arguments: Any, dir_fd: int | None = None, **keywords: Any) -> int:
        folder = Path("/") if dir_fd is None else Path(f"/proc/self/fd/{dir_fd}").readlink()
        if folder / path == bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return opened(path, *arguments, dir_fd=dir_fd, **keywords)

    monkeypatch.setattr(os, "open", failing)
