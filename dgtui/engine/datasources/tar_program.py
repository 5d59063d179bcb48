"""Which GNU tar there is, what it can do, and how it is called to make an archive."""

import contextlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from dgtui.engine.child import run_tool
from dgtui.engine.datasources.file_tree import Patterns
from dgtui.engine.errors import ToolMissing
from dgtui.engine.model import ToolVersion

_ANSWER_SECONDS = 10.0
_XATTRS = ("--xattrs", "--xattrs-include=*")
_INSTALL = "Install the package tar (GNU tar): apt install tar, dnf install tar, brew install gnu-tar"


@lru_cache(maxsize=1)
def find_tar() -> ToolVersion:
    """The GNU tar of this machine; raises ToolMissing."""
    for name in ("tar", "gtar"):
        path = shutil.which(name)
        if path is None:
            continue
        _, output, _ = run_tool([path, "--version"], timeout=_ANSWER_SECONDS)
        match = re.match(r"tar \(GNU tar\) (\S+)", output)
        if match:
            return ToolVersion(name="tar", path=path, version=match[1])
    raise ToolMissing("GNU tar is not installed", subject="tar", hint=_INSTALL)


@lru_cache(maxsize=1)
def attribute_options(path: str) -> tuple[str, ...]:
    """The options for what this tar was built to keep: extended attributes, and access lists."""
    options = [*_XATTRS, "--acls"]
    asked = [path, "--create", "--file=/dev/null", *options, "--files-from=/dev/null"]
    _, _, said = run_tool(asked, timeout=_ANSWER_SECONDS)
    if "ACL support is not available" in said:
        options.remove("--acls")
    if "XATTR support is not available" in said:
        options = [option for option in options if option not in _XATTRS]
    return tuple(options)


def dump_arguments(tool: ToolVersion, source: Path, index: Path, exclude: Patterns, one_file_system: bool) -> list[str]:
    """How tar is called to write an archive, but for the names.

    The times of last access and change are left out: a restore cannot set the one and nobody wants the other back.
    """
    arguments = [
        tool.path,
        "--create",
        "--file=-",
        "--format=posix",
        "--pax-option=delete=atime,delete=ctime",
        "--sparse",
        "--numeric-owner",
        *attribute_options(tool.path),
        "--quoting-style=c",
        "--verbose",
        "--verbose",
        f"--index-file={index}",
        f"--directory={source if source.is_dir() else source.parent}",
    ]
    if one_file_system:
        arguments.append("--one-file-system")
    arguments += ["--wildcards", "--no-wildcards-match-slash", "--no-anchored"]
    arguments += [f"--exclude={pattern}" for pattern in exclude.names]
    arguments.append("--anchored")
    return [*arguments, *(f"--exclude=./{pattern}" for pattern in exclude.paths)]


def from_list(descriptor: int) -> tuple[str, ...]:
    """The options that make tar take its names from a `name_list`."""
    return ("--null", "--no-unquote", f"--files-from=/proc/self/fd/{descriptor}")


@contextlib.contextmanager
def name_list(names: Iterable[bytes]) -> Iterator[int]:
    """A descriptor that a child can read names from, whatever bytes they hold."""
    descriptor = os.memfd_create("names", 0)
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            for name in names:
                file.write(name + b"\x00")
        yield descriptor
    finally:
        os.close(descriptor)
