"""Reading the storages into a catalogue that had to be made anew, so that what lies there is listed as before."""

import contextlib
from pathlib import Path

from dgtui.config import Config
from dgtui.engine.audit import HeadNotWritten, append_audit
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.damage import was_moved_aside
from dgtui.engine.catalog.database import note_storages_read
from dgtui.engine.errors import CatalogError, DataGuardianError, JobBusy
from dgtui.engine.locks import take_lock
from dgtui.engine.notify import raise_notification
from dgtui.engine.runs import RunPaths
from dgtui.engine.scan import ScanReport, scan_storage
from dgtui.engine.sizes import counted

_PATIENCE_SECONDS = 10.0


def rebuild_if_new(catalog: Catalog, config: Config, paths: RunPaths) -> tuple[str, ...]:
    """Read all storages where the catalogue was made anew; sentences for people. Raises CatalogError, StorageError."""
    if catalog.made_anew() is None:
        return ()
    try:
        lock = take_lock(
            paths.locks / "rebuild.lock", purpose="rebuilding the catalogue", patience_seconds=_PATIENCE_SECONDS
        )
    except JobBusy:
        return ()
    with lock:
        # Another process may have done it while we waited.
        former = catalog.made_anew()
        if former is None:
            return ()
        read, unread = _read_storages(catalog, config)
        sentences = _sentences(former, read, unread) or _first_start(config, unread)
        if not sentences:
            catalog.storages_were_read()
            return ()
        # Where one of these fails, the next start reads and tells once more: nobody would hear of it later.
        raise_notification(
            catalog,
            "catalogue_rebuilt",
            subject_kind="catalogue",
            subject=str(catalog.path),
            message=sentences[0],
            details=sentences[1:],
            event="made anew",
        )
        with contextlib.suppress(HeadNotWritten):
            append_audit(
                catalog,
                "rebuild catalogue",
                object_kind="catalogue",
                object_name=str(catalog.path),
                outcome="completed",
                details=sentences,
                also=note_storages_read,
            )
        return sentences


def _read_storages(catalog: Catalog, config: Config) -> tuple[list[ScanReport], dict[str, str]]:
    """What was found at each storage, and why others could not be read."""
    read: list[ScanReport] = []
    unread: dict[str, str] = {}
    for name in config.storages:
        try:
            read.append(scan_storage(catalog, config, name))
        except CatalogError:
            # That says nothing of the storage: all is read once more at the next start.
            raise
        except DataGuardianError as error:
            unread[name] = error.message
    return read, unread


def _sentences(former: str, read: list[ScanReport], unread: dict[str, str]) -> tuple[str, ...]:
    found = {report.storage: report.known + report.added for report in read}
    damaged = {
        report.storage: len(report.damaged) + len(report.unread) for report in read if report.damaged or report.unread
    }
    if not former and not any(found.values()) and not damaged:
        # The very first start: there is nothing to know yet.
        return ()
    held = ", ".join(f"{count} at {name}" for name, count in found.items()) or "none"
    what = f"The catalogue was damaged; the old one lies in {Path(former)}" if former else "There was no catalogue"
    return (
        f"{what}. Rebuilt from the storages, backups: {held}. Failed runs, restores and pins are not known any more",
        *(
            f"Not taken in at {name}: {counted(count, 'folders')}; why: dgtui scan {name}"
            for name, count in damaged.items()
        ),
        *(f"{name} could not be read ({why}): later with dgtui scan {name}" for name, why in unread.items()),
    )


def _first_start(config: Config, unread: dict[str, str]) -> tuple[str, ...]:
    """Where nothing was found, where backups may lie all the same: none do at a storage that is not made yet."""
    return tuple(
        f"No backup was found, but {name} could not be read ({why}): later with dgtui scan {name}"
        for name, why in unread.items()
        if _why_unknown(config, name)
    )


def unread_storages(catalog: Catalog, config: Config) -> dict[str, str]:
    """The storages that this catalogue never saw and where backups may lie, and why that is not known."""
    were_more_known = was_moved_aside(catalog.path)
    unread = {}
    for name in config.storages:
        if catalog.storage_marker(name) is not None:
            continue
        if why := _why_unknown(config, name):
            unread[name] = why
        elif were_more_known:
            unread[name] = "it was never used, or is not mounted"
    return unread


def _why_unknown(config: Config, name: str) -> str:
    """Why a storage may hold backups that were not read; empty where it was never used."""
    try:
        used = config.storage(name).marker_id() is not None
    except DataGuardianError as error:
        return error.message
    return "it was used before, and not looked at here yet" if used else ""
