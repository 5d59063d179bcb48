"""Why a backup stays, when it would go, and why one went, in words."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dgtui.wording.words import one_line, size_text

if TYPE_CHECKING:
    from dgtui.engine.cleanup import Stray
    from dgtui.engine.retention import Hold, Verdict
    from dgtui.engine.retention.verdicts import HoldKind, KeepRule

RULES: "dict[KeepRule, str]" = {
    "last": "last",
    "hourly": "hourly",
    "daily": "daily",
    "weekly": "weekly",
    "monthly": "monthly",
    "yearly": "yearly",
}
_HOLDS: "dict[HoldKind, str]" = {
    "no_rule": "no rule",
    "newest": "newest good one",
    "newest_proven": "newest proven one",
    "pinned": "pinned",
    "safety": "safety copy",
    "needed": "needed by",
    "in_doubt": "its copy is",
    "copy_in_doubt": "in doubt at",
    "upload_failed": "last upload failed",
    "in_use": "in use",
    "way_back": "the only way back of restore",
}
_WITH_DETAIL: "frozenset[HoldKind]" = frozenset({"needed", "in_doubt", "copy_in_doubt", "way_back"})
REMOVALS = {
    "not_kept": "no rule keeps it",
    "max_age": "older than max_age",
    "max_total_size": "beyond max_total_size",
    "safety_over": "its time as a safety copy is over",
}


def reason_text(verdict: "Verdict") -> str:
    """`weekly, monthly`; `pinned`; `no rule keeps it`: why it stays or goes."""
    if verdict.removed_by is not None:
        return REMOVALS[verdict.removed_by]
    words = [*(RULES[rule] for rule in verdict.kept_by), *(_hold_text(hold) for hold in verdict.holds)]
    return ", ".join(words) or "within the limits"


def _hold_text(hold: "Hold") -> str:
    detail = hold.detail[:8] if hold.kind in ("needed", "way_back") else hold.detail
    return f"{_HOLDS[hold.kind]} {one_line(detail)}" if hold.kind in _WITH_DETAIL else _HOLDS[hold.kind]


def end_text(verdict: "Verdict", now: datetime) -> str:
    """`would go on 12 Oct`; empty where it goes now."""
    if not verdict.stays:
        return ""
    if verdict.expiry == "never":
        return "stays"
    if verdict.expires_at is None:
        return "its end cannot be known"
    at_most = "at the latest " if verdict.expiry == "at_latest" else ""
    return f"would go {at_most}on {day_text(verdict.expires_at, now)}"


def keep_text(verdict: "Verdict", now: datetime) -> str:
    """`weekly; would go on 12 Oct; frees 4.2 GB on s3-eu`."""
    return keep_texts([verdict], now)[0]


def keep_texts(verdicts: "Iterable[Verdict]", now: datetime) -> list[str]:
    """The same of several storages, each reason once: `weekly; would go on 12 Oct; frees 4 GB on s3, 4 GB on disk`."""
    freed: dict[str, list[str]] = {}
    for verdict in verdicts:
        why = "; ".join(filter(None, (reason_text(verdict), end_text(verdict, now))))
        places = freed.setdefault(why, [])
        if verdict.expiry != "never":
            places.append(f"{size_text(verdict.bytes)} on {one_line(verdict.storage)}")
    return [f"{why}; frees {', '.join(places)}" if places else why for why, places in freed.items()]


def day_text(moment: datetime, now: datetime) -> str:
    """`12 Oct`, with the year where it is another one."""
    local, today = moment.astimezone(), now.astimezone()
    return f"{local.day} {local:%b}" + (f" {local.year}" if local.year != today.year else "")


def stray_text(stray: "Stray") -> str:
    """What is done with a folder that is no backup of the catalogue."""
    if stray.kind == "unknown backup":
        return f"a backup that is not known here; dgtui scan {one_line(stray.storage)} reads it in, or says why not"
    if stray.owner:
        return f"run {stray.owner[:8]} is writing it"
    what = "left by a run or a removal that broke off" if stray.kind == "leftover" else "no manifest, not known here"
    until = stray.removable_at or datetime.now(UTC)
    return f"{what}; removed after {until.astimezone():%Y-%m-%d %H:%M}"
