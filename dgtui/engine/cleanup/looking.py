"""What retention has to know before it decides: the catalogue, the rules, and the copies as they are now."""

import dataclasses
import zoneinfo
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import cache

import msgspec

from dgtui.config import Config, JobSettings
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.backups import all_backups, backups_of, jobs_with_executions
from dgtui.engine.catalog.proofs import Proofs
from dgtui.engine.catalog.retention import RetentionTable, jobs_of_datasources
from dgtui.engine.cleanup.presence import Presence
from dgtui.engine.cleanup.readers import Readers
from dgtui.engine.job_backups import Backups
from dgtui.engine.model import Alike, Execution, Record, copies_of
from dgtui.engine.retention import JobRules, NextBackup, RetentionPlan, Situation, Verdict, decide, expected_by_history
from dgtui.engine.retention.situation import with_needed
from dgtui.engine.retention_settings import RetentionSettings
from dgtui.engine.runs import RunPaths
from dgtui.engine.schedules import parse_schedule
from dgtui.engine.timetable import time_zone
from dgtui.engine.ways_back import ways_back

_STORAGE_FAULTS = frozenset({"StorageError", "ValidationError", "PermissionDenied"})


class Scope(Record, frozen=True):
    """Which backups it is about."""

    jobs: tuple[str, ...] | None = None
    """Names of configured jobs; with them go the safety copies of their datasources. None for all."""
    storages: tuple[str, ...] | None = None
    """Where something may be removed; None for everywhere."""
    everything: bool = False
    """Whether what no rule concerns is looked at too: it stays."""

    def check(self, config: Config) -> None:
        """Raise ConfigError where something of it is not configured."""
        for job in self.jobs or ():
            config.job(job)
        for storage in self.storages or ():
            config.require_storage(storage)

    def allows(self, storage: str) -> bool:
        """Whether something may be removed at a storage."""
        return self.storages is None or storage in self.storages


class Look:
    """Gathers what is known and decides."""

    def __init__(
        self,
        catalog: Catalog,
        config: Config,
        paths: RunPaths,
        *,
        needs: Mapping[str, frozenset[str]] | None = None,
    ) -> None:
        """`needs` names, for an incremental backup, the executions without which it is worth nothing."""
        self._catalog = catalog
        self._config = config
        self._table = RetentionTable(catalog)
        self._needs = dict(needs or {})
        self._readers = Readers(paths)
        self.names: dict[str, dict[str, frozenset[str]]] = {}
        """By storage and job (by id) what lay there when the last plan was made, as far as it was asked for."""

    def plan(self, scope: Scope, *, now: datetime, live: bool) -> RetentionPlan:
        """The verdicts on what the scope names; with `live` the storages are asked first. Raises CatalogError."""
        told = self._told(scope)
        if not live:
            return decide(self._situation(self._backups(scope, None), now), told)
        presence = Presence(self._catalog, self._config, now)
        known = self._backups(scope, presence)
        self.names = presence.names
        known = presence.as_they_are(known)
        situation = self._situation(known, now)
        plan = decide(situation, told)
        # Until all that others go for was looked into.
        while (otherwise := presence.without_hollow(known, plan.relied_on)) is not None:
            known = otherwise
            situation = dataclasses.replace(situation, backups=known)
            plan = decide(situation, told)
        return plan

    def _told(self, scope: Scope) -> Callable[[Alike], bool] | None:
        if scope.jobs is None:
            return None
        wanted = self._datasources_of(scope.jobs)
        datasources = frozenset(wanted.values())
        return lambda kind: kind.job_id in wanted or (kind.purpose == "safety" and kind.datasource in datasources)

    def plan_of_datasource(self, datasource: str, *, now: datetime) -> RetentionPlan:
        """The verdicts on the backups of a datasource, by the states that are known. Raises CatalogError."""
        known = self._with_room(jobs_of_datasources(self._catalog, [datasource]), [datasource])
        return decide(self._situation(known, now), lambda kind: kind.datasource == datasource)

    def verdicts_on(self, execution: Execution, *, now: datetime) -> tuple[Verdict, ...]:
        """What becomes of one backup at each of its storages, by the states that are known. Raises CatalogError."""
        known = self._with_room([execution.job_id], [execution.datasource])
        of_job = decide(
            self._situation(known, now), lambda kind: kind.job_id == execution.job_id, only=execution.execution_id
        )
        return of_job.verdicts

    def _situation(self, known: Backups, now: datetime) -> Situation:
        rules = self._rules(known)
        return Situation(
            now=now,
            backups=known,
            rules=rules,
            room=self._room(),
            proven=Proofs(self._catalog).proven_executions(),
            needs=self._needs,
            in_use=self.in_use(),
            ways_back=ways_back(self._catalog),
            failed_uploads=self._failed_uploads(rules),
        )

    def has_safety_copies(self, datasource: str) -> bool:
        """Whether there are safety copies of a datasource, which go once their time is over."""
        return self._table.has_safety_copies(datasource)

    def in_use(self) -> frozenset[str]:
        """The executions that runs under way read, and what those need."""
        return with_needed(self._needs, self._readers.executions())

    def ruled_jobs(self) -> frozenset[str]:
        """The ids of the jobs that have rules of their own at any storage: of others nothing goes while it has room."""
        return frozenset(
            self._config.job_id(name)
            for name, job in self._config.jobs.items()
            if any(self.rules_at(job, storage) not in (None, RetentionSettings()) for storage in self._config.storages)
        )

    def _backups(self, scope: Scope, presence: Presence | None) -> Backups:
        if scope.everything and scope.jobs is None:
            return self._all(presence)
        if scope.jobs is None:
            # A safety copy that is the last of its datasource stays: whether it is, the datasource's backups tell.
            return self._with_room(self.ruled_jobs() | jobs_of_datasources(self._catalog), None, presence)
        datasources = self._datasources_of(scope.jobs)
        return self._with_room(datasources, list(datasources.values()), presence)

    def _all(self, presence: Presence | None) -> Backups:
        beside = presence.ahead(jobs_with_executions(self._catalog)) if presence else None
        return all_backups(self._catalog, beside)

    def _with_room(
        self, job_ids: Collection[str], safety_of: Collection[str] | None, presence: Presence | None = None
    ) -> Backups:
        """The backups of these jobs; all where a storage is too small, since its room is everybody's."""
        if self._lacks_room():
            return self._all(presence)
        beside = presence.ahead(job_ids) if presence else None
        return backups_of(self._catalog, job_ids, safety_of=safety_of, beside=beside)

    def _lacks_room(self) -> bool:
        """Whether what lies at any storage may be more than it has room for."""
        room = self._room()
        most = self._table.bytes_of_all() if room else 0
        # To add up what lies at each of them takes longer.
        small = {storage: size for storage, size in room.items() if most > size}
        if not small or self._table.storages_of_all(small):
            return bool(small)
        taken = self._table.bytes_at(small)
        return any(taken.get(storage, 0) > size for storage, size in small.items())

    def _datasources_of(self, jobs: Sequence[str]) -> dict[str, str]:
        return {self._config.job_id(name): self._config.job(name).datasource for name in jobs}

    def _rules(self, known: Backups) -> dict[tuple[str, str], JobRules]:
        kinds = [kind for job in known.jobs for kind in job.kinds]
        storages = {copy.storage for where in {kind.where for kind in kinds} for copy in copies_of(where) if copy.place}
        with_backups = {kind.job_id for kind in kinds if kind.purpose != "safety"}
        # Many jobs have the same timetable, which is asked for the same moments for each of them.
        timetable = cache(_timetable)
        rules: dict[tuple[str, str], JobRules] = {}
        for name, job in self._config.jobs.items():
            job_id = self._config.job_id(name)
            if job_id not in with_backups:
                continue
            # Asked for the same moments by each rule at each storage.
            expected = cache(self._expected(name, job, known, timetable))
            zone = zoneinfo.ZoneInfo(job.timezone) if job.timezone else None
            for storage in storages & self._config.storages.keys():
                if (merged := self.rules_at(job, storage)) is not None:
                    rules[job_id, storage] = JobRules(rules=merged, zone=zone, next_backup=expected)
        return rules

    def _expected(
        self, name: str, job: JobSettings, known: Backups, timetable: Callable[[str, str | None], NextBackup]
    ) -> NextBackup:
        """When backups of a job will come; found out once somebody asks, as few do."""

        @cache
        def source() -> NextBackup:
            if job.schedule is not None and self._config.is_followed(name):
                return timetable(job.schedule, job.timezone)
            job_id = self._config.job_id(name)
            own = next(one for one in known.jobs if one.job_id == job_id)
            return expected_by_history(own.of_kinds(lambda kind: kind.purpose != "safety").taken)

        def expected(after: datetime) -> datetime | None:
            return source()(after)

        return expected

    def rules_at(self, job: JobSettings, storage: str) -> RetentionSettings | None:
        """The rules of a job at a storage: the storage's own ones in the place of the job's; None where none are."""
        own = self._config.storages[storage].retention
        merged = job.retention or RetentionSettings()
        if own is not None:
            given = {
                name: value
                for name in RetentionSettings.__struct_fields__
                if name != "max_total_size" and (value := getattr(own, name)) is not None
            }
            merged = msgspec.structs.replace(merged, **given)
            if own.max_total_size is not None and merged == RetentionSettings():
                return merged
        return None if merged == RetentionSettings() else merged

    def _room(self) -> dict[str, int]:
        return {
            name: int(settings.retention.max_total_size)
            for name, settings in self._config.storages.items()
            if settings.retention is not None and settings.retention.max_total_size is not None
        }

    def _failed_uploads(self, rules: Collection[tuple[str, str]]) -> frozenset[tuple[str, str]]:
        """A disk that was full does not count: to make room is what retention is for."""
        failed = {(one.job_id, one.storage) for one in self._table.last_uploads(rules) if _failed(one.failed_by)}
        newest = self._table.newest_uploads({storage for _, storage in rules})
        lost = {one.storage for one in newest if _failed(one.failed_by)}
        failed |= {(job_id, storage) for job_id, storage in rules if storage in lost}
        storages = {self._config.job_id(name): job.storages for name, job in self._config.jobs.items()}
        for job_id, kind in self._table.last_failures({job_id for job_id, _ in rules}).items():
            if kind in _STORAGE_FAULTS:
                failed |= {(job_id, storage) for storage in storages[job_id]}
        return frozenset(failed)


def _timetable(schedule: str, zone: str | None) -> NextBackup:
    """When a schedule is due next; each moment is reckoned once."""
    return cache(parse_schedule(schedule, time_zone(zone)).next_after)


def _failed(kind: str) -> bool:
    return kind not in ("", "DiskSpaceError")
