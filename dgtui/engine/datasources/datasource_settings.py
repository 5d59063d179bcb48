"""The keys that the configuration of every datasource has, and those of every database on a server."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from dgtui.engine.settings import Duration, Port, PositiveInt, Secret

SettingRules = Mapping[str, Callable[[Any], str | None]]
"""For a key: what is wrong with a value of the right type."""
_SHORTEST_INTERVAL = 10
_ABSOLUTE = "expected an absolute path such as '/srv/shop', or one from ~"
_LAST = {"last": True}
"""For a setting that stands at the end of a form."""


def interval_mistake(interval: int | None) -> str | None:
    """What is wrong with a time between two checks."""
    return "expected at least 10 s" if interval is not None and interval < _SHORTEST_INTERVAL else None


def _no_time(duration: int | None) -> str | None:
    return "expected more than 0" if duration == 0 else None


def path_mistake(path: str) -> str | None:
    """What is wrong with the place of a file or folder: timers and workers stand elsewhere than who wrote it."""
    return None if "\0" not in path and Path(path).expanduser().is_absolute() else _ABSOLUTE


class DatasourceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys every `[datasources.NAME]` table may have."""

    rules: ClassVar[SettingRules] = {
        "check_interval": interval_mistake,
        "check_timeout": _no_time,
        "slow_after": _no_time,
    }
    on_server: ClassVar[bool] = False
    """Whether a server keeps it; else it lies in the file system of this machine."""
    counted_by_walking: ClassVar[bool] = False
    """Whether what it holds is only known after a walk through all of it."""

    type: Annotated[str, msgspec.Meta(description="Kind of the datasource")]
    enabled: Annotated[bool, msgspec.Meta(description="Whether it is watched and backed up")] = True
    description: Annotated[str, msgspec.Meta(description="What it is, in your own words")] = ""
    check_interval: Annotated[
        Duration | None,
        msgspec.Meta(description="How often its health is checked; empty for the usual time", extra=_LAST),
    ] = None
    check_timeout: Annotated[
        Duration, msgspec.Meta(description="How long a check of its health may take", extra=_LAST)
    ] = Duration(10)
    slow_after: Annotated[
        Duration | None,
        msgspec.Meta(
            description="Latency beyond which it is slow; empty for three times its own usual one", extra=_LAST
        ),
    ] = None
    max_concurrent: Annotated[
        PositiveInt,
        msgspec.Meta(description="How many of its backups the timetable runs at once; others wait", extra=_LAST),
    ] = 1
    keep_replaced: Annotated[
        Duration,
        msgspec.Meta(description="How long what a restore replaced is kept beside it; 0 drops it at once", extra=_LAST),
    ] = Duration(7 * 86400)

    @property
    def source(self) -> str:
        """The database, file or folder that is backed up, as it is configured."""
        raise NotImplementedError


TlsMode = Literal["disable", "prefer", "require", "verify-ca", "verify-full"]


class ServerSettings(DatasourceSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of a datasource that is a database on a server."""

    rules: ClassVar[SettingRules] = {
        **DatasourceSettings.rules,
        "connect_timeout": _no_time,
    }
    on_server: ClassVar[bool] = True

    database: Annotated[str, msgspec.Meta(description="Name of the database")]
    host: Annotated[str, msgspec.Meta(description="Host name or address")] = "127.0.0.1"
    port: Annotated[Port | None, msgspec.Meta(description="Port; empty for the kind's usual one")] = None
    socket: Annotated[str | None, msgspec.Meta(description="Unix socket to use instead of host and port")] = None
    username: Annotated[str | None, msgspec.Meta(description="User to log in as")] = None
    password: Annotated[Secret | None, msgspec.Meta(description="Password, by reference")] = None
    tls: Annotated[TlsMode, msgspec.Meta(description="Encryption of the connection")] = "prefer"
    tls_ca: Annotated[str | None, msgspec.Meta(description="File with the certificate authority to trust")] = None
    tools: Annotated[str | None, msgspec.Meta(description="Folder of the dump tools to use")] = None
    connect_timeout: Annotated[Duration, msgspec.Meta(description="How long a connection may take")] = Duration(10)
    lock_timeout: Annotated[
        Duration, msgspec.Meta(description="How long a dump, or a restore that is put in place, waits for a lock")
    ] = Duration(60)

    @property
    def source(self) -> str:
        """The database."""
        return self.database
