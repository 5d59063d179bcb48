"""The keys of a `retention` table, of a job or of a storage."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar

import msgspec
from msgspec import Meta

from dgtui.engine.settings import ByteSize, Duration, PositiveInt


def _more_than_nothing(quantity: int | None) -> str | None:
    return "expected more than 0" if quantity == 0 else None


class RetentionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which backups are kept.

    A backup stays where at least one `keep_...` rule keeps it, or where there is none of them; but beyond `max_age`,
    and where `max_total_size` is exceeded, the oldest ones go all the same.
    """

    rules: ClassVar[Mapping[str, Callable[[Any], str | None]]] = {
        "max_age": _more_than_nothing,
        "max_total_size": _more_than_nothing,
    }

    keep_last: Annotated[PositiveInt | None, Meta(description="How many of the newest backups are kept")] = None
    keep_hourly: Annotated[PositiveInt | None, Meta(description="For how many hours one backup is kept")] = None
    keep_daily: Annotated[PositiveInt | None, Meta(description="For how many days one backup is kept")] = None
    keep_weekly: Annotated[PositiveInt | None, Meta(description="For how many weeks one backup is kept")] = None
    keep_monthly: Annotated[PositiveInt | None, Meta(description="For how many months one backup is kept")] = None
    keep_yearly: Annotated[PositiveInt | None, Meta(description="For how many years one backup is kept")] = None
    max_age: Annotated[Duration | None, Meta(description="Age beyond which a backup goes")] = None
    max_total_size: Annotated[
        ByteSize | None,
        Meta(description="Room that backups may take at a storage: of a job its own, of a storage those of all jobs"),
    ] = None


def retention_mistake(retention: RetentionSettings | None) -> str | None:
    """What is wrong with a `retention` table as a whole."""
    if retention == RetentionSettings():
        return "expected at least one rule, such as keep_last = 7; without this key all backups are kept"
    return None
