"""Cleanup: carries out what retention decides, and finds what broken runs left at the storages."""

from dgtui.engine.cleanup.access import Retention
from dgtui.engine.cleanup.around_backups import RoundBackup
from dgtui.engine.cleanup.carrying_out import Cleanup
from dgtui.engine.cleanup.looking import Look, Scope
from dgtui.engine.cleanup.report import CleanupReport, NotRemoved, Removed
from dgtui.engine.cleanup.strays import Stray, find_strays

__all__ = [
    "Cleanup",
    "CleanupReport",
    "Look",
    "NotRemoved",
    "Removed",
    "Retention",
    "RoundBackup",
    "Scope",
    "Stray",
    "find_strays",
]
