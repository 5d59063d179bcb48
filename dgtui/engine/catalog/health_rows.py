"""The checks of health as rows and back."""

import sqlite3
from datetime import datetime
from typing import Any

import msgspec

from dgtui.engine.catalog.database import time_text
from dgtui.engine.health_model import Concern, Figures, HealthCheck, Watched

CHECK_COLUMNS = "subject_kind, subject, checked_at, result, latency_seconds, message, hint, concerns, figures"
"""What `decoded_check` needs."""


def check_columns(check: HealthCheck) -> dict[str, Any]:
    """A check as a row."""
    figures = {name: value for name, value in msgspec.to_builtins(check.figures).items() if value not in (None, "")}
    return {
        "subject_kind": check.subject.kind,
        "subject": check.subject.name,
        "checked_at": time_text(check.checked_at),
        "result": check.result,
        "latency_seconds": check.latency_seconds,
        "message": check.message,
        "hint": check.hint,
        "concerns": msgspec.json.encode(check.concerns).decode() if check.concerns else None,
        "figures": msgspec.json.encode(figures).decode() if figures else None,
    }


def decoded_check(row: sqlite3.Row) -> HealthCheck:
    """A row as a check."""
    return HealthCheck(
        subject=Watched(kind=row["subject_kind"], name=row["subject"]),
        checked_at=datetime.fromisoformat(row["checked_at"]),
        result=row["result"],
        latency_seconds=row["latency_seconds"],
        message=row["message"],
        hint=row["hint"],
        concerns=tuple(msgspec.json.decode(row["concerns"] or "[]", type=list[Concern])),
        figures=msgspec.json.decode(row["figures"] or "{}", type=Figures),
    )
