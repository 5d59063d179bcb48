"""`dgtui check`: examine everything without changing anything, and say what mends what is wrong."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from dgtui.config import Config
from dgtui.engine.datasources.base import DumpOptions
from dgtui.engine.errors import DataGuardianError
from dgtui.engine.model import Record


class Finding(Record, frozen=True):
    """One thing that was examined."""

    area: Literal["configuration", "datasource", "storage", "job"]
    subject: str
    level: Literal["ok", "warning", "error"]
    message: str
    mend: str = ""
    """The command or the step that mends it."""
    kind: str = ""
    """The kind of error, as in errors.py."""


def examine_everything(config: Config) -> list[Finding]:
    """Look at every datasource, storage and job of the configuration."""
    findings = list(_examine_configuration(config))
    for name in config.datasources:
        findings += _examine_datasource(config, name)
    for name in config.storages:
        findings.append(_examine_storage(config, name))
    for name in config.jobs:
        findings += _examine_job(config, name)
    return findings


def _examine_configuration(config: Config) -> Iterator[Finding]:
    if not config.files:
        yield Finding(
            area="configuration",
            subject="config.toml",
            level="error",
            message="There is no configuration yet",
            mend="Write one as in the README, or try dgtui demo",
            kind="ConfigError",
        )
        return
    counts = f"{len(config.datasources)} datasources, {len(config.storages)} storages, {len(config.jobs)} jobs"
    yield Finding(area="configuration", subject=str(config.files[0]), level="ok", message=counts)


def _examine_datasource(config: Config, name: str) -> Iterator[Finding]:
    if not config.datasources[name].enabled:
        yield Finding(
            area="datasource", subject=name, level="warning", message="is switched off", mend="enabled = true"
        )
        return
    try:
        datasource = config.datasource(name)
        probe = datasource.probe(DumpOptions())
        missing = datasource.missing_rights()
    except DataGuardianError as error:
        yield _finding_of("datasource", name, error)
        return
    tool = f", with {probe.tool.name} {probe.tool.version} ({probe.tool.path})" if probe.tool else ""
    yield Finding(area="datasource", subject=name, level="ok", message=f"{probe.product}{tool}")
    for warning in probe.warnings:
        yield Finding(area="datasource", subject=name, level="warning", message=warning)
    for command in missing:
        yield Finding(
            area="datasource",
            subject=name,
            level="error",
            message="The user lacks a right for a full backup",
            mend=command,
            kind="PermissionDenied",
        )


def _examine_storage(config: Config, name: str) -> Finding:
    try:
        storage = config.storage(name)
        state = storage.examine()
    except DataGuardianError as error:
        return _finding_of("storage", name, error)
    if state.status != "available":
        return Finding(
            area="storage", subject=name, level="error", message=state.message, mend=state.hint, kind="StorageError"
        )
    free = f"{state.free_bytes:,} bytes free" if state.free_bytes is not None else "free space unknown"
    return Finding(area="storage", subject=name, level="ok", message=f"{storage.root}: {state.message or free}")


def _examine_job(config: Config, name: str) -> Iterator[Finding]:
    job = config.jobs[name]
    devices = [_device(config, storage) for storage in job.storages]
    if len(set(devices)) < len([device for device in devices if device is not None]):
        yield Finding(
            area="job",
            subject=name,
            level="warning",
            message="Two of its storages lie on the same disk: one broken disk takes both copies",
            mend="Choose a storage on another disk or machine",
        )


def _device(config: Config, storage: str) -> int | None:
    try:
        return Path(config.storage(storage).root).stat().st_dev
    except (OSError, DataGuardianError):
        return None


def _finding_of(area: Literal["datasource", "storage"], subject: str, error: DataGuardianError) -> Finding:
    return Finding(area=area, subject=subject, level="error", message=error.message, mend=error.hint, kind=error.kind)
