"""Which versions of a dump or restore program are installed, and where."""

import glob
import os
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from dgtui.engine.child import run_tool
from dgtui.engine.errors import IdleTimeout, ToolMissing
from dgtui.engine.model import ToolVersion

_ANSWER_SECONDS = 10.0
_VERSION = re.compile(r"(?:Distrib |from |\) |Ver |\bv)?(\d+(?:\.\d+)+[\w.-]*|\d+(?:devel|beta\d+|rc\d+))")
_PREFERRED_VERSION = re.compile(r"(?:Distrib |from |\) )(\d[\w.-]*)")
_DISPATCHERS = frozenset({"pg_wrapper"})
"""Scripts that choose among the installed versions by rules of their own; we choose among the programs themselves."""

COMMON_FOLDERS = ("/usr/local/bin", "/usr/bin", "/opt/homebrew/bin", "/opt/local/bin", "/snap/bin")


def search_folders(configured: str | None, well_known: Iterable[str] = ()) -> tuple[Path, ...]:
    """Where to look: only the configured folder where there is one, else PATH and the well-known folders.

    `well_known` may hold patterns such as `/usr/lib/postgresql/*/bin`.
    """
    if configured:
        return (Path(configured).expanduser(),)
    folders = [Path(part) for part in os.environ.get("PATH", "").split(os.pathsep) if part]
    for pattern in (*well_known, *COMMON_FOLDERS):
        folders.extend(Path(found) for found in sorted(glob.glob(pattern)))  # noqa: PTH207  # patterns are absolute
    return tuple(dict.fromkeys(folders))


def installed(names: Sequence[str], folders: Iterable[Path]) -> tuple[ToolVersion, ...]:
    """Every program of these names that answers `--version`, in the order of the folders, each once."""
    found: dict[Path, ToolVersion] = {}
    for folder in folders:
        for name in names:
            path = folder / name
            real = path.resolve()
            if real in found or real.name in _DISPATCHERS or not os.access(path, os.X_OK) or not path.is_file():
                continue
            version = _version_of(str(path), path.stat().st_mtime_ns)
            if version:
                found[real] = ToolVersion(name=name, path=str(path), version=version)
    return tuple(found.values())


def version_numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version, to compare by: `10.11.19-MariaDB` is (10, 11, 19)."""
    match = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def version_in(text: str) -> str:
    """The version in what a program prints for `--version`; empty where there is none."""
    match = _PREFERRED_VERSION.search(text) or _VERSION.search(text)
    return match[1].rstrip(".,-") if match else ""


@lru_cache(maxsize=256)
def _version_of(path: str, _changed: int) -> str:
    try:
        code, output, _ = run_tool([path, "--version"], timeout=_ANSWER_SECONDS)
    except (IdleTimeout, ToolMissing, OSError):
        return ""
    return version_in(output) if code == 0 else ""
