"""Writes configurations for the tests."""

from pathlib import Path

import pytest

from dgtui.config import load_config
from dgtui.engine.errors import ConfigError

STORAGE = """
[storages.disk]
type = "local"
path = "/var/backups"
"""
DATASOURCE = """
[datasources.shop]
type = "postgres"
database = "shop"
"""
JOB = """
[jobs.nightly]
datasource = "shop"
storages = ["disk"]
"""
WHOLE = STORAGE + DATASOURCE + JOB


def write_config(folder: Path, content: str | bytes, name: str = "config.toml", mode: int = 0o600) -> Path:
    """A configuration file with these bytes and this mode."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    return path


def mistakes_of(path: Path) -> list[str]:
    """The lines of the error that this configuration gives, without the folder of the file."""
    before = {file: file.read_bytes() for file in path.parent.rglob("*.toml") if file.is_file()}
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert caught.value.exit_code == 2
    assert caught.value.hint
    # A person's file is never rewritten, least of all one that could not be understood.
    assert {file: file.read_bytes() for file in before} == before
    return [line.removeprefix(f"{path.parent}/") for line in caught.value.message.splitlines()]
