"""Configurations that were right, kept as they were read: the daemon and its workers go on with the last one."""

import hashlib
from pathlib import Path

import msgspec

from dgtui.config.files import Source, find_files
from dgtui.config.load import Sources, config_of, load_config
from dgtui.config.model import Config
from dgtui.engine.errors import ConfigError
from dgtui.engine.file_errors import explained
from dgtui.engine.files import make_private_folder, write_durably

_PATTERN = "*.json"
_KEPT = 2
"""A worker that was told of the former one just now has still to read it."""


class _File(msgspec.Struct, frozen=True, kw_only=True):
    path: str
    mode: int
    data: bytes


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    main: str | None
    files: tuple[_File, ...]


def kept_folder(state: Path) -> Path:
    """Where they lie in a state folder."""
    return state / "config"


def load_or_former(state: Path) -> tuple[Config, ConfigError | None]:
    """The configuration; where it is wrong, the last one that was kept, else an empty one, and what is wrong.

    For those who only look: what was recorded, and what runs, is there whatever the configuration says now. Raises
    ConfigError where it cannot be told which files it has.
    """
    try:
        return load_config(), None
    except ConfigError as error:
        main = find_files(None).main
        return last_kept(kept_folder(state), main) or Config(path=main), error


def keep(sources: Sources, folder: Path) -> Path:
    """Keep what was read, which may hold secrets, for nobody else's eyes; where. Raises StorageError."""
    files = [one for one in sources.files if isinstance(one, Source)]
    main = None if sources.main is None else str(sources.main)
    kept = _Kept(main=main, files=tuple(_File(path=str(one.path), mode=one.mode, data=one.data) for one in files))
    text = msgspec.json.encode(kept)
    path = folder / f"{hashlib.sha256(text).hexdigest()}.json"
    make_private_folder(folder)
    # Written anew although it is there: the newest is the one that is in use.
    write_durably(path, text)
    with explained(folder, "tidy up"):
        for old in _newest_first(folder)[_KEPT:]:
            old.unlink(missing_ok=True)
    return path


def load_kept(path: Path) -> Config:
    """A configuration that was kept. Raises ConfigError."""
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"The kept configuration cannot be read: {error}", subject=str(path)) from None
    files = tuple(Source(path=Path(one.path), mode=one.mode, data=one.data) for one in kept.files)
    config = config_of(Sources(None if kept.main is None else Path(kept.main), files))
    return msgspec.structs.replace(config, kept=path)


def last_kept(folder: Path, main: Path | None) -> Config | None:
    """The configuration of this main file that was kept last, as far as it is one still."""
    for path in _newest_first(folder):
        try:
            config = load_kept(path)
        except ConfigError:
            continue
        if config.path == main:
            return config
    return None


def _newest_first(folder: Path) -> list[Path]:
    try:
        found = [(path.stat().st_mtime_ns, path) for path in folder.glob(_PATTERN)]
    except OSError:
        return []
    return [path for _, path in sorted(found, reverse=True)]
