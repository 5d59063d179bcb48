"""How people name an execution: the first characters of its id, `JOB@latest`, or `JOB@2025-02-13_060001`."""

import difflib
from datetime import datetime, timedelta

from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.naming import folders_around
from dgtui.engine.errors import ConfigError
from dgtui.engine.model import Execution
from dgtui.engine.restore_model import Restore

_HINT = "dgtui list shows what there is"
_LATEST = "latest"
_MIDNIGHT = "0000-00-00_000000"
_NEAR = timedelta(days=1)
"""A time that is further away is not what somebody meant."""
_TYPED = str.maketrans({"T": "_", " ": "_", ":": None})


def find_execution(catalog: Catalog, reference: str) -> Execution:
    """The one execution that a reference names; raises ConfigError where there is none, or more than one."""
    job, at, moment = reference.rpartition("@")
    if at:
        return _execution_of_job(catalog, job, moment)
    found = catalog.executions_by_prefix(reference) if reference else []
    if len(found) == 1 or (found and found[0].execution_id == reference):
        return found[0]
    if not found:
        raise ConfigError(f"No execution begins with {reference!r}", subject=reference, hint=_HINT)
    raise ConfigError(
        f"{reference!r} is the beginning of several executions: "
        + ", ".join(execution.execution_id[:13] for execution in found),
        subject=reference,
        hint="Give more characters of the id",
    )


def _execution_of_job(catalog: Catalog, job: str, moment: str) -> Execution:
    if not catalog.execution_count(job=job):
        raise ConfigError(f"There is no execution of a job {job!r}", subject=job, hint=_HINT)
    if moment == _LATEST:
        restorable = catalog.newest_restorable(job)
        if restorable is None:
            raise ConfigError(f"The job {job!r} has no complete backup yet", subject=job, hint=_HINT)
        return restorable
    if (execution := catalog.execution_in_folder(job, moment)) is not None:
        return execution
    near = _near(catalog, job, moment)
    meant = f"; did you mean {f'{job}@{near}'!r}?" if near is not None else ""
    raise ConfigError(f"The job {job!r} has no backup {moment!r}{meant}", subject=f"{job}@{moment}", hint=_HINT)


def _near(catalog: Catalog, job: str, moment: str) -> str | None:
    """What somebody who typed this is likely to have meant."""
    if difflib.get_close_matches(moment.casefold(), [_LATEST], n=1):
        return _LATEST
    name = moment.translate(_TYPED)
    around = folders_around(catalog, job, name)
    if around and around[0].startswith(name) and name:
        return around[0]
    distances = {folder: away for folder in around if (away := _distance(folder, name)) is not None and away <= _NEAR}
    return min(distances, key=distances.__getitem__, default=None)


def _distance(folder: str, name: str) -> timedelta | None:
    """How far two times are apart; None where one is none."""
    try:
        return abs(_time(folder) - _time(name))
    except ValueError:
        return None


def _time(name: str) -> datetime:
    """A time of which the end may be left out. Raises ValueError."""
    return datetime.strptime(f"{name}{_MIDNIGHT[len(name) :]}+0000", "%Y-%m-%d_%H%M%S%z")


def find_run(catalog: Catalog, reference: str) -> Execution:
    """The execution whose run a reference names: `JOB@latest` is what the job does now, else what it did last.

    Raises ConfigError where there is none, or more than one.
    """
    job, _, moment = reference.rpartition("@")
    if moment == _LATEST and (newest := catalog.newest_run(job)) is not None:
        return newest
    return find_execution(catalog, reference)


def find_restore(catalog: Catalog, reference: str) -> Restore:
    """The one restore whose id begins so; raises ConfigError where there is none, or more than one."""
    found = [restore for restore in catalog.restores() if reference and restore.restore_id.startswith(reference)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise ConfigError(
            f"No restore begins with {reference!r}",
            subject=reference,
            hint="dgtui show EXECUTION lists the restores of a backup, and each restore says its id when it ends",
        )
    raise ConfigError(
        f"{reference!r} is the beginning of several restores: " + ", ".join(one.restore_id[:13] for one in found),
        subject=reference,
        hint="Give more characters of the id",
    )
