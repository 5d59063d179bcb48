"""What a DataGuardian in which nothing moves has written down: its audit log, messages, rehearsals and a run's log."""

from datetime import UTC, datetime, timedelta

from dgtui.engine.catalog.proofs import Leftover, Proof
from dgtui.engine.facade import Engine
from dgtui.engine.guardian.runner import DutyState
from dgtui.engine.guardian.status import DaemonReport, DaemonStatus
from dgtui.engine.messages import LogMessage, Message, PhaseMessage, StatusMessage, encode_message
from dgtui.engine.model import Problem
from dgtui.engine.notification_model import Actor, AuditEntry
from dgtui.engine.records import Records, Undelivered

NOON = datetime(2025, 2, 13, 12, 0, tzinfo=UTC)
FAILED_RUN = "00000006-0000-4000-8000-000000000000"
LOST = Problem(
    kind="DatabaseConnectionError",
    message="The server closed the connection",
    hint="Is the server running? Try: dgtui check",
    detail=("mariadb-dump: Error 2013: Lost connection to server during query",),
)
_ANNA = Actor(user="anna as root", origin="10.0.0.12")
_DAEMON = Actor(user="dgtui", program="daemon")
_DONE: tuple[tuple[float, Actor, str, str, str, str, tuple[str, ...]], ...] = (
    (0.2, _ANNA, "pin", "execution", "00000001", "done", ("before the migration",)),
    (5, _ANNA, "restore", "datasource", "shop", "completed", ("from disk, into shop", "bad migration 42")),
    (5.1, _ANNA, "read secret", "datasource", "shop", "done", ("password, from the environment",)),
    (6, _DAEMON, "backup", "job", "shop-nightly", "completed", ()),
    (6, _DAEMON, "backup", "job", "crm-hourly", "failed", (LOST.message,)),
    (29, _DAEMON, "delete", "execution", "0000a01c", "completed", ("retention at disk",)),
    (30, _ANNA, "change configuration", "job", "crm-hourly", "done", ("enabled: true -> false",)),
)


class StillRecords(Records):
    """Answers always the same."""

    def audit(self, *, since: datetime | None = None, limit: int | None = None) -> list[AuditEntry]:  # all of it
        """A day and a half."""
        return [
            AuditEntry(
                number=4711 - place,
                at=NOON - timedelta(hours=hours),
                actor=actor,
                action=action,
                object_kind=kind,
                object_name=name,
                outcome=outcome,
                previous="0" * 64,
                hash="0" * 64,
                details=details,
            )
            for place, (hours, actor, action, kind, name, outcome, details) in enumerate(_DONE)
        ]

    def undelivered(self) -> list[Undelivered]:
        """One that is tried again, and one that waits for the morning."""
        return [
            Undelivered(
                channel="mail",
                status="retrying",
                titles=("Backup crm-hourly of crm: lost the connection",),
                created_at=NOON - timedelta(hours=4.5),
                age_seconds=4.5 * 3600,
                attempts=7,
                next_try_at=NOON + timedelta(minutes=20),
                reason="mail.example.org does not answer: connection timed out after 30 s",
                delivery_id="7",
            ),
            Undelivered(
                channel="chat",
                status="held",
                titles=("nas: Storage not mounted? /mnt/nas/backups", "legacy: no answer"),
                created_at=NOON - timedelta(minutes=30),
                age_seconds=1800,
                reason="quiet hours until 2025-02-13 13:00:00",
            ),
        ]


def still_daemon() -> DaemonStatus:
    """One that has been at work for days."""
    began = NOON - timedelta(days=9)
    duties = (
        DutyState(name="schedules", next_due=NOON + timedelta(hours=15)),
        DutyState(name="health", running_since=NOON - timedelta(seconds=20)),
        DutyState(name="notifications", next_due=NOON + timedelta(minutes=1)),
        DutyState(name="retention", next_due=NOON + timedelta(hours=16)),
        DutyState(
            name="rehearsals",
            problem=Problem(kind="StorageError", message="No room for a private server in /var/tmp", hint="Make room"),
        ),
    )
    report = DaemonReport(pid=4711, started_at=began, version="0.9.0", config_read_at=began, duties=duties)
    return DaemonStatus(running=True, pid=4711, since=began, report=report)


def fill_records(engine: Engine) -> None:
    """A rehearsal that succeeded, one that failed, and the log of the backup that failed."""
    for number, days, status, problem in ((0xB1, 1.1, "completed", None), (0xB2, 2.1, "failed", LOST)):
        began = NOON - timedelta(days=days)
        proven = status == "completed"
        engine.proofs.save(
            Proof(
                proof_id=f"{number:08x}-0000-4000-8000-000000000000",
                execution_id="00000002-0000-4000-8000-000000000000",
                how="rehearsal",
                status="completed" if proven else "failed",
                started_at=began,
                finished_at=began + timedelta(seconds=52),
                job="shop-nightly",
                datasource="shop",
                storage="disk",
                place="a private PostgreSQL server",
                duration_seconds=52.0,
                rows=1_284_210 if proven else None,
                ordered_by="dgtui",
                leftover=None if proven else Leftover(folders=("/var/tmp/dgtui-private-1",)),
                problem=problem,
            )
        )
    _write_log(engine)


def _write_log(engine: Engine) -> None:
    at = NOON.replace(hour=6, second=1)
    said = ("Connected: MariaDB 10.11.19, 112 tables, about 310 MB", "Running mariadb-dump 10.11.19")
    lines: list[Message] = [PhaseMessage(at=at, phase="connect")]
    lines += [LogMessage(at=at + timedelta(seconds=number), text=text) for number, text in enumerate(said)]
    lines += [
        LogMessage(at=at + timedelta(seconds=3), text=f"-- Dumping `crm`.`table_{number:03}`", origin="mariadb-dump")
        for number in range(12)
    ]
    lines += [
        LogMessage(at=at + timedelta(seconds=42), text=LOST.detail[0], origin="mariadb-dump", level="error"),
        StatusMessage(at=at + timedelta(seconds=43), status="failed", problem=LOST),
    ]
    engine.paths.runs.mkdir(parents=True, exist_ok=True)
    engine.paths.messages(FAILED_RUN).write_bytes(b"".join(encode_message(line) + b"\n" for line in lines))
