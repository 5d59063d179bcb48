"""A DataGuardian in which nothing moves: the same datasources, backups and moments in every picture."""

import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

from dgtui.app import DataGuardianApp
from dgtui.config import load_config
from dgtui.engine.catalog.health import HealthRecords, Judge
from dgtui.engine.catalog.notifications import Notifications
from dgtui.engine.datasources.loading import Selection
from dgtui.engine.facade import Engine
from dgtui.engine.figures import Figures as RunFigures
from dgtui.engine.glance import DatasourceCheck
from dgtui.engine.guardian.overview import JobOverview, NextRun, job_overviews, next_runs
from dgtui.engine.guardian.status import DaemonStatus
from dgtui.engine.health import Health
from dgtui.engine.health_model import CheckResult, Figures, HealthCheck, HealthState, HealthStatus, Watched, WatchedKind
from dgtui.engine.manifest import Chunk, Manifest
from dgtui.engine.messages import LogMessage, ProgressMessage, StorageMessage
from dgtui.engine.model import Copy, CopyStatus, Execution, ObjectInfo, Problem
from dgtui.engine.notification_model import Notification, NotificationKind, Severity, SubjectKind
from dgtui.engine.preview import RestorePreview
from dgtui.engine.records import Records
from dgtui.engine.restore_model import ObjectReport, Restore, RestoreReport
from dgtui.engine.run_follower import RunSnapshot
from dgtui.engine.runs import RunInfo
from dgtui.engine.storages.base import StorageState
from dgtui.engine.undo_choice import UndoChoice
from dgtui.engine.watching import RunWatch, WatchedRun
from dgtui.wording.terminal import Look
from tests.tui.driver import Driver
from tests.tui.still_previews import still_preview, still_preview_in_place
from tests.tui.still_records import LOST, NOON, StillRecords, fill_records, still_daemon

GB = 10**9

_CONFIG = """
[storages.disk]
type = "local"
path = "/var/backups"
[storages.nas]
type = "local"
path = "/mnt/nas/backups"
description = "in the other building"

[datasources.shop]
type = "postgres"
database = "shop"
[datasources.crm]
type = "mysql"
database = "crm"
[datasources.legacy]
type = "sqlite"
path = "/srv/legacy/legacy.db"
[datasources.website]
type = "files"
path = "/srv/www"
enabled = false

[jobs.shop-nightly]
datasource = "shop"
storages = ["disk", "nas"]
schedule = "daily at 03:00"
description = "before the batch runs"
[jobs.crm-hourly]
datasource = "crm"
storages = ["disk"]
schedule = "hourly"
enabled = false
"""

_CHECKS = {
    "shop": DatasourceCheck(
        name="shop",
        status="ok",
        checked_at=NOON - timedelta(minutes=1),
        latency_seconds=0.012,
        product="PostgreSQL 16.1",
        size_bytes=int(3.4 * GB),
        object_count=48,
        client_count=8,
    ),
    "crm": DatasourceCheck(
        name="crm",
        status="ok",
        checked_at=NOON - timedelta(minutes=1),
        latency_seconds=0.84,
        product="MariaDB 10.11.19",
        size_bytes=310 * 10**6,
        object_count=112,
        client_count=3,
        warnings=("2 tables use MyISAM",),
    ),
    "legacy": DatasourceCheck(
        name="legacy",
        status="unreachable",
        checked_at=NOON,
        latency_seconds=10.0,
        problem=Problem(
            kind="DatabaseConnectionError",
            message="/srv/legacy/legacy.db is not there",
            hint="Is its disk mounted? Try: dgtui check",
        ),
    ),
}


class StillEngine(Engine):
    """Answers always the same."""

    @property
    def health(self) -> Health:
        """At noon."""
        return Health(self, clock=lambda: NOON)

    @property
    def records(self) -> Records:
        """At noon."""
        return StillRecords(self.catalog, lambda: self.config, clock=lambda: NOON)

    @property
    def figures(self) -> RunFigures:
        """At noon."""
        return RunFigures(self.config, self.catalog, clock=lambda: NOON)

    def keep_health(self, stopping: threading.Event) -> None:
        """Nothing is asked."""
        stopping.wait()

    def daemon_status(self) -> DaemonStatus:
        """One runs."""
        return still_daemon()

    def next_runs(self) -> list[NextRun]:
        """As seen at noon."""
        return next_runs(self.config, NOON)

    def job_overviews(self) -> list[JobOverview]:
        """As seen at noon."""
        return job_overviews(self.config, self.catalog, NOON)

    def check_datasource(self, name: str) -> DatasourceCheck:
        """As it was at noon."""
        return _CHECKS[name]

    def examine_storage(self, name: str) -> StorageState:
        """One is there, one is not mounted."""
        if name == "disk":
            return StorageState(status="available", free_bytes=412 * GB, total_bytes=1000 * GB)
        return StorageState(status="missing", message="Storage not mounted? /mnt/nas/backups", hint="Mount the disk")

    def copies_at(self, storage: str, executions: Sequence[Execution]) -> dict[str, Copy]:
        """As the catalogue knows them."""
        return {one.execution_id: copy for one in executions for copy in one.copies if copy.storage == storage}

    def preview_restore(
        self,
        execution: Execution,
        *,
        storage: str | None = None,
        datasource: str | None = None,
        database: str | None = None,
        selection: Selection | None = None,
        name_as: str | None = None,
        merge: bool = False,
        deep: bool = False,
        safety: bool = True,
        in_place: bool = False,
    ) -> RestorePreview:
        """A shop at work; what the other one holds cannot be swapped."""
        if execution.datasource == "crm":
            return still_preview_in_place(execution, in_place=in_place)
        return still_preview(execution)

    def live_copies(self, execution: Execution) -> tuple[Copy, ...]:
        """As the catalogue knows them."""
        return execution.copies

    def manual_commands(self, execution: Execution) -> str:
        """The middle of a RESTORE.txt."""
        return (
            f"Backup of shop, taken {execution.started_at:%Y-%m-%d %H:%M:%S} UTC\n\n"
            "  sha256sum -c <<< '00000000...  backup.dump.zst'\n"
            "  createdb shop_restored\n"
            "  zstd -q -d --stdout backup.dump.zst | pg_restore --exit-on-error -d shop_restored\n"
        )

    def manifest(self, execution: Execution, *, storage: str | None = None) -> Manifest:
        """A small one."""
        return Manifest(
            created_at=execution.started_at,
            execution_id=execution.execution_id,
            job_id=execution.job_id,
            datasource_type="postgres",
            backup_type="full",
            compression="zstd:3",
            total_size_bytes=3 * GB,
            compressed_size_bytes=GB,
            compression_ratio=0.33,
            checksum="sha256:" + "0" * 64,
            chunks=(Chunk(number=1, file="backup.dump.zst", checksum="sha256:" + "0" * 64, size_bytes=GB),),
            objects=(ObjectInfo(name="public.orders", rows=1_200_000, bytes=2 * GB),),
        )

    def undo_choice(self, restore: Restore) -> UndoChoice:
        """By what is kept."""
        return UndoChoice(
            restore_id=restore.restore_id,
            way="kept",
            text=f"{restore.kept_as}, the former content, takes the place of shop, which is kept in its turn",
            kept_as=restore.kept_as,
            execution_id=restore.safety_execution_id,
        )

    def run_watch(self) -> RunWatch:
        """Sees no run: pictures put theirs in themselves."""
        return _NoRuns(self.paths, self.run_info)


class _NoRuns(RunWatch):
    def sample(self) -> tuple[WatchedRun, ...]:
        return ()


def _execution(number: int, started_at: datetime, states: dict[str, CopyStatus], **facts: object) -> Execution:
    identity = f"{number:08x}-0000-4000-8000-000000000000"
    known: dict[str, object] = {
        "job": "shop-nightly",
        "datasource": "shop",
        "datasource_type": "postgres",
        "status": "completed",
        "total_size_bytes": int(3.4 * GB) - number * 10**8,
        "compressed_size_bytes": int(1.19 * GB) - number * 10**7,
        **facts,
    }
    return Execution(
        execution_id=identity,
        job_id="11111111-0000-4000-8000-000000000000",
        backup_type="full",
        started_at=started_at,
        finished_at=started_at + timedelta(seconds=130 - number),
        folder=started_at.strftime("%Y-%m-%d_%H%M%S"),
        copies=tuple(
            Copy(storage=name, status=state, path=f"/{name}/{identity}", checked_at=NOON)
            for name, state in states.items()
        ),
        **known,  # type: ignore[arg-type]  # facts of an execution, by their names
    )


def still_app(folder: Path) -> DataGuardianApp:
    """The program over a configuration and a catalogue that never change."""
    path = folder / "config.toml"
    path.write_text(_CONFIG)
    config = load_config(path)

    def open_engine() -> Engine:
        engine = StillEngine(config, folder / "state")
        _fill(engine)
        _fill_guardian(engine)
        _fill_past(engine)
        fill_records(engine)
        return engine

    return DataGuardianApp(config, open_engine, clock=lambda: NOON)


def _stand(
    kind: WatchedKind,
    name: str,
    status: HealthStatus,
    *,
    result: CheckResult = "ok",
    failures: int = 0,
    message: str = "",
    hint: str = "",
    latency: float | None = None,
    figures: Figures | None = None,
) -> HealthState:
    return HealthState(
        subject=Watched(kind=kind, name=name),
        status=status,
        since=NOON - timedelta(hours=1),
        checked_at=NOON - timedelta(minutes=1),
        result=result,
        latency_seconds=latency,
        message=message,
        hint=hint,
        failures=failures,
        figures=figures or Figures(),
    )


_STATES = (
    _stand(
        "datasource",
        "shop",
        "healthy",
        latency=0.012,
        figures=Figures(product="PostgreSQL 16.1", connection_count=8, size_bytes=int(3.4 * GB)),
    ),
    _stand(
        "datasource",
        "crm",
        "warning",
        latency=0.84,
        message="Slow: it answered in 840 ms, and more than 500 ms is slow for it",
        figures=Figures(product="MariaDB 10.11.19", connection_count=3, size_bytes=310 * 10**6),
    ),
    _stand(
        "datasource",
        "legacy",
        "critical",
        result="timeout",
        failures=3,
        message="/srv/legacy/legacy.db is not there",
        hint="Is its disk mounted? Try: dgtui check",
    ),
    _stand(
        "storage",
        "disk",
        "healthy",
        latency=0.001,
        figures=Figures(disk_free_bytes=412 * GB, disk_total_bytes=1000 * GB, expected_bytes=int(1.5 * GB)),
    ),
    _stand(
        "storage",
        "nas",
        "critical",
        result="unreachable",
        failures=5,
        message="Storage not mounted? /mnt/nas/backups",
        hint="Mount the disk",
    ),
    _stand(
        "job",
        "shop-nightly",
        "warning",
        message="The copy at nas is missing",
        hint="Look with: dgtui show 00000001; a new backup makes a new copy",
    ),
)
_LATENCIES = (11, 12, 12, 11, 13, 12, 14, 12, 11, 12, 40, 12, 11, 12, 12, 13, 18, 12, 11, 12, 12, 15, 12, 12)


def _becomes(state: HealthState) -> Judge:
    return lambda _, __: (state, ())


def _fill_past(engine: Engine) -> None:
    """A month of runs whose backups are gone; one was missed, one failed, one came to one storage only."""
    for day in range(2, 30):
        if day == 9:
            continue
        status = {5: "failed", 17: "partial"}.get(day, "completed")
        size = int(3.2 * GB) - day * 4 * 10**7 if status != "failed" else None
        at = NOON.replace(hour=3) - timedelta(days=day)
        run = _execution(0xA000 + day, at, {}, status=status, total_size_bytes=size)
        engine.catalog.save_execution(run)
        engine.catalog.forget_execution(run.execution_id)


def _fill_guardian(engine: Engine) -> None:
    """What the health worker found, and what was told."""
    records = HealthRecords(engine.catalog)
    for hour, milliseconds in enumerate(_LATENCIES):
        check = HealthCheck(
            subject=Watched(kind="datasource", name="shop"),
            checked_at=NOON - timedelta(hours=24 - hour, minutes=-30),
            result="ok",
            latency_seconds=milliseconds / 1000,
        )
        records.record([(check, lambda former, _: (former, ()))])
    for state in _STATES:
        check = HealthCheck(
            subject=state.subject,
            checked_at=NOON - timedelta(minutes=1),
            result=state.result or "ok",
            latency_seconds=state.latency_seconds,
        )
        records.record([(check, _becomes(state))])
    told = Notifications(engine.catalog)
    for hours, kind, severity, subject_kind, subject, message in _TOLD:
        told.add(
            Notification(
                notification_id="",
                kind=kind,
                severity=severity,
                subject_kind=subject_kind,
                subject=subject,
                message=message,
                created_at=NOON - timedelta(hours=hours),
            )
        )
    read = [one.notification_id for one in told.listed() if one.severity == "info"]
    told.mark_read(read, at=NOON)


_TOLD: tuple[tuple[float, NotificationKind, Severity, SubjectKind, str, str], ...] = (
    (29, "cleanup_completed", "info", "storage", "disk", "3 backups removed, 9.1 GB are free again"),
    (6, "backup_completed", "info", "job", "shop-nightly", "Backup shop-nightly of shop: completed"),
    (5, "restore_completed", "info", "datasource", "shop", "shop was restored from disk: bad migration 42"),
    (4.5, "backup_failed", "error", "job", "crm-hourly", "Backup crm-hourly of crm: lost the connection"),
    (1, "connection_lost", "critical", "datasource", "legacy", "legacy: /srv/legacy/legacy.db is not there"),
    (0.5, "storage_unreachable", "error", "storage", "nas", "nas: Storage not mounted? /mnt/nas/backups"),
)


def _fill(engine: Engine) -> None:
    morning = NOON.replace(hour=6, second=1)
    for execution in (
        _execution(
            4,
            morning - timedelta(days=12),
            {"disk": "corrupt", "nas": "unknown"},
            expires_at=morning - timedelta(days=1),
        ),
        _execution(3, morning - timedelta(days=9), {"disk": "available"}, datasource="legacy", job="legacy"),
        _execution(
            2,
            morning - timedelta(days=1),
            {"disk": "available", "nas": "unreachable"},
            expires_at=NOON + timedelta(days=18),
        ),
        _execution(1, morning, {"disk": "available", "nas": "missing"}, description="before the batch runs"),
        _execution(9, NOON - timedelta(hours=5), {"disk": "available"}, job="safety-shop", purpose="safety"),
        _execution(5, morning - timedelta(days=1), {"disk": "available"}, datasource="crm", job="crm-hourly"),
        _execution(
            6, morning, {}, datasource="crm", job="crm-hourly", status="failed", problem=LOST, total_size_bytes=None
        ),
    ):
        engine.catalog.save_execution(execution)
    engine.catalog.save_restore(
        Restore(
            restore_id="00000007-0000-4000-8000-000000000000",
            execution_id="00000002-0000-4000-8000-000000000000",
            datasource="shop",
            target="shop",
            status="completed",
            started_at=NOON - timedelta(hours=5),
            finished_at=NOON - timedelta(hours=5) + timedelta(seconds=41),
            storage="disk",
            reason="bad migration 42",
            restored_by="anna",
            kept_as="shop__dgtui_old_20250213070000",
            kept_until=NOON + timedelta(days=2),
            safety_execution_id="00000009-0000-4000-8000-000000000000",
            in_place=True,
            report=RestoreReport(
                objects=tuple(
                    ObjectReport(
                        name=name,
                        outcome="restored",
                        rows_expected=rows,
                        rows_found=rows,
                        rows_exact=True,
                        content="equal",
                    )
                    for name, rows in (("public.customers", 84_210), ("public.orders", 1_200_000))
                ),
                deep=True,
            ),
        )
    )


def still_run() -> WatchedRun:
    """A backup in its middle."""
    lines = (
        "Connected: PostgreSQL 16.1, 48 tables, about 3.4 GB",
        "Running pg_dump 16.1",
        'pg_dump: dumping contents of table "public.users"',
        'pg_dump: dumping contents of table "public.tenants"',
        'pg_dump: dumping contents of table "public.orders"',
    )
    progress = ProgressMessage(
        at=NOON,
        done=int(2.1 * GB),
        total=int(3.4 * GB),
        total_kind="estimated",
        rate=92e6,
        seconds_left=14,
        current_object="public.orders",
        object_number=12,
        object_count=48,
    )
    snapshot = RunSnapshot(
        run_id="00000008-0000-4000-8000-000000000000",
        status="running",
        phase="dump",
        started_at=NOON - timedelta(seconds=23),
        progress=progress,
        storages=(
            StorageMessage(at=NOON, name="disk", state="writing", bytes=742 * 10**6),
            StorageMessage(at=NOON, name="nas", state="left out"),
        ),
        log=tuple(LogMessage(at=NOON, text=line) for line in lines),
        log_count=5,
    )
    info = RunInfo(run_id=snapshot.run_id, operation="backup", title="shop-nightly · shop")
    return WatchedRun(info=info, snapshot=snapshot)


def empty_app(folder: Path) -> DataGuardianApp:
    """The program as it is first seen: nothing is configured."""
    path = folder / "config.toml"
    path.write_text("")
    config = load_config(path)
    return DataGuardianApp(config, lambda: StillEngine(config, folder / "state"), clock=lambda: NOON)


@asynccontextmanager
async def still_screens(folder: Path, *, look: Look | None = None) -> AsyncIterator[Driver]:
    """The program in which nothing moves, open."""
    app = still_app(folder)
    app.look = look or app.look
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        driver = Driver(app, pilot, [])
        await driver.settle()
        yield driver
    app.close_engine()
