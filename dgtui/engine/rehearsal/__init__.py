"""Rehearsals: a backup is restored into a throw-away database, compared, and the database removed again."""

from dgtui.engine.rehearsal.ordering import rehearse_order
from dgtui.engine.rehearsal.run import Rehearsal, RehearsalTask
from dgtui.engine.rehearsal.settling import settle_rehearsals

__all__ = ["Rehearsal", "RehearsalTask", "rehearse_order", "settle_rehearsals"]
