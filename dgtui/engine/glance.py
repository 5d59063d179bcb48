"""Short looks for screens: how a datasource answers, what a storage holds, what a manifest says."""

import time
from datetime import datetime
from typing import Literal

from dgtui.config import Config
from dgtui.engine.datasources import datasource_adapter
from dgtui.engine.datasources.datasource_settings import DatasourceSettings
from dgtui.engine.errors import AuthenticationError, DatabaseConnectionError, DataGuardianError, StorageError
from dgtui.engine.manifest import Manifest
from dgtui.engine.messages import now
from dgtui.engine.model import Execution, Problem, Record
from dgtui.engine.problems import problem_of
from dgtui.engine.secrets import fetch_secret
from dgtui.engine.stored import read_known_manifest

CheckStatus = Literal["ok", "timeout", "auth_failed", "unreachable", "error"]
DatasourceStatus = Literal["healthy", "warning", "critical", "unknown"]


class DatasourceCheck(Record, frozen=True):
    """How a datasource answered."""

    name: str
    status: CheckStatus
    checked_at: datetime
    latency_seconds: float
    """How long the whole look took."""
    product: str = ""
    size_bytes: int | None = None
    object_count: int = 0
    client_count: int = 0
    warnings: tuple[str, ...] = ()
    problem: Problem | None = None

    @property
    def health(self) -> DatasourceStatus:
        """What that means for the datasource."""
        if self.status != "ok":
            return "critical"
        return "warning" if self.warnings else "healthy"


def check_datasource(config: Config, name: str) -> DatasourceCheck:
    """Look at a configured datasource; what is wrong is in the answer."""
    return check_settings(name, config.require_datasource(name))


def check_settings(name: str, settings: DatasourceSettings) -> DatasourceCheck:
    """Look at a datasource that need not be configured yet."""
    started = time.monotonic()
    try:
        secret = getattr(settings, "password", None)
        password = None if secret is None else fetch_secret(secret, subject=f"datasources.{name}.password")
        probe = datasource_adapter(settings.type)(name, settings, password).probe()
    except DataGuardianError as error:
        return DatasourceCheck(
            name=name,
            status=_status_of(error),
            checked_at=now(),
            latency_seconds=time.monotonic() - started,
            problem=problem_of(error),
        )
    return DatasourceCheck(
        name=name,
        status="ok",
        checked_at=now(),
        latency_seconds=time.monotonic() - started,
        product=probe.product,
        size_bytes=probe.size_bytes,
        object_count=len(probe.objects),
        client_count=len(probe.clients),
        warnings=probe.warnings,
    )


def _status_of(error: DataGuardianError) -> CheckStatus:
    if isinstance(error, AuthenticationError):
        return "auth_failed"
    return "unreachable" if isinstance(error, DatabaseConnectionError) else "error"


def manifest_of(config: Config, execution: Execution, storage: str | None = None) -> Manifest:
    """The manifest of the first copy that can be read, or of the one at `storage`. Raises DataGuardianError."""
    last: DataGuardianError = StorageError(
        "No copy of this backup can be read now", subject=execution.execution_id, hint="Is its storage mounted?"
    )
    for copy in execution.copies:
        if not copy.path or copy.storage not in config.storages or storage not in (None, copy.storage):
            continue
        try:
            return read_known_manifest(config.storage(copy.storage), execution)[0]
        except DataGuardianError as error:
            last = error
    raise last
