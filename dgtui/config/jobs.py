"""The keys of a `[jobs.NAME]` table."""

import uuid
from collections.abc import Container, Mapping
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from dgtui.config.tables import Rules, url_mistake
from dgtui.config.timetable import (
    never_due_mistake,
    rehearse_mistake,
    schedule_mistake,
    timezone_mistake,
    window_mistake,
)
from dgtui.engine.model import VerifyLevel
from dgtui.engine.retention_settings import RetentionSettings, retention_mistake
from dgtui.engine.settings import DEFAULT_COMPRESSION, Compression, Duration, PositiveInt, Secret

Retries = Annotated[int, Meta(ge=0, le=20)]
Threads = Annotated[int, Meta(ge=1, le=256)]


def _id_rule(text: str) -> str | None:
    try:
        canonical = str(uuid.UUID(text))
    except ValueError:
        canonical = ""
    return None if canonical == text.lower() != "" else f"expected a UUID such as {uuid.uuid4()}, or no id at all"


def _names_rule(names: tuple[str, ...]) -> str | None:
    return None if all(names) else "expected names, and none that is empty"


def _more_than_nothing(quantity: int | None) -> str | None:
    return "expected more than 0" if quantity == 0 else None


def _command_rule(command: tuple[str, ...]) -> str | None:
    return "expected a program and its arguments" if command and not command[0] else None


def _storages_rule(storages: tuple[str, ...]) -> str | None:
    twice = next((name for number, name in enumerate(storages) if name in storages[:number]), None)
    return None if twice is None else f"'{twice}' stands here a second time"


PRIVATE_PLACE = "private"
"""As a place for rehearsals: a server of our own for a while, not a datasource of this name."""


class JobSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys every `[jobs.NAME]` table may have."""

    rules: ClassVar[Rules] = {
        "id": _id_rule,
        "storages": _storages_rule,
        "idle_timeout": _more_than_nothing,
        "tables": _names_rule,
        "exclude_tables": _names_rule,
        "schedule": schedule_mistake,
        "timezone": timezone_mistake,
        "rehearse": lambda rehearse: None if rehearse is None else rehearse_mistake(rehearse),
        "window": lambda window: None if window is None else window_mistake(window),
        "retention": retention_mistake,
        "before": _command_rule,
        "before_timeout": _more_than_nothing,
        "after": _command_rule,
        "after_timeout": _more_than_nothing,
        "heartbeat": url_mistake,
    }
    keys_to_come: ClassVar[Mapping[str, str]] = {"encryption": "backups cannot be encrypted yet; remove this key"}

    datasource: Annotated[str, Meta(description="Name of the datasource that is backed up")]
    storages: Annotated[
        tuple[str, ...], Meta(min_length=1, description="Names of the storages that each get a copy, all at once")
    ]
    id: Annotated[str | None, Meta(description="UUID of the job; empty for one made from its name")] = None
    enabled: Annotated[bool, Meta(description="Whether its schedule is followed")] = True
    description: Annotated[str, Meta(description="What it is for, in your own words")] = ""
    backup_type: Annotated[
        Literal["full", "schema_only", "data_only"], Meta(description="What of the database is backed up")
    ] = "full"
    compression: Annotated[Compression, Meta(description="How it is packed: zstd, zstd:3, gzip:6, lz4 or none")] = (
        DEFAULT_COMPRESSION
    )
    compression_threads: Annotated[
        Threads | None, Meta(description="Threads that pack; empty for a number that fits the machine")
    ] = None
    max_file_size_mb: Annotated[
        PositiveInt | None, Meta(description="Size in MB beyond which a backup is split; empty for one file")
    ] = None
    verify: Annotated[
        VerifyLevel | None,
        Meta(description="How a stored backup is read back: none, size or full; empty for what suits the storage"),
    ] = None
    tables: Annotated[tuple[str, ...], Meta(description="Only these tables; empty for all")] = ()
    exclude_tables: Annotated[tuple[str, ...], Meta(description="All tables but these")] = ()
    extra_arguments: Annotated[tuple[str, ...], Meta(description="Further arguments for the dump tool")] = ()
    globals: Annotated[bool, Meta(description="Whether roles and tablespaces of the cluster are saved too")] = False
    idle_timeout: Annotated[Duration, Meta(description="How long nothing may move before the run is given up")] = (
        Duration(600)
    )
    restore_jobs: Annotated[
        Threads | None, Meta(description="Processes that restore in parallel; empty for a number that fits")
    ] = None
    schedule: Annotated[
        str | None, Meta(description="When it runs by itself: five cron fields, or words such as 'daily at 03:00'")
    ] = None
    timezone: Annotated[
        str | None, Meta(description="Time zone of the schedule, such as Europe/Zurich; empty for the system's")
    ] = None
    window: Annotated[
        str | None,
        Meta(description="Hours in which the timetable may begin it, such as 22:00-06:00; empty for the whole day"),
    ] = None
    jitter: Annotated[
        Duration, Meta(description="Up to how much later it begins, each time by another amount, to spread the load")
    ] = Duration(0)
    grace: Annotated[
        Duration,
        Meta(description="How long after its time a run is caught up that was missed, or stopped, with the machine"),
    ] = Duration(86400)
    retries: Annotated[
        Retries | None, Meta(description="How often it is tried again when that helps; empty for what suits the error")
    ] = None
    retention: Annotated[
        RetentionSettings | None, Meta(description="Which backups are kept; empty for all of them")
    ] = None
    before: Annotated[
        tuple[str, ...], Meta(description="Program and arguments that run before; the backup waits for its success")
    ] = ()
    before_timeout: Annotated[Duration, Meta(description="How long the program before may take")] = Duration(600)
    after: Annotated[
        tuple[str, ...], Meta(description="Program and arguments that run after the backup, however it ended")
    ] = ()
    after_timeout: Annotated[Duration, Meta(description="How long the program after may take")] = Duration(600)

    heartbeat: Annotated[
        Secret | None,
        Meta(description="URL that is asked for after a good run, and with /fail after a bad one; silence is an alarm"),
    ] = None
    rehearse: Annotated[
        str | None,
        Meta(
            description="When a backup is restored for a try: as a schedule, or 'every 10' for after each ten backups; "
            "empty for never"
        ),
    ] = None
    rehearse_in: Annotated[
        str | None,
        Meta(
            description="Datasource to try it at, or 'private' for a server of its own; empty for where it comes from"
        ),
    ] = None

    def __post_init__(self) -> None:
        if mistake := never_due_mistake(self.schedule, self.timezone, self.window):
            raise ValueError(f"window: {mistake}")


OPTION_KEYS: dict[str, str] = {
    "tables": "tables",
    "exclude_tables": "exclude_tables",
    "extra_arguments": "extra_arguments",
    "globals": "globals",
    "restore_jobs": "parallel_restore",
}
"""Keys that only some kinds of datasource know, and what an adapter calls the option."""


def wanted_options(job: JobSettings) -> dict[str, str]:
    """The options of an adapter that a job asks for, each by the key that does."""
    wanted = {key: option for key, option in OPTION_KEYS.items() if getattr(job, key)}
    return wanted if job.backup_type == "full" else {**wanted, "backup_type": job.backup_type}


def unknown_options(job: JobSettings, known: Container[str]) -> dict[str, str]:
    """The options that a job asks for and its kind of datasource does not know, each by the key that does."""
    return {key: option for key, option in wanted_options(job).items() if option not in known}
