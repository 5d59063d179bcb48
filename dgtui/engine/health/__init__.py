"""The health worker: asks everything that is configured how it is, remembers the answers, and speaks up."""

from dgtui.engine.health.view import Health
from dgtui.engine.health.worker import HealthWorker

__all__ = ["Health", "HealthWorker"]
