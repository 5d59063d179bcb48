"""What people are told of a cleanup: of each storage by itself, as their rules ask for them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.removals import RemovalTable
from dgtui.engine.cleanup.report import NotRemoved
from dgtui.engine.notify import end_states, raise_notification
from dgtui.engine.sizes import size_text


def tell_removed(catalog: Catalog, config: Config, table: RemovalTable, at: datetime) -> None:
    """Tell what was removed and not told yet, and how much is free now. Raises CatalogError."""
    untold = [one for one in table.ended() if one.kind != "by hand"]
    for storage in sorted({one.storage for one in untold}):
        here = [one for one in untold if one.storage == storage]
        freed = sum(one.bytes for one in here)
        raise_notification(
            catalog,
            "cleanup_completed",
            subject_kind="storage",
            subject=storage,
            message=f"{len(here)} removed at {storage}, {size_text(freed)} freed",
            details=[f"{one.path}: {one.rule}, {size_text(one.bytes)}" for one in here],
            related=_concerned(config, (one.job for one in here)),
            at=at,
            also=partial(table.forget, told=here),
        )


def tell_failures(
    catalog: Catalog, config: Config, storage: str, failed: Sequence[NotRemoved], at: datetime, *, everywhere: bool
) -> None:
    """Tell what could not be removed at a storage; that it is over where all went well. Raises CatalogError."""
    removals = [one for one in failed if one.path]
    if removals:
        raise_notification(
            catalog,
            "cleanup_failed",
            subject_kind="storage",
            subject=storage,
            message=f"{len(removals)} could not be removed at {storage}: {removals[0].problem.message}",
            details=[f"{one.path}: {one.problem.message}" for one in removals],
            related=_concerned(config, (one.job for one in removals)),
            at=at,
        )
    elif not failed and everywhere:
        end_states(catalog, ("cleanup_failed",), subject_kind="storage", subject=storage, at=at)


def _concerned(config: Config, jobs: Iterable[str]) -> list[str]:
    """The jobs and their datasources."""
    names = {job for job in jobs if job}
    return sorted(names | {config.jobs[job].datasource for job in names if job in config.jobs})
