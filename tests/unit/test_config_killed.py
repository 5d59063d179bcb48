"""Killed at any step of saving the configuration: there is the old one or the new one, private, and it can be read."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dgtui.config import load_config
from dgtui.config.store import save_object
from dgtui.engine.secrets import HiddenText, fetch_secret

_CALLS = ("open", "write", "fsync", "rename", "unlink", "close")
OLD, NEW = "first-s3cret", "second-s3cret"


def save(path: Path, database: str, password: str, *, new: bool) -> None:
    values = {"type": "mysql", "database": database, "password": HiddenText(password)}
    save_object(load_config(path), "datasources", "shop", values, new=new)


def die_at(number: int) -> None:
    """Have this process kill itself just before its call of this number."""
    left = [number]

    def deadly(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **names: Any) -> Any:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **names)

        return counted

    for name in _CALLS:
        setattr(os, name, deadly(getattr(os, name)))


def save_and_die(path: Path, number: int) -> int:
    """Save in a child that is killed at its call of this number; how it ended."""
    child = os.fork()
    if not child:
        code = 1
        try:
            die_at(number)
            save(path, "shop", NEW, new=False)
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_killed_at_any_call(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("")
    path.chmod(0o600)
    seen = set()
    for number in range(1, 200):
        for file in tmp_path.glob("conf.d/*"):
            file.unlink()
        save(path, "old", OLD, new=True)
        ended = save_and_die(path, number)
        assert ended in (0, -signal.SIGKILL)
        config = load_config(path)
        settings: Any = config.datasources["shop"]
        secret = fetch_secret(settings.password)
        seen.add((settings.database, str(secret)))
        for file in (*tmp_path.rglob("*.toml"), *tmp_path.glob("secrets/*")):
            assert file.stat().st_mode & 0o777 == 0o600, file
        if not ended:
            break
    else:
        pytest.fail("the saving never came to its end")
    assert {("old", OLD), ("shop", NEW)} <= seen
