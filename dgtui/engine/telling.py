"""What is told of what happened: an entry of the audit log, a notification, a heartbeat.

None of it may break what it tells of: what fails here is said to `warn`, and the work goes on.
"""

import threading
import time
import urllib.parse
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from dgtui.config import Config
from dgtui.engine.audit import HeadNotWritten, append_audit
from dgtui.engine.catalog import Database
from dgtui.engine.catalog.connection import Connection
from dgtui.engine.catalog.database import Also
from dgtui.engine.catalog.writing import write_execution
from dgtui.engine.causes import cause_of_end
from dgtui.engine.errors import DataGuardianError, DeliveryError
from dgtui.engine.locks import lock_holder
from dgtui.engine.messages import now
from dgtui.engine.model import Copy, Execution, Problem
from dgtui.engine.notification_model import NotificationKind, SubjectKind
from dgtui.engine.notify import raise_notification
from dgtui.engine.notify.connection import Deadline
from dgtui.engine.notify.courier import Courier
from dgtui.engine.problems import was_stopped
from dgtui.engine.secrets import fetch_secret
from dgtui.engine.sizes import size_text

DAEMON_LOCK_NAME = "daemon.lock"
DELIVERY_SECONDS = 20.0
"""How long the end of a run may wait for the receivers of notifications."""
HEARTBEAT_SECONDS = 10.0
"""How long all tries of a heartbeat may take."""
_HEARTBEAT_PAUSES = (0.5, 2.0)
_SECRET_READ_EVERY = timedelta(days=1)

Warn = Callable[[str], None]


class Teller:
    """Tells of what happened on this machine."""

    def __init__(self, catalog: Database, config: Config, warn: Warn) -> None:
        self._catalog = catalog
        self._config = config
        self.warn = warn

    def record_end(self, execution: Execution, *, known: bool = False) -> None:
        """Record how a backup ended, and tell of it; `known` where people heard of it already. Raises CatalogError.

        Whoever is killed here leaves it to the next one to record it, and nothing of it is lost or told twice: the
        notification comes first, which is stored once, and its entry in the audit log is there with the record.
        """
        if not known:
            self._notify_of_end(execution)

        def save(connection: Connection) -> None:
            write_execution(connection, execution)

        if not self._audit_end(execution, also=save):
            # A backup is recorded also where the audit log cannot be written.
            with self._catalog.transaction() as connection:
                save(connection)

    def _audit_end(self, execution: Execution, also: Also) -> bool:
        return self.audit(
            "backup" if execution.purpose == "backup" else f"{execution.purpose} backup",
            object_kind="job",
            object_name=execution.job,
            outcome=execution.status,
            details=(f"execution {execution.execution_id}", f"datasource {execution.datasource}", *_reason(execution)),
            also=also,
        )

    def _notify_of_end(self, execution: Execution) -> None:
        kind = _kind_of(execution)
        if kind is None or execution.purpose != "backup":
            return
        self._notify(
            kind,
            subject_kind="job",
            subject=execution.job,
            message=f"Backup {execution.job} of {execution.datasource}: {_outcome(execution)}",
            details=_details(execution),
            related=self._concerned(execution),
            group_key=cause_of_end(self._config, execution),
            event=execution.execution_id,
        )

    def _concerned(self, execution: Execution) -> tuple[str, ...]:
        """The datasource and the storages of a backup; where it failed, those that it was for."""
        job = self._config.jobs.get(execution.job)
        storages = (*(copy.storage for copy in execution.copies), *(job.storages if job is not None else ()))
        return (execution.datasource, *dict.fromkeys(storages))

    def copies_checked(self, execution: Execution, copies: Sequence[Copy]) -> None:
        """Tell of copies that were read to their last byte."""
        for copy in copies:
            self.audit(
                "validate",
                object_kind="copy",
                object_name=f"{execution.execution_id} at {copy.storage}",
                outcome=copy.status,
                details=() if copy.problem is None else (copy.problem.message,),
            )
            if copy.status == "corrupt" and copy.problem is not None:
                self._notify(
                    "copy_damaged",
                    subject_kind="execution",
                    subject=execution.execution_id,
                    message=f"The copy at {copy.storage} of {execution.job} from "
                    f"{execution.started_at:%Y-%m-%d %H:%M} UTC is damaged: {copy.problem.message}",
                    related=(execution.job, execution.datasource, copy.storage),
                    group_key=copy.storage,
                )

    def heartbeat(self, execution: Execution) -> None:
        """Tell a service that watches for silence that a job ran, well or not; cancelled runs say nothing."""
        self._heartbeat(execution, Deadline(HEARTBEAT_SECONDS))

    def late_heartbeats(self, executions: Sequence[Execution]) -> None:
        """The same of runs whose worker died before it could, within the time of one: whoever starts waits for it."""
        deadline = Deadline(HEARTBEAT_SECONDS)
        for execution in executions:
            self._heartbeat(execution, deadline)

    def _heartbeat(self, execution: Execution, deadline: Deadline) -> None:
        job = self._config.jobs.get(execution.job)
        if job is None or job.heartbeat is None or _kind_of(execution) is None:
            return
        try:
            url = fetch_secret(job.heartbeat, subject=f"jobs.{execution.job}.heartbeat")
            if execution.status != "completed":
                parts = urllib.parse.urlsplit(url)
                url_to_ask = parts._replace(path=f"{parts.path.rstrip('/')}/fail").geturl()
            else:
                url_to_ask = url
            _ping(url_to_ask, deadline)
        except DataGuardianError as error:
            self.warn(f"The heartbeat of {execution.job} was not taken: {error.message}")

    def deliver(self) -> None:
        """Send notifications now where no daemon does it; what is not taken stays for the next one to come by."""
        if not self._config.channels:
            return
        try:
            if lock_holder(self._catalog.path.parent / "locks" / DAEMON_LOCK_NAME) is not None:
                return
            # The next one may come by tomorrow: nothing waits for others of its cause.
            courier = Courier(self._catalog, self._config, gathers=False)
            report = courier.deliver(seconds=DELIVERY_SECONDS)
        except DataGuardianError as error:
            self.warn(f"Notifications were not sent: {error.message}")
            return
        for problem in report.problems:
            self.warn(f"Notifications are kept and tried again: {problem}")

    def audit(
        self,
        action: str,
        *,
        object_kind: str,
        object_name: str,
        outcome: str,
        details: Sequence[str] = (),
        also: Also | None = None,
    ) -> bool:
        """Add an entry to the audit log, together with what `also` writes into the catalogue; False where it failed."""
        try:
            append_audit(
                self._catalog,
                action,
                object_kind=object_kind,
                object_name=object_name,
                outcome=outcome,
                details=details,
                also=also,
            )
        except HeadNotWritten as error:
            self.warn(f"The head of the audit log could not be written: {error.message}")
        except DataGuardianError as error:
            self.warn(f"The audit log could not be written: {error.message}")
            return False
        return True

    def _notify(
        self,
        kind: NotificationKind,
        *,
        subject_kind: SubjectKind,
        subject: str,
        message: str,
        details: Sequence[str] = (),
        related: Sequence[str] = (),
        group_key: str = "",
        event: str = "",
    ) -> None:
        try:
            raise_notification(
                self._catalog,
                kind,
                subject_kind=subject_kind,
                subject=subject,
                message=message,
                details=details,
                related=related,
                group_key=group_key,
                event=event,
            )
        except DataGuardianError as error:
            self.warn(f"A notification could not be stored: {error.message}")


_BACKUP_KINDS: dict[str, NotificationKind] = {
    "completed": "backup_completed",
    "partial": "backup_partial",
    "failed": "backup_failed",
    "interrupted": "backup_failed",
}
"""A run that somebody cancelled is no news to them; one that a signal stopped is."""


def _kind_of(execution: Execution) -> NotificationKind | None:
    return "backup_failed" if was_stopped(execution.problem) else _BACKUP_KINDS.get(execution.status)


class SecretReads:
    """Tells the audit log which secrets this process reads, each once a day: a daemon reads them every minute."""

    def __init__(self, teller: Teller, *, clock: Callable[[], datetime] = now) -> None:
        self._teller = teller
        self._clock = clock
        self._told: dict[tuple[str, str], datetime] = {}
        self._guard = threading.Lock()

    def __call__(self, subject: str, place: str) -> None:
        """A secret was read, for the key `subject`, from `place`."""
        at = self._clock()
        with self._guard:
            last = self._told.get((subject, place))
            if last is not None and abs(at - last) < _SECRET_READ_EVERY:
                return
            self._told[subject, place] = at
        self._teller.audit(
            "read secret", object_kind="secret", object_name=subject, outcome="completed", details=(f"from {place}",)
        )


def _ping(url: str, deadline: Deadline) -> None:
    """Ask for a page, more than once where that fails quickly and nobody asks for patience. Raises DeliveryError."""
    from dgtui.engine.notify.webhook_sender import request

    for pause in (*_HEARTBEAT_PAUSES, None):
        try:
            return request(url, "GET", None, {}, ca_file=None, commit=lambda: None, deadline=deadline)
        except DeliveryError as error:
            if pause is None or deadline.left <= max(pause, error.asked_to_wait):
                raise
            time.sleep(max(pause, error.asked_to_wait))
    return None


def _outcome(execution: Execution) -> str:
    return execution.status if execution.problem is None else f"{execution.status}, {execution.problem.message}"


def _reason(execution: Execution) -> tuple[str, ...]:
    return () if execution.problem is None else (execution.problem.message,)


def _details(execution: Execution) -> tuple[str, ...]:
    details = [f"Execution {execution.execution_id}"]
    if execution.compressed_size_bytes is not None:
        details.append(f"{size_text(execution.compressed_size_bytes)} stored")
    details += [f"{copy.storage}: {copy.status}{_why(copy.problem)}" for copy in execution.copies]
    if execution.problem is not None and execution.problem.hint:
        details.append(f"Next: {execution.problem.hint}")
    told = [one.message for one in (execution.problem, *(copy.problem for copy in execution.copies)) if one is not None]
    return (*details, *(warning for warning in execution.warnings if not any(text in warning for text in told)))


def _why(problem: Problem | None) -> str:
    return f", {problem.message}" if problem is not None else ""
