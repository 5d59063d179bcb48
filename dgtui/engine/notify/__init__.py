"""Notifications: raised by whoever notices something, delivered through channels, and kept until that is done."""

from dgtui.engine.notify.raising import end_states, raise_notification

__all__ = ["end_states", "raise_notification"]
