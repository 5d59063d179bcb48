"""Rehearsals: a backup is restored into a throw-away database, compared, and the database removed again."""

from dgtui.engine.rehearsal.ordering import rehearse_order
from dgtui.engine.rehearsal.run import Rehearsal, RehearsalTask
from dgtui.engine.rehearsal.settling import settle_rehearsals
from dgtui.engine.rehearsal.telling import tell_end

__all__ = ["Rehearsal", "RehearsalTask", "rehearse_order", "settle_rehearsals", "tell_end"]
