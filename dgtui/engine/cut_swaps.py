"""A database whose swap is under way or was cut: a backup of it would lack what was not made anew yet."""

from collections.abc import Callable, Iterable
from typing import Any

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.datasources.base import Datasource
from dgtui.engine.errors import (
    BackupCreationError,
    DatabaseConnectionError,
    DataGuardianError,
    EndNotKnown,
    JobBusy,
    SourceChanged,
    SourceSettled,
)
from dgtui.engine.reconcile_restores import settle_swap
from dgtui.engine.restore_model import Restore
from dgtui.engine.restore_traces import cleanup_command
from dgtui.engine.runs import RunPaths
from dgtui.engine.settling import not_settled, way_to_settle


def swaps_into(restores: Iterable[Restore], datasource: str, database: str) -> tuple[str, ...]:
    """The restores that put something in the place of this database's content, and are not known to have ended that.

    Rows alone are replaced by one transaction, and nothing lacks while that is made.
    """
    return tuple(restore.restore_id for restore in restores if _swaps(restore, datasource, database))


def refuse_swapping(
    catalog: Catalog,
    config: Config,
    paths: RunPaths,
    datasource: str,
    restore_ids: Iterable[str],
    warn: Callable[[str], None],
) -> None:
    """Refuse a backup of what was not whole when its dump began, because of these restores.

    Raises SourceSettled where it is whole by now, SourceChanged where a restore is still at work, BackupCreationError
    where what was cut cannot be brought to its end.
    """
    target = config.datasource(datasource)
    restores = [restore for one in restore_ids if (restore := catalog.restore(one)) is not None]
    if not target.swaps_in_steps or not restores:
        return
    put_right = False
    for restore in restores:
        if paths.is_alive(restore.restore_id):
            raise SourceChanged(
                f"Restore {restore.restore_id[:8]} puts its content in the place of {restore.target} at this moment",
                subject=datasource,
                hint="Start the backup again once that has ended",
            )
        open_still = _swaps(restore, datasource, restore.target)
        put_right |= not open_still or _is_settled(catalog, config, paths, restore, target, warn)
    if put_right:
        raise SourceSettled(
            f"{restores[0].target} was not whole when the dump began, since a restore was cut at its swap; it is whole "
            "now, and dumped anew",
            subject=datasource,
            hint="Start the backup again",
        )


def _is_settled(
    catalog: Catalog,
    config: Config,
    paths: RunPaths,
    restore: Restore,
    target: Datasource[Any],
    warn: Callable[[str], None],
) -> bool:
    """Whether it could be put right; not where nobody can tell any more which content is there, which is whole."""
    try:
        settle_swap(catalog, config, paths, restore, warn)
    except EndNotKnown:
        return False
    except JobBusy as busy:
        raise SourceChanged(busy.message, subject=restore.datasource, hint="Start the backup again") from busy
    except DatabaseConnectionError:
        raise
    except DataGuardianError as error:
        short = restore.restore_id[:8]
        raise BackupCreationError(
            f"{not_settled(target, restore.target, error)}, since restore {short} was cut; a backup of it would not be "
            f"whole: {error.message}",
            subject=restore.datasource,
            hint=way_to_settle(error, cleanup_command(restore)),
        ) from error
    return True


def _swaps(restore: Restore, datasource: str, database: str) -> bool:
    placing = restore.placing
    into_it = (restore.datasource, restore.target) == (datasource, database)
    return into_it and placing is not None and placing.mark is not None and not placing.rows
