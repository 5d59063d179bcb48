"""The guardian: what the daemon does on its own, as independent duties, and the process that runs them."""

from dgtui.engine.guardian.duty import Duty, DutyContext

__all__ = ["Duty", "DutyContext"]
