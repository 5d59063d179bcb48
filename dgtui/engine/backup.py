"""A backup, from the look at the source to the last status (design.md, "The way of a backup")."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from dgtui import __version__
from dgtui.config import JobSettings
from dgtui.engine.cancellation import Cancellation
from dgtui.engine.codecs import backup_file_name
from dgtui.engine.datasources.base import Datasource
from dgtui.engine.datasources.dumping import ArchiveCheck, Dump, DumpOptions, DumpSummary, Probe
from dgtui.engine.destinations import Destinations
from dgtui.engine.errors import (
    BackupCreationError,
    DataGuardianError,
    ValidationError,
)
from dgtui.engine.manifest import Manifest, StoredFile, encode_manifest, manifest_sha256, uncompressed_name
from dgtui.engine.messages import StorageMessage, now
from dgtui.engine.model import Copy, Execution, ObjectInfo, Purpose, Record
from dgtui.engine.orders import BackupOrder
from dgtui.engine.pipeline import PipelineCounters, PipelineResult, run_pipeline
from dgtui.engine.problems import problem_of
from dgtui.engine.properties import METADATA_KEY, to_metadata
from dgtui.engine.restore_text import restore_text
from dgtui.engine.run_writer import ProgressSource, RunWriter
from dgtui.engine.sizes import counted
from dgtui.engine.storages.base import RESTORE_TEXT, Storage

GLOBALS_FILE = "globals.sql"


class BackupPlan(Record, frozen=True):
    """Which backup is made: the job as it was when it was ordered."""

    execution_id: str
    job_id: str
    job_name: str
    job: JobSettings
    description: str
    scratch_folder: str
    purpose: Purpose = "backup"
    protected_until: datetime | None = None


def dump_options(job: JobSettings, scratch_folder: str = "") -> DumpOptions:
    """What a job wants to have dumped."""
    return DumpOptions(
        backup_type=job.backup_type,
        tables=tuple(job.tables),
        exclude_tables=tuple(job.exclude_tables),
        extra_arguments=tuple(job.extra_arguments),
        scratch_folder=scratch_folder,
        idle_timeout=int(job.idle_timeout),
    )


class Backup:
    """One run of a backup. `run` returns the finished execution, or raises after everything was cleaned up."""

    def __init__(
        self,
        plan: BackupPlan,
        datasource: Datasource[Any],
        storages: Sequence[Storage[Any]],
        run: RunWriter,
        cancellation: Cancellation,
    ) -> None:
        self._plan = plan
        self._datasource = datasource
        self._run = run
        self._cancellation = cancellation
        self._destinations = Destinations(storages, run, cancellation, idle_timeout=float(plan.job.idle_timeout))
        self._counters = PipelineCounters()
        self._started = now()
        self._clock = time.monotonic()

    def execute(self, *, while_the_dump_starts: Callable[[], None] = lambda: None) -> Execution:
        """Do it all: look, dump to every storage, check, publish.

        `while_the_dump_starts` is done while the dump tool still looks around and gives no data.
        """
        options = dump_options(self._plan.job, self._plan.scratch_folder)
        self._run.phase("connect")
        probe = self._look_at_source(options)
        with self._destinations.waits.told():
            return self._store(probe, options, while_the_dump_starts)

    def _store(self, probe: Probe, options: DumpOptions, while_the_dump_starts: Callable[[], None]) -> Execution:
        self._destinations.prepare()
        ref = self._destinations.free_folder(self._plan.job_id, self._started)
        try:
            self._destinations.begin(ref, self._plan.execution_id)
            self._run.phase("dump")
            files = self._add_files()
            result, summary = self._dump(probe, options, while_the_dump_starts)
            self._run.phase("check")
            self._destinations.check(result, self._plan.job.verify)
            return self._publish(self._manifest(ref.folder, probe, result, summary, files), probe)
        finally:
            with self._cancellation.shield():
                self._destinations.close()

    def _look_at_source(self, options: DumpOptions) -> Probe:
        probe = self._datasource.probe(options)
        size = f", about {probe.estimated_dump_bytes:,} bytes" if probe.estimated_dump_bytes is not None else ""
        self._run.log(f"Connected: {probe.product}, {counted(len(probe.objects), 'objects')}{size}")
        for warning in probe.warnings:
            self._run.log(warning, level="warning")
        return probe

    def _dump(
        self, probe: Probe, options: DumpOptions, meanwhile: Callable[[], None]
    ) -> tuple[PipelineResult, DumpSummary]:
        source = ProgressSource(
            total=probe.estimated_dump_bytes, total_kind=probe.estimate_kind, unit=probe.progress_unit
        )
        dump: Dump | None = None
        check: ArchiveCheck | None = None
        try:
            with self._progress(source):
                dump = self._datasource.open_dump(probe, options, self._run)
            check = self._datasource.live_check(Path(self._plan.scratch_folder))
            meanwhile()
            # The pipeline looks at `cancelled` itself: an exception in the middle of its queues could leave one locked.
            with self._progress(source), self._cancellation.shield():
                result = self._bring_to_storages(dump, check)
            summary = dump.finish()
            if result.total_size_bytes == 0:
                raise BackupCreationError(
                    "The dump is empty", subject=self._datasource.name, hint="Look at the log for what the tool said"
                )
            check.finish()
        except ValidationError as error:
            raise self._incomplete_dump(error) from error
        finally:
            with self._cancellation.shield():
                if dump is not None:
                    dump.stop()
                if check is not None:
                    check.stop()
        self._destinations.drop_failed(result.failures)
        return result, summary

    def _bring_to_storages(self, dump: Dump, check: ArchiveCheck) -> PipelineResult:
        job = self._plan.job
        return run_pipeline(
            dump.fd,
            self._destinations.writers,
            file_name=backup_file_name(self._datasource.archive_format, job.compression),
            compression=job.compression,
            threads=job.compression_threads,
            max_part_bytes=job.max_file_size_mb * 1_000_000 if job.max_file_size_mb else None,
            tap=check.feed,
            copy=check.copy_from,
            counters=self._counters,
            cancelled=self._cancellation.event,
            idle_timeout=float(job.idle_timeout),
        )

    def _incomplete_dump(self, error: ValidationError) -> DataGuardianError:
        return BackupCreationError(
            f"The dump is incomplete: {error.message}",
            subject=self._datasource.name,
            hint="Nothing was kept. Run the backup again; if it stays so, look at the tool's lines in the log",
            detail=error.detail,
        )

    def _add_files(self) -> tuple[StoredFile, ...]:
        if not self._plan.job.globals:
            return ()
        return (self._destinations.add_file(GLOBALS_FILE, self._datasource.dump_globals()),)

    @contextlib.contextmanager
    def _progress(self, source: ProgressSource) -> Iterator[None]:
        self._run.start_progress(lambda: self._counters.raw_bytes, source, self._storage_messages)
        try:
            yield
        finally:
            self._run.stop_progress()

    def _storage_messages(self) -> list[StorageMessage]:
        return [
            self._destinations.waits.writing(name, count)
            for name, count in dict(self._counters.storage_bytes).items()
            if name not in self._destinations.failures
        ]

    def _publish(self, manifest: Manifest, probe: Probe) -> Execution:
        self._run.phase("finish")
        encoded = encode_manifest(manifest)
        lines = self._datasource.manual_restore(
            uncompressed_name(manifest),
            self._datasource.database,
            probe.properties,
            dump_options(self._plan.job),
        )
        texts = {RESTORE_TEXT: restore_text(manifest, lines)}
        self._cancellation.check()
        copies = self._destinations.publish(texts, encoded, manifest.compressed_size_bytes)
        return self._execution(manifest, manifest_sha256(encoded), copies)

    def _manifest(
        self, folder: str, probe: Probe, result: PipelineResult, summary: DumpSummary, files: tuple[StoredFile, ...]
    ) -> Manifest:
        objects = summary.objects or probe.objects
        return Manifest(
            created_at=self._started,
            execution_id=self._plan.execution_id,
            job_id=self._plan.job_id,
            job_name=self._plan.job_name,
            datasource_type=self._datasource.kind,
            datasource_name=self._datasource.name,
            database=self._datasource.database,
            host=self._datasource.location,
            backup_type=self._plan.job.backup_type,
            compression=str(self._plan.job.compression),
            total_size_bytes=result.total_size_bytes,
            compressed_size_bytes=result.compressed_size_bytes,
            compression_ratio=round(result.compressed_size_bytes / result.total_size_bytes, 2),
            checksum=result.checksum,
            chunks=result.chunks,
            files=files,
            metadata=_metadata(probe, objects),
            dgtui_version=__version__,
            tool=probe.tool.name if probe.tool else "",
            tool_version=probe.tool.version if probe.tool else "",
            duration_seconds=round(time.monotonic() - self._clock, 2),
            description=self._plan.description,
            objects=objects,
            folder=folder,
            status="partial" if self._destinations.failures else "completed",
            purpose=self._plan.purpose,
            protected_until=self._plan.protected_until,
            warnings=summary.warnings,
        )

    def _execution(self, manifest: Manifest, sha256: str, copies: Sequence[Copy]) -> Execution:
        failures = self._destinations.failures
        warnings = tuple(f"{name}: {error.message}" for name, error in failures.items()) + manifest.warnings
        return Execution(
            execution_id=manifest.execution_id,
            job_id=manifest.job_id,
            job=manifest.job_name,
            datasource=manifest.datasource_name,
            datasource_type=manifest.datasource_type,
            status="partial" if failures else "completed",
            backup_type=manifest.backup_type,
            started_at=self._started,
            finished_at=now(),
            total_size_bytes=manifest.total_size_bytes,
            compressed_size_bytes=manifest.compressed_size_bytes,
            checksum=manifest.checksum,
            folder=manifest.folder,
            manifest_sha256=sha256,
            description=manifest.description,
            purpose=self._plan.purpose,
            protected_until=self._plan.protected_until,
            warnings=warnings,
            problem=next((problem_of(error) for error in failures.values()), None),
            copies=(*copies, *self._destinations.failed_copies()),
        )


def _metadata(probe: Probe, objects: Sequence[ObjectInfo]) -> dict[str, Any]:
    properties = {METADATA_KEY: to_metadata(probe.properties)} if probe.properties is not None else {}
    return {
        **properties,
        "database_version": probe.version,
        "product": probe.product,
        "tables_backed_up": len(objects),
        "rows_approximate": sum(entry.rows or 0 for entry in objects),
    }


def ordered_plan(order: BackupOrder, scratch_folder: Path) -> BackupPlan:
    """The plan of a backup as it was ordered."""
    return BackupPlan(
        execution_id=order.run_id,
        job_id=order.job_id,
        job_name=order.job_name,
        job=order.job,
        description=order.description,
        scratch_folder=str(scratch_folder),
    )


def started_execution(plan: BackupPlan, datasource_type: str, started_at: datetime) -> Execution:
    """The row of an execution that was ordered and has not begun."""
    return Execution(
        execution_id=plan.execution_id,
        job_id=plan.job_id,
        job=plan.job_name,
        datasource=plan.job.datasource,
        datasource_type=datasource_type,
        status="queued",
        backup_type=plan.job.backup_type,
        started_at=started_at,
        description=plan.description,
        purpose=plan.purpose,
        protected_until=plan.protected_until,
    )
