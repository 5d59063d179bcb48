"""How an adapter tells what it is doing, without knowing who listens."""

from typing import Literal, Protocol


class Reporter(Protocol):
    """What an operation hands to adapters; the calls are cheap and may come from any thread."""

    def log(self, text: str, *, origin: str = "dgtui", level: Literal["info", "warning", "error"] = "info") -> None:
        """Add a line to the log."""

    def current_object(self, name: str, *, number: int = 0, count: int = 0) -> None:
        """Say which object is being worked on now, and its number of how many."""

    def loaded(self, name: str, rows: int | None = None) -> None:
        """Say how many rows of an object are loaded: all of them where None, and none any more where 0."""

    def cancelled(self) -> bool:
        """Whether somebody asked for the end, so that others are waited for no more."""


class SilentReporter:
    """Nobody listens."""

    def log(self, text: str, *, origin: str = "dgtui", level: Literal["info", "warning", "error"] = "info") -> None:
        """Drop the line."""

    def current_object(self, name: str, *, number: int = 0, count: int = 0) -> None:
        """Drop the name."""

    def loaded(self, name: str, rows: int | None = None) -> None:
        """Drop the number."""

    def cancelled(self) -> bool:
        """Nobody can ask for it."""
        return False
