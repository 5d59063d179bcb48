"""What a check makes of the state of a thing: when it is slow, when it is lost, and what people are told."""

import statistics
from collections.abc import Sequence
from datetime import timedelta

import msgspec

from dgtui.engine.health_model import Concern, HealthCheck, HealthEvent, HealthState, HealthStatus, WatchedKind, worst
from dgtui.engine.notification_model import ENDS, NotificationKind

CRITICAL_FAILURES = 3
"""So many failed checks in a row, and people are told."""
_SLOWER = 3
_LEAST_SLOW_SECONDS = 0.5
_ENOUGH_CHECKS = 5
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_LOST: dict[WatchedKind, tuple[NotificationKind, NotificationKind]] = {
    "datasource": ("connection_lost", "connection_restored"),
    "storage": ("storage_unreachable", "storage_restored"),
}


def slow_limit(slow_after: int | None, latencies: Sequence[float]) -> float | None:
    """The latency in seconds beyond which an answer is slow; None while too little is known of what is usual."""
    if slow_after is not None:
        return float(slow_after)
    if len(latencies) < _ENOUGH_CHECKS:
        return None
    return max(_LEAST_SLOW_SECONDS, _SLOWER * statistics.median(latencies))


def judge(former: HealthState, check: HealthCheck, limit: float | None) -> tuple[HealthState, tuple[HealthEvent, ...]]:
    """The state after a check, and what is to be told; `limit` is the latency beyond which an answer is slow."""
    state, events = _after_answer(former, check, limit) if check.good else _after_failure(former, check)
    if state.status != former.status or former.since is None:
        state = msgspec.structs.replace(state, since=check.checked_at)
    watched_since = check.checked_at if former.checked_at is None else former.watched_since
    return msgspec.structs.replace(state, watched_since=watched_since), tuple(events)


def _after_failure(former: HealthState, check: HealthCheck) -> tuple[HealthState, list[HealthEvent]]:
    failures = former.failures + 1
    since = former.outage_since or check.checked_at
    lost = _LOST.get(check.subject.kind)
    events, told = [], former.told
    if lost is not None and failures >= CRITICAL_FAILURES and lost[0] not in told:
        events.append(
            HealthEvent(
                kind=lost[0],
                subject=check.subject,
                at=check.checked_at,
                message=f"{check.subject.name}: {check.message}",
                details=tuple(filter(None, (f"Failed {failures} times in a row, since {since:%Y-%m-%d %H:%M:%S} UTC",
                                            check.hint))),
                group=check.group,
            )
        )  # fmt: skip
        told = (*told, lost[0])
    state = HealthState(
        subject=check.subject,
        status="critical" if failures >= CRITICAL_FAILURES else "warning",
        since=former.since,
        checked_at=check.checked_at,
        result=check.result,
        message=check.message,
        hint=check.hint,
        failures=failures,
        outage_since=since,
        told=told,
        figures=former.figures,
    )
    return state, events


def _after_answer(
    former: HealthState, check: HealthCheck, limit: float | None
) -> tuple[HealthState, list[HealthEvent]]:
    told, events = former.told, []
    restored = _restored(former, check)
    if restored is not None:
        events.append(restored)
        told = tuple(key for key in told if key not in ENDS[restored.kind])
    told, more = _tell_concerns(told, check)
    slow = _slow_message(check.latency_seconds, limit)
    statuses: list[HealthStatus] = ["healthy", *(concern.status for concern in check.concerns)]
    messages = [concern.message for concern in check.concerns]
    if slow:
        statuses.append("warning")
        messages.append(slow)
    state = HealthState(
        subject=check.subject,
        status=worst(statuses),
        since=former.since,
        checked_at=check.checked_at,
        result=check.result,
        latency_seconds=check.latency_seconds,
        message="; ".join(messages),
        hint=next((concern.hint for concern in check.concerns), ""),
        told=told,
        figures=check.figures,
    )
    return state, [*events, *more]


def _restored(former: HealthState, check: HealthCheck) -> HealthEvent | None:
    lost = _LOST.get(check.subject.kind)
    if lost is None or lost[0] not in former.told:
        return None
    started = former.outage_since or check.checked_at
    lasted = max(check.checked_at - started, timedelta(0))
    # What refuses a password has answered all the while.
    again = "can be logged in to again" if former.result == "auth_failed" else "answers again"
    return HealthEvent(
        kind=lost[1],
        subject=check.subject,
        at=check.checked_at,
        message=f"{check.subject.name} {again} after {span_text(lasted)}",
        details=(f"Its checks failed from {started:%Y-%m-%d %H:%M:%S} to {check.checked_at:%Y-%m-%d %H:%M:%S} UTC",),
        group=check.group,
    )


def _tell_concerns(told: tuple[str, ...], check: HealthCheck) -> tuple[tuple[str, ...], list[HealthEvent]]:
    """What is new among the concerns, and what is over."""
    lost = _LOST.get(check.subject.kind, ("", ""))[0]
    present = {concern.key for concern in check.concerns}
    over = [key for key in told if key != lost and key not in present]
    events = [
        HealthEvent(kind=_kind_of(key), subject=check.subject, at=check.checked_at, over=True)
        for key in over
    ]  # fmt: skip
    events += [_event_of(concern, check) for concern in check.concerns if concern.key not in told]
    kept = tuple(key for key in told if key not in over)
    return (*kept, *(concern.key for concern in check.concerns if concern.key not in kept)), events


def _kind_of(key: str) -> NotificationKind:
    return key.partition(" ")[0]  # type: ignore[return-value]  # keys are made by `Concern.key`


def _event_of(concern: Concern, check: HealthCheck) -> HealthEvent:
    return HealthEvent(
        kind=concern.kind,
        subject=check.subject,
        at=check.checked_at,
        message=f"{check.subject.name}: {concern.message}",
        details=(concern.hint,) if concern.hint else (),
        group=concern.group or check.group,
        event=concern.event,
    )


def _slow_message(latency: float | None, limit: float | None) -> str:
    if latency is None or limit is None or latency <= limit:
        return ""
    return f"Slow: it answered in {latency * 1000:.0f} ms, and more than {limit * 1000:.0f} ms is slow for it"


def span_text(span: timedelta) -> str:
    """`2 d 5 h`, `1 h 30 min`, `40 s`: the two largest units."""
    seconds = int(span.total_seconds())
    parts: list[str] = []
    for size, unit in _UNITS:
        count, seconds = divmod(seconds, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])
