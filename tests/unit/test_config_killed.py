"""Killed at any step of saving the configuration: there is the old one or the new one, private, and it can be read."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dgtui.config import load_config
from dgtui.config.leftovers import remove_cut_saves
from dgtui.config.store import save_object
from dgtui.engine.secrets import HiddenText, fetch_secret
from tests.support.homes import Home

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


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if path.name.endswith(".tmp")]


def test_killed_at_any_call(tmp_path: Path) -> None:
    """What lies there unfinished, which a secret may be in, goes at a later start, once nobody can be saving it."""
    path = tmp_path / "config.toml"
    path.write_text("")
    path.chmod(0o600)
    seen = set()
    unfinished: set[str] = set()
    for number in range(1, 200):
        for file in tmp_path.glob("conf.d/*"):
            file.unlink()
        save(path, "old", OLD, new=True)
        ended = save_and_die(path, number)
        assert ended in (0, -signal.SIGKILL)
        left = leftovers(tmp_path)
        unfinished.update(path.parent.name for path in left)
        remove_cut_saves(load_config(path))
        assert leftovers(tmp_path) == left
        for file in left:
            os.utime(file, (0, 0))
        remove_cut_saves(load_config(path))
        assert leftovers(tmp_path) == []
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
    assert {"conf.d", "secrets"} <= unfinished


def test_files_of_others_stay(tmp_path: Path, home: Home) -> None:
    """Only what is named as ours is removed, and any command does it."""
    home.configure(f'[datasources.shop]\ntype = "sqlite"\npath = "{tmp_path / "shop.db"}"\n')
    folder = home.config_path.parent
    (folder / "secrets").mkdir(exist_ok=True)
    ours = folder / "secrets" / f".datasource-shop-password.{'a' * 16}.tmp"
    others = [folder / "secrets" / name for name in ("x.tmp", ".x.tmp", ".x.abc.tmp", "datasource-shop-password")]
    for file in (ours, *others):
        file.write_text("s3cret")
        os.utime(file, (0, 0))
    assert home.dgtui("list").exit_code == 0
    assert [file.exists() for file in (ours, *others)] == [False, True, True, True, True]
