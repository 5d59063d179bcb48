"""Asking a datasource or a storage how it is; whatever goes wrong is in the answer."""

import statistics
from datetime import datetime

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.datasources.answer import HealthAnswer
from dgtui.engine.errors import (
    AuthenticationError,
    CatalogError,
    DatabaseConnectionError,
    DataGuardianError,
    DiskSpaceError,
    ServerTimeout,
    StorageError,
)
from dgtui.engine.health.jobs import good_backups
from dgtui.engine.health_model import CheckResult, Concern, Figures, HealthCheck, Watched
from dgtui.engine.sizes import size_text
from dgtui.engine.storages.base import StorageState
from dgtui.engine.stored import know_marker

_SIZES = 5


def result_of(error: DataGuardianError) -> CheckResult:
    """What an error means for the health of whatever raised it."""
    if isinstance(error, AuthenticationError):
        return "auth_failed"
    if isinstance(error, ServerTimeout):
        return "timeout"
    return "unreachable" if isinstance(error, DatabaseConnectionError) else "error"


def ask_datasource(config: Config, subject: Watched, at: datetime) -> HealthCheck:
    """Ask a datasource its smallest question."""
    group = ""
    try:
        datasource = config.datasource(subject.name)
        group = datasource.location
        answer = datasource.health(float(datasource.settings.check_timeout))
    except DataGuardianError as error:
        return HealthCheck(
            subject=subject,
            checked_at=at,
            result=result_of(error),
            message=error.message,
            hint=error.hint,
            group=group,
        )
    return HealthCheck(
        subject=subject,
        checked_at=at,
        result="ok",
        latency_seconds=answer.latency_seconds,
        figures=_figures(answer),
        group=group,
    )


def _figures(answer: HealthAnswer) -> Figures:
    return Figures(
        product=answer.product,
        version=answer.version,
        uptime_seconds=answer.uptime_seconds,
        connection_count=answer.connection_count,
        size_bytes=answer.size_bytes,
        disk_free_bytes=answer.disk_free_bytes,
        disk_total_bytes=answer.disk_total_bytes,
    )


def ask_storage(config: Config, catalog: Catalog, subject: Watched, at: datetime) -> HealthCheck:
    """See whether a storage can be reached and written to, and whether the next backups find room.

    Raises CatalogError, which says nothing of the storage.
    """
    try:
        storage = config.storage(subject.name)
        know_marker(catalog, storage)
        state = storage.examine()
        if state.status != "available":
            return HealthCheck(
                subject=subject, checked_at=at, result="unreachable", message=state.message, hint=state.hint
            )
        expected = expected_bytes(config, catalog, subject.name)
        concerns = _room(state, expected)
        storage.try_writing()
    except DiskSpaceError as error:
        concerns = (Concern(kind="storage_low", message=error.message, hint=error.hint, status="critical"),)
    except CatalogError:
        raise
    except DataGuardianError as error:
        result: CheckResult = "unreachable" if isinstance(error, StorageError) else "error"
        return HealthCheck(subject=subject, checked_at=at, result=result, message=error.message, hint=error.hint)
    return HealthCheck(
        subject=subject,
        checked_at=at,
        result="ok",
        concerns=concerns,
        figures=Figures(disk_free_bytes=state.free_bytes, disk_total_bytes=state.total_bytes, expected_bytes=expected),
    )


def expected_bytes(config: Config, catalog: Catalog, storage: str) -> int | None:
    """What the next backup of each job will take at a storage; None where nothing was backed up yet."""
    usual = [
        statistics.median(sizes)
        for name, job in config.jobs.items()
        if storage in job.storages and job.enabled
        if (sizes := [row.compressed_size_bytes or 0 for row in good_backups(catalog, name, _SIZES)])
    ]
    return int(sum(usual)) if usual else None


def _room(state: StorageState, expected: int | None) -> tuple[Concern, ...]:
    if state.free_bytes is None or expected is None or state.free_bytes >= expected:
        return ()
    reserved, lower = "", ""
    if state.reserved_bytes:
        reserved = f" besides the {size_text(state.reserved_bytes)} of `reserve`"
        lower = ", or lower `reserve` of the storage"
    return (
        Concern(
            kind="storage_low",
            message=f"{size_text(state.free_bytes)} are free{reserved}, and the next backups need about "
            f"{size_text(expected)}",
            hint=f"Make room, or keep fewer backups: see `retention` of the jobs{lower}",
        ),
    )
