"""Whether a job finds what it needs: its tables, the tools for its options, storages apart from each other."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from dgtui.config import Config, JobSettings, wanted_options
from dgtui.engine.backup import dump_options
from dgtui.engine.check.finding import Finding, finding_of
from dgtui.engine.datasources.base import Datasource
from dgtui.engine.datasources.dumping import DumpOptions, Probe
from dgtui.engine.errors import DataGuardianError
from dgtui.engine.file_errors import nearest_folder
from dgtui.engine.storages.deadline import with_deadline

_LOOK_SECONDS = 5.0


def examine_job(config: Config, state: Path, name: str, probe: Probe | None) -> Iterator[Finding]:
    """Look at a job; `probe` is what a look at its datasource found, None where that did not answer."""
    job = config.jobs[name]
    if probe is not None:
        try:
            datasource = config.datasource(job.datasource)
            yield from _storages_inside(config, name, datasource)
            yield from _state_inside(state, name, datasource)
            yield from _examine_dump(datasource, name, job, probe)
        except DataGuardianError as error:
            yield finding_of("job", name, error)
    places = [_place(config, storage) for storage in job.storages]
    folders = [place.folder for place in places if place is not None]
    if len(set(folders)) < len(folders):
        yield Finding(
            area="job",
            subject=name,
            level="error",
            message="Two of its storages are the same folder: what counts as two copies is one",
            mend="Choose another folder for one of them, on another disk or machine",
            kind="ConfigError",
        )
        return
    disks = [place.disk for place in places if place is not None]
    if len(set(disks)) < len(disks):
        missing = next((place.missing for place in places if place is not None and place.missing), "")
        mounted = f"Is the disk of {missing} mounted? " if missing else ""
        yield Finding(
            area="job",
            subject=name,
            level="warning",
            message="Two of its storages lie on the same disk: one broken disk takes both copies",
            mend=f"{mounted}Choose a storage on another disk or machine",
        )


def _examine_dump(datasource: Datasource[Any], name: str, job: JobSettings, probe: Probe) -> Iterator[Finding]:
    """What the dump of this job would fail of, and one of all would not. Raises DataGuardianError."""
    options = dump_options(job)
    if options != DumpOptions(idle_timeout=options.idle_timeout):
        probe = datasource.probe(options)
    datasource.other_tools(probe, frozenset(wanted_options(job).values()))
    if job.tables and not probe.objects:
        yield Finding(
            area="job",
            subject=name,
            level="error",
            message=f"{job.datasource} has none of its tables: {', '.join(job.tables)}",
            mend="Correct `tables` of the job",
            kind="ConfigError",
        )


def _storages_inside(config: Config, name: str, datasource: Datasource[Any]) -> Iterator[Finding]:
    for storage in config.storages:
        if datasource.takes_in(config.storage(storage).root):
            yield Finding(
                area="job",
                subject=name,
                level="warning",
                message=f"The storage {storage} lies in what it backs up: each backup holds all those before it",
                mend=f"Leave it out with `exclude` of {datasource.name}, or choose a storage elsewhere",
            )


def _state_inside(state: Path, name: str, datasource: Datasource[Any]) -> Iterator[Finding]:
    if datasource.takes_in(str(state)):
        yield Finding(
            area="job",
            subject=name,
            level="warning",
            message="The state folder lies in what it backs up: it changes meanwhile, as each backup will warn",
            mend=f"Leave it out with `exclude` of {datasource.name}; a lost catalogue is made anew from the storages",
        )


class _Place(NamedTuple):
    """Where a storage lies, or will lie once the first backup has made its folder."""

    disk: int
    folder: tuple[int, int, str]
    missing: str


def _place(config: Config, storage: str) -> _Place | None:
    try:
        root = Path(config.storage(storage).root)
        return with_deadline(lambda: _place_of(root), _LOOK_SECONDS, subject=str(root))
    except (OSError, RuntimeError, DataGuardianError):  # a loop of links is a RuntimeError to pathlib
        return None


def _place_of(root: Path) -> _Place:
    root = root.resolve()
    above = nearest_folder(root)
    found = above.stat()
    # Bind mounts give one folder several paths, so that what is there already goes by its number.
    folder = (found.st_dev, found.st_ino, str(root.relative_to(above)))
    return _Place(disk=found.st_dev, folder=folder, missing="" if above == root else str(root))
