"""Whose the files are by which the program goes."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from dgtui.config import Config
from dgtui.engine.audit import user_name
from dgtui.engine.check.finding import Finding


def examine_owners(config: Config) -> Iterator[Finding]:
    """Warn of files that belong to another user than us and root; a container may well be given such, and works."""
    for path in config.files:
        yield from _finding(path, "who can change it, and so have dgtui do whatever it can")
    for path in sorted(config.secret_files()):
        yield from _finding(path, "who can read this secret, and change it")


def _finding(path: Path, danger: str) -> Iterator[Finding]:
    try:
        owner = path.stat().st_uid
    except OSError:
        return  # whoever needs it says so
    if owner not in (os.geteuid(), 0):
        yield Finding(
            area="configuration",
            subject=str(path),
            level="warning",
            message=f"belongs to {user_name(owner)}, {danger}",
            mend=f"chown {os.geteuid()} {shlex.quote(str(path))}",
        )
