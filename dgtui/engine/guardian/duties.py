"""All duties of the daemon."""

from collections.abc import Callable

from dgtui.engine.guardian.cleanup_duty import CleanupDuty
from dgtui.engine.guardian.delivering import Delivering
from dgtui.engine.guardian.duty import Duty, DutyContext
from dgtui.engine.guardian.health_duty import HealthDuty
from dgtui.engine.guardian.metrics_duty import MetricsDuty
from dgtui.engine.guardian.put_back_duty import PutBackDuty
from dgtui.engine.guardian.reconciliation import Reconciliation
from dgtui.engine.guardian.rehearsal_duty import RehearsalDuty
from dgtui.engine.guardian.replaced_duty import ReplacedDuty
from dgtui.engine.guardian.timetable_duty import TimetableDuty

DUTIES: tuple[Callable[[DutyContext], Duty], ...] = (
    TimetableDuty,
    RehearsalDuty,
    Reconciliation,
    PutBackDuty,
    Delivering,
    HealthDuty,
    CleanupDuty,
    ReplacedDuty,
    MetricsDuty,
)
"""What makes each duty; a new one is a line here."""
