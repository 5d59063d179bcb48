"""Everything that is configured, one thing after the other."""

from collections.abc import Iterator
from pathlib import Path

from dgtui.config import Config, config_path
from dgtui.engine.catalog import Catalog
from dgtui.engine.check.channels import examine_channel
from dgtui.engine.check.finding import Finding, finding_of
from dgtui.engine.check.jobs import examine_job
from dgtui.engine.check.metrics import examine_metrics_file
from dgtui.engine.check.owners import examine_owners
from dgtui.engine.check.state import examine_state
from dgtui.engine.check.storages import examine_storage, storages_not_configured
from dgtui.engine.datasources.dumping import DumpOptions, Probe
from dgtui.engine.errors import DataGuardianError


def examine_everything(config: Config, catalog: Catalog, state: Path) -> list[Finding]:
    """Look at every datasource, storage, job and channel of the configuration, and at the state folder."""
    findings = [*_examine_configuration(config), *examine_owners(config)]
    probes: dict[str, Probe | None] = {}
    for name in config.datasources:
        probes[name], found = _examine_datasource(config, name)
        findings += found
    dump_bytes = {name: probe.estimated_dump_bytes if probe is not None else None for name, probe in probes.items()}
    findings += examine_state(config, state, dump_bytes)
    for name in config.storages:
        findings += examine_storage(config, catalog, name, dump_bytes)
    findings += storages_not_configured(config, catalog)
    for name in config.jobs:
        findings += examine_job(config, state, name, probes.get(config.jobs[name].datasource))
    findings += [examine_channel(config, name) for name in config.channels]
    findings += examine_metrics_file(config)
    return findings


def _examine_configuration(config: Config) -> Iterator[Finding]:
    if not config.files:
        yield Finding(
            area="configuration",
            subject=str(config_path()),
            level="error",
            message="There is no configuration yet",
            mend="Write one as in the README, or try dgtui demo",
            kind="ConfigError",
        )
        return
    tables = {"datasource": config.datasources, "storage": config.storages, "job": config.jobs}
    if config.channels:
        tables["channel"] = config.channels
    counts = ", ".join(f"{len(table)} {word}{'' if len(table) == 1 else 's'}" for word, table in tables.items())
    place = str(config.files[0])
    if any(tables.values()):
        yield Finding(area="configuration", subject=place, level="ok", message=counts)
    else:
        mend = "Write it as in the README, or make datasources, storages and jobs in the screens: dgtui"
        yield Finding(area="configuration", subject=place, level="warning", message="Nothing is configured", mend=mend)


def _examine_datasource(config: Config, name: str) -> tuple[Probe | None, list[Finding]]:
    if not config.datasources[name].enabled:
        off = Finding(
            area="datasource", subject=name, level="warning", message="is switched off", mend="enabled = true"
        )
        return None, [off]
    try:
        datasource = config.datasource(name)
        probe = datasource.probe(DumpOptions())
        missing = datasource.missing_rights()
    except DataGuardianError as error:
        return None, [finding_of("datasource", name, error)]
    place = f" ({probe.tool.path})" if probe.tool and probe.tool.path else ""
    tool = f", with {probe.tool.name} {probe.tool.version}{place}" if probe.tool else ""
    findings = [Finding(area="datasource", subject=name, level="ok", message=f"{probe.product}{tool}")]
    findings += [
        Finding(area="datasource", subject=name, level="warning", message=warning) for warning in probe.warnings
    ]
    findings += [
        Finding(
            area="datasource",
            subject=name,
            level="error",
            message="The user lacks a right for a full backup",
            mend=command,
            kind="PermissionDenied",
        )
        for command in missing
    ]
    return probe, findings
