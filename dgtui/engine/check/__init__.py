"""`dgtui check`: examine everything without changing anything, and say what mends what is wrong."""

from dgtui.engine.check.examination import examine_everything
from dgtui.engine.check.finding import Finding

__all__ = ["Finding", "examine_everything"]
