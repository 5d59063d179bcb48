"""Which of the installed `pg_dump`, `pg_restore` and `pg_dumpall` fits."""

import shutil
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from dgtui.engine.datasources.postgres_failures import package_hint
from dgtui.engine.errors import ToolMissing, ToolTooOld
from dgtui.engine.model import ToolVersion
from dgtui.engine.tools import installed, search_folders, version_numbers

WELL_KNOWN_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/libpq/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/libpq/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/usr/local/pgsql*/bin",
    "/Library/PostgreSQL/*/bin",
)
_BUFFER = "128K"


def major(version: str) -> int:
    """The major version: 15 of `15.18`; 0 where it cannot be told."""
    numbers = version_numbers(version)
    return numbers[0] if numbers else 0


def fitting_tool(name: str, at_least: int, tools_folder: str | None, *, purpose: str) -> ToolVersion:
    """The program of the same major version, else of the lowest newer one.

    `purpose` says in an error what needs that version. Raises ToolMissing, ToolTooOld.
    """
    found = _found(name, search_folders(tools_folder, WELL_KNOWN_FOLDERS))
    fitting = [tool for tool in found if major(tool.version) >= at_least]
    if not fitting:
        newest = max(found, key=lambda tool: version_numbers(tool.version))
        raise ToolTooOld(
            f"{name} {newest.version} ({newest.path}) is older than {purpose}",
            subject=name,
            hint=package_hint(at_least),
        )
    lowest = min(major(tool.version) for tool in fitting)
    return max(
        (tool for tool in fitting if major(tool.version) == lowest), key=lambda tool: version_numbers(tool.version)
    )


def newest_tool(name: str, more_folders: Iterable[str] = ()) -> ToolVersion:
    """The newest program of this name, installed or in one of these folders. Raises ToolMissing."""
    folders = (*search_folders(None, WELL_KNOWN_FOLDERS), *(Path(folder).expanduser() for folder in more_folders))
    return max(_found(name, folders), key=lambda tool: version_numbers(tool.version))


def _found(name: str, folders: tuple[Path, ...]) -> tuple[ToolVersion, ...]:
    found = installed([name], folders)
    if not found:
        places = ", ".join(str(folder) for folder in folders)
        raise ToolMissing(
            f"{name} is not installed (looked in {places})",
            subject=name,
            hint="Install the package: apt-get install postgresql-client, or name its folder with `tools`",
        )
    return found


@lru_cache
def _stdbuf() -> str | None:
    return shutil.which("stdbuf")


def buffered(*streams: str) -> list[str]:
    """Words before a command that give its streams (`-i`, `-o`) larger buffers; none where there is no stdbuf.

    The tools read and write 4 KiB at a time on a pipe; larger blocks save about a third of their CPU time.
    """
    program = _stdbuf()
    return [program, *(f"{stream}{_BUFFER}" for stream in streams)] if program else []
