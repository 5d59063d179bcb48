"""The `group_key` of what one cause does to many objects: a server, a storage, this machine."""

import os.path
import socket

from dgtui.config import Config
from dgtui.engine.datasources import datasource_adapter
from dgtui.engine.errors import (
    AuthenticationError,
    ConfigError,
    DatabaseConnectionError,
    DiskSpaceError,
    ServerTimeout,
    StorageError,
)
from dgtui.engine.model import Execution, Problem
from dgtui.engine.problems import was_stopped

_SERVER_TROUBLES = frozenset(kind.__name__ for kind in (DatabaseConnectionError, AuthenticationError, ServerTimeout))
_STORAGE_TROUBLES = frozenset(kind.__name__ for kind in (StorageError, DiskSpaceError))


def server_of(config: Config, datasource: str) -> str:
    """Host and port of a datasource's server; empty where it has none."""
    settings = config.datasources.get(datasource)
    if settings is None:
        return ""
    return datasource_adapter(settings.type)(datasource, settings, None).location


def cause_of_missing(config: Config, datasource: str) -> str:
    """Who is to blame for backups that were not made: their server, else this machine, for all of them."""
    return server_of(config, datasource) or this_machine()


def this_machine() -> str:
    """Who is to blame where this machine's clock is wrong, or where it is off."""
    return socket.gethostname()


def cause_of_end(config: Config, execution: Execution) -> str:
    """Who is to blame for how a backup ended, for all that end so; empty where it is its own matter."""
    problem = execution.problem
    if execution.status == "interrupted" or was_stopped(problem):
        return this_machine()
    if execution.status == "partial":
        left_out = [one.storage for one in execution.copies if one.problem and one.problem.kind in _STORAGE_TROUBLES]
        return ", ".join(sorted(left_out))
    if execution.status != "failed" or problem is None:
        return ""
    return cause_of_problem(config, problem, job=execution.job, datasource=execution.datasource)


def cause_of_problem(config: Config, problem: Problem, *, job: str, datasource: str) -> str:
    """Which server or storage is to blame for a problem of a job's run at a datasource; empty where none is."""
    if problem.kind in _SERVER_TROUBLES:
        return server_of(config, datasource)
    return _storage_of(config, job, problem) if problem.kind in _STORAGE_TROUBLES else ""


def _storage_of(config: Config, job: str, problem: Problem) -> str:
    """The storage of a job at which something went wrong; empty where it was another place, as the state folder."""
    settings = config.jobs.get(job)
    for name in settings.storages if settings is not None else ():
        try:
            root = config.storage(name).root
        except ConfigError:
            continue
        if problem.subject == name or f"{problem.subject}{os.path.sep}".startswith(f"{root}{os.path.sep}"):
            return name
    return ""
