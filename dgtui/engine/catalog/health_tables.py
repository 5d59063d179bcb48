"""The tables of health: every check as a row, and how each thing stands."""

from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from dgtui.engine.catalog.database import time_text
from dgtui.engine.catalog.tables import metadata
from dgtui.engine.health_model import Concern, Figures, HealthCheck, Watched

health_checks = sa.Table(
    "health_checks",
    metadata,
    sa.Column("sequence", sa.Integer, primary_key=True),
    sa.Column("subject_kind", sa.String, nullable=False),
    sa.Column("subject", sa.String, nullable=False),
    sa.Column("checked_at", sa.String, nullable=False),
    sa.Column("result", sa.String, nullable=False),
    sa.Column("latency_seconds", sa.Float),
    sa.Column("message", sa.String, nullable=False, server_default=""),
    sa.Column("hint", sa.String, nullable=False, server_default=""),
    sa.Column("concerns", sa.String),
    sa.Column("figures", sa.String),
    sa.Index("health_checks_of_subject", "subject_kind", "subject", "checked_at"),
    sa.Index("health_checks_by_time", "checked_at"),
)

health_states = sa.Table(
    "health_states",
    metadata,
    sa.Column("subject_kind", sa.String, primary_key=True),
    sa.Column("subject", sa.String, primary_key=True),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("record", sa.String, nullable=False),
    # Events are kept here, in the same transaction as the state, until they are told.
    sa.Column("untold", sa.String, nullable=False, server_default="[]"),
)


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


def decoded_check(row: sa.RowMapping) -> HealthCheck:
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
