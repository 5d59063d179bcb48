"""Whether a storage is the right one, can be written to, and has room for the next backups."""

from collections.abc import Iterator, Mapping
from typing import Any

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.forgetting import copies_elsewhere
from dgtui.engine.check.finding import Finding, finding_of
from dgtui.engine.errors import DataGuardianError
from dgtui.engine.health.asking import expected_bytes
from dgtui.engine.sizes import counted
from dgtui.engine.storages.base import Storage, StorageState
from dgtui.engine.stored import know_marker


def examine_storage(
    config: Config, catalog: Catalog, name: str, dump_bytes: Mapping[str, int | None]
) -> Iterator[Finding]:
    """Look at a storage, and write a nameless file where it was used before.

    `dump_bytes` are the sizes of the dumps of each datasource before compression, as far as they are known.
    """
    try:
        storage = config.storage(name)
        know_marker(catalog, storage)
        state = storage.examine()
        if state.status == "available" and state.writable:
            storage.try_writing()
    except DataGuardianError as error:
        yield finding_of("storage", name, error)
        return
    if state.status != "available" or not state.writable:
        yield Finding(
            area="storage", subject=name, level="error", message=state.message, mend=state.hint, kind="StorageError"
        )
        return
    yield _room(config, catalog, storage, state, dump_bytes)
    if state.hint:
        yield Finding(area="storage", subject=name, level="warning", message=state.message, mend=state.hint)


def storages_not_configured(config: Config, catalog: Catalog) -> Iterator[Finding]:
    """Storages that are not configured any more and, as far as is known, hold copies: no rule removes the others."""
    for name, count in copies_elsewhere(catalog, config.storages).items():
        yield Finding(
            area="storage",
            subject=name,
            level="warning",
            message=f"is not configured, and {counted(count, 'backups')} with a copy there "
            "are kept by it: no rule removes their other copies while it is in doubt",
            mend=f"Configure it again, or: dgtui forget-storage {name}",
        )


def _room(
    config: Config, catalog: Catalog, storage: Storage[Any], state: StorageState, dump_bytes: Mapping[str, int | None]
) -> Finding:
    note = f"; {state.message}" if state.message and not state.hint else ""
    if state.free_bytes is None:
        return Finding(
            area="storage", subject=storage.name, level="ok", message=f"{storage.root}: free space unknown{note}"
        )
    reserved = f" besides the {state.reserved_bytes:,} of `reserve`" if state.reserved_bytes else ""
    free = f"{storage.root}: {state.free_bytes:,} bytes free{reserved}"
    expected, measure = expected_bytes(config, catalog, storage.name), "about"
    if expected is None:
        jobs = [job for job in config.jobs.values() if job.enabled and storage.name in job.storages]
        expected, measure = sum(dump_bytes.get(job.datasource) or 0 for job in jobs), "at most"
    if state.free_bytes and state.free_bytes >= expected:
        return Finding(area="storage", subject=storage.name, level="ok", message=f"{free}{note}")
    return Finding(
        area="storage",
        subject=storage.name,
        level="warning" if state.free_bytes else "error",
        message=f"{free}, and the next backups need {measure} {expected:,}{note}",
        mend="Make room, or keep fewer backups: see `retention` of the jobs",
        kind="DiskSpaceError",
    )
