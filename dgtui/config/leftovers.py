"""What a program leaves beside the configuration that dies while it saves: files that have not got their name yet."""

import contextlib
import re
import time
from pathlib import Path

from dgtui.config.model import Config
from dgtui.config.store import SECRETS_FOLDER, main_path

_TEMPORARY = re.compile(r"\..{1,100}\.[0-9a-f]{16}\.tmp")
_SAVING_SECONDS = 600
"""A younger one may be that of a program that is saving just now."""


def remove_cut_saves(config: Config) -> None:
    """Remove them; a secret may be in such a file. Those that cannot be removed stay, for the next start."""
    folder = main_path(config).parent
    for place in (folder, folder / "conf.d", folder / SECRETS_FOLDER):
        with contextlib.suppress(OSError):
            for path in place.iterdir():
                if _TEMPORARY.fullmatch(path.name) and _is_old(path):
                    path.unlink()


def _is_old(path: Path) -> bool:
    status = path.lstat()
    return time.time() - status.st_mtime > _SAVING_SECONDS
