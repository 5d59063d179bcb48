"""What there is to say of one backup below the table."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from dgtui.engine.model import Execution
from dgtui.screens.backup_table import proof_text
from dgtui.screens.live_copies import asked_words
from dgtui.screens.marks import execution_mark
from dgtui.screens.widgets.styled import span
from dgtui.wording.panel import Line, Span
from dgtui.wording.retention_text import keep_texts
from dgtui.wording.terminal import Look
from dgtui.wording.words import short_id, time_text

if TYPE_CHECKING:
    from dgtui.engine.catalog.proofs import Proven
    from dgtui.engine.retention import Verdict


def backup_details(
    one: Execution,
    proof: "Proven | None",
    verdicts: "Sequence[Verdict]",
    silent: Collection[str],
    look: Look,
    now: datetime,
) -> list[Line]:
    """Which one it is, when it was proven, why it is pinned, when its storages were asked, and why it stays."""
    facts = [
        f"{short_id(one.execution_id)} of {one.job}",
        proof_text(proof, now) if proof is not None else "",
        "made before a restore" if one.purpose == "safety" else "",
        _pin_text(one.pin) if one.pin is not None else "",
        one.description,
        asked_words(one.copies, silent, now),
    ]
    line: Line = (Span(" "), execution_mark(one.status, look), span("  " + "  ".join(filter(None, facts))))
    return [line, (span(" " + "  ".join(_keep_reasons(one, verdicts, now)), "dim"),)]


def _pin_text(reason: str) -> str:
    """Who gave no reason is named in its place, as the one who pinned it."""
    return reason if reason.startswith("pinned by ") else f"pinned: {reason}"


def _keep_reasons(one: Execution, verdicts: "Sequence[Verdict]", now: datetime) -> list[str]:
    """Why it stays at each storage, when it would go and what that frees."""
    # Where no rule was given there is nothing to tell.
    told = [verdict for verdict in verdicts if "no_rule" not in {hold.kind for hold in verdict.holds}]
    if not told and one.expires_at:
        return [f"kept until {time_text(one.expires_at)}"]
    return keep_texts(told, now)
