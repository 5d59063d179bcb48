"""Glyph, word and colour of the states that only screens show."""

from collections.abc import Mapping

from dgtui.wording.panel import Span
from dgtui.wording.states import COPY_MARKS, EXECUTION_MARKS, HEALTH_MARKS, SEVERITY_MARKS, Mark
from dgtui.wording.terminal import Look


def rank(marks: Mapping[str, Mark], status: str) -> int:
    """Where a state stands among all of its kind: what rows are sorted by, instead of the glyph."""
    return list(marks).index(status)


def copy_mark(status: str, look: Look, *, word: bool = False) -> Span:
    """The state of a copy."""
    return _marked(COPY_MARKS[status], status, look, word=word)


def execution_mark(status: str, look: Look) -> Span:
    """The state of an execution or a restore, with its word."""
    return _marked(EXECUTION_MARKS[status], status, look, word=True)


def health_mark(status: str, look: Look, *, word: bool = False) -> Span:
    """The state of a datasource."""
    return _marked(HEALTH_MARKS[status], status, look, word=word)


def severity_mark(severity: str, look: Look) -> Span:
    """How much a notification matters, with its word."""
    return _marked(SEVERITY_MARKS[severity], severity, look, word=True)


def to_come(look: Look) -> Span:
    """What stands where nobody has answered yet: nothing that could be taken for an answer."""
    return Span(look.glyph("…", "..."), "dim")


def _marked(mark: Mark, status: str, look: Look, *, word: bool) -> Span:
    return Span(mark.shown(look) + (f" {status}" if word else ""), mark.style)
