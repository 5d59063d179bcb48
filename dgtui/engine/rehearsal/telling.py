"""What people are told of a rehearsal: an entry in the audit log, and a notification."""

from dgtui.engine.audit import append_audit
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.proofs import Proof
from dgtui.engine.errors import DataGuardianError
from dgtui.engine.notification_model import Actor
from dgtui.engine.notify import raise_notification
from dgtui.engine.reporting import Reporter, SilentReporter

_NOBODY = SilentReporter()


def tell_end(
    catalog: Catalog, proof: Proof, reporter: Reporter = _NOBODY, actor: Actor | None = None, *, cause: str = ""
) -> None:
    """Tell how a rehearsal ended, with others of its `cause`; what cannot be written down changes nothing of that."""
    problem = proof.problem
    details = [
        f"job {proof.job}",
        f"in {proof.place}",
        *([f"from {proof.storage}"] if proof.storage else []),
        *([f"{proof.rows} rows"] if proof.rows is not None else []),
        *([problem.message] if problem is not None else []),
    ]
    try:
        append_audit(
            catalog,
            "rehearse",
            object_kind="execution",
            object_name=proof.execution_id,
            outcome=proof.status,
            details=details,
            actor=actor,
        )
    except DataGuardianError as error:
        reporter.log(f"The audit log could not be written: {error.message}", level="warning")
    if proof.status == "cancelled":
        return
    try:
        _notify(catalog, proof, cause)
    except DataGuardianError as error:
        reporter.log(f"A notification could not be stored: {error.message}", level="warning")


def _notify(catalog: Catalog, proof: Proof, cause: str) -> None:
    short = proof.execution_id[:8]
    problem = proof.problem
    if proof.status == "completed":
        counted = "" if proof.rows is None else f", {proof.rows} rows"
        message = f"The backup {short} of {proof.job} was restored in {proof.place} and is proven{counted}"
    else:
        why = problem.message if problem is not None else proof.status
        message = f"The rehearsal of the backup {short} of {proof.job} ended {proof.status}: {why}"
    raise_notification(
        catalog,
        "rehearsal_completed" if proof.status == "completed" else "rehearsal_failed",
        subject_kind="job",
        subject=proof.job,
        message=message,
        details=(
            *([problem.hint] if problem is not None and problem.hint else []),
            *(problem.detail if problem else ()),
        ),
        related=[name for name in (proof.datasource, proof.storage) if name],
        group_key=cause,
        event=proof.proof_id,
        at=proof.finished_at,
    )
