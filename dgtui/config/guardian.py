"""The keys of the `[guardian]` table: how the daemon works."""

from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from dgtui.config.tables import Rules
from dgtui.config.timetable import schedule_mistake
from dgtui.engine.datasources.datasource_settings import interval_mistake
from dgtui.engine.settings import Duration, PositiveInt


def _metrics_file_mistake(path: str | None) -> str | None:
    """The daemon has no folder that a relative path could begin in, and the collector reads only such names."""
    if path is None or (path.startswith("/") and path.endswith(".prom")):
        return None
    return "expected the absolute path of a file whose name ends in .prom"


class GuardianSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys the `[guardian]` table may have."""

    rules: ClassVar[Rules] = {
        "health_interval": interval_mistake,
        "cleanup": schedule_mistake,
        "metrics_file": _metrics_file_mistake,
    }

    max_concurrent: Annotated[
        PositiveInt, Meta(description="How many backups the timetable runs at once on this machine; others wait")
    ] = 2
    health_interval: Annotated[
        Duration, Meta(description="How often the health of each datasource, storage and job is checked")
    ] = Duration(300)
    cleanup: Annotated[
        str, Meta(description="When retention is acted on besides after each backup: cron fields, or words")
    ] = "daily at 04:30"
    metrics_file: Annotated[
        str | None,
        Meta(description="File for the textfile collector of Prometheus, written each minute; none where empty"),
    ] = None
    leftovers_grace: Annotated[
        Duration, Meta(description="How long what a broken run left stays before cleanup removes it")
    ] = Duration(86400)
    orphans_grace: Annotated[
        Duration, Meta(description="How long a folder without a manifest stays before cleanup removes it")
    ] = Duration(7 * 86400)
    run_logs_kept: Annotated[
        Duration, Meta(description="How long the log of a run is kept; it goes with its backup where that goes earlier")
    ] = Duration(90 * 86400)
