"""Figures of what was done: success, duration, size and room over time, metrics, and what needs attention."""

from dgtui.engine.figures.view import Figures

__all__ = ["Figures"]
