"""Everything known of an execution, as `show` prints it."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from dgtui.engine.errors import DataGuardianError
from dgtui.engine.model import RESTORABLE, UNDER_WAY, Copy, Execution, Record
from dgtui.engine.restore_model import Restore
from dgtui.wording.problem_text import other_warnings, problem_lines
from dgtui.wording.retention_text import keep_text
from dgtui.wording.states import COPY_MARKS, EXECUTION_MARKS
from dgtui.wording.terminal import Look
from dgtui.wording.words import known_size, one_line, time_text, took_text

if TYPE_CHECKING:
    from dgtui.engine import Engine
    from dgtui.engine.catalog.proofs import Proof
    from dgtui.engine.retention import Verdict


class Details(Record, frozen=True):
    """An execution with what its storages say of it now."""

    execution: Execution
    restores: tuple[Restore, ...] = ()
    by_hand: str | None = None
    """The content of RESTORE.txt."""
    by_hand_missing: str = ""
    """Why there is none."""
    keeping: "tuple[Verdict, ...]" = ()
    """Why it stays or goes at each storage."""
    proofs: "tuple[Proof, ...]" = ()
    """The restores and rehearsals that were to prove it, the newest first."""

    @classmethod
    def gather(cls, engine: "Engine", execution: Execution) -> Self:
        """Ask the catalogue and the storages."""
        import msgspec

        restores = tuple(engine.restores(execution.execution_id))
        proofs = tuple(engine.proofs.of(execution.execution_id))
        if execution.status not in RESTORABLE:
            missing = "it has not ended yet" if execution.status in UNDER_WAY else "it left no backup"
            return cls(execution=execution, restores=restores, by_hand_missing=missing)
        copies = sorted(engine.live_copies(execution), key=lambda copy: engine.config.place_of_storage(copy.storage))
        live = msgspec.structs.replace(execution, copies=tuple(copies))
        keeping = engine.retention.verdicts(execution)
        try:
            text = engine.manual_commands(live)
        except DataGuardianError as error:
            missing = error.message
            return cls(execution=live, restores=restores, by_hand_missing=missing, keeping=keeping, proofs=proofs)
        return cls(execution=live, restores=restores, by_hand=text, keeping=keeping, proofs=proofs)

    @property
    def proof(self) -> "Proof | None":
        """The last one that proved it."""
        return next((proof for proof in self.proofs if proof.proven_at is not None), None)

    def as_data(self) -> dict[str, Any]:
        """For JSON: the fields of the execution, and beside them `restores` and `restore_by_hand`."""
        import msgspec

        data: dict[str, Any] = msgspec.to_builtins(self.execution)
        return {
            **data,
            "restores": msgspec.to_builtins(self.restores),
            "restore_by_hand": self.by_hand,
            "retention": msgspec.to_builtins(self.keeping),
            "proven_at": msgspec.to_builtins(self.proof.proven_at) if self.proof is not None else None,
            "proven_by": self.proof.how if self.proof is not None else None,
            "proofs": msgspec.to_builtins(self.proofs),
        }


def execution_lines(details: Details, look: Look) -> list[str]:
    """The lines of `show`."""
    execution = details.execution
    lines = [f"{name + ':':<13}{one_line(value)}" for name, value in _facts(execution, look) if value]
    lines += [
        f"{'Warning:':<13}{one_line(warning)}" for warning in other_warnings(execution.warnings, execution.problem)
    ]
    if execution.problem is not None:
        lines += problem_lines(execution.problem, label="Problem")
    lines += _copy_lines(execution.copies, look)
    lines += _keeping_lines(details.keeping)
    lines += _restore_lines(details.restores, look)
    lines += _rehearsal_lines(details.proofs, look)
    if details.by_hand is not None:
        # RESTORE.txt is ours, but it came back from a disk: nothing in it may steer the terminal.
        lines += ["", "By hand, without DataGuardian (RESTORE.txt):", ""]
        lines += [f"  {one_line(line)}".rstrip() for line in details.by_hand.splitlines()]
    elif details.by_hand_missing:
        lines += ["", f"No commands to restore it by hand: {one_line(details.by_hand_missing)}"]
    return lines


def _facts(execution: Execution, look: Look) -> list[tuple[str, str]]:
    took = ""
    if execution.finished_at is not None:
        took = f" in {took_text((execution.finished_at - execution.started_at).total_seconds())}"
    stored = known_size(execution.compressed_size_bytes)
    if execution.total_size_bytes and execution.compressed_size_bytes is not None:
        stored += f" (ratio {execution.compressed_size_bytes / execution.total_size_bytes:.2f})"
    return [
        ("Execution", execution.execution_id),
        ("Job", f"{execution.job} ({execution.job_id})"),
        ("Datasource", f"{execution.datasource} ({execution.datasource_type})"),
        ("Status", f"{EXECUTION_MARKS[execution.status].shown(look)} {execution.status}{took}"),
        ("Type", execution.backup_type),
        ("Purpose", "safety: what a restore was about to replace" if execution.purpose == "safety" else ""),
        ("Started", time_text(execution.started_at)),
        ("Finished", "" if execution.finished_at is None else time_text(execution.finished_at)),
        ("Description", execution.description),
        ("Size", "" if execution.total_size_bytes is None else known_size(execution.total_size_bytes)),
        ("Stored", "" if execution.compressed_size_bytes is None else stored),
        ("Checksum", execution.checksum or ""),
        ("Folder", execution.folder or ""),
        ("Expires", "" if execution.expires_at is None else time_text(execution.expires_at)),
        ("Pinned", execution.pin or ""),
    ]


def _copy_lines(copies: tuple[Copy, ...], look: Look) -> list[str]:
    lines = ["", "Copies:"] if copies else []
    for copy in copies:
        mark = COPY_MARKS[copy.status].shown(look)
        lines.append(f"  {mark} {one_line(copy.storage)}: {copy.status}  {one_line(copy.path)}".rstrip())
        if copy.problem is not None:
            lines += [f"    {line}" for line in problem_lines(copy.problem, label="problem")]
    return lines


def _keeping_lines(keeping: "tuple[Verdict, ...]") -> list[str]:
    now = datetime.now(UTC)
    lines = ["", "Retention:"] if keeping else []
    for verdict in keeping:
        word = "" if verdict.stays else "goes, "
        lines.append(f"  {one_line(verdict.storage)}: {word}{keep_text(verdict, now)}")
    return lines


def _rehearsal_lines(proofs: "tuple[Proof, ...]", look: Look) -> list[str]:
    rehearsals = [proof for proof in proofs if proof.how == "rehearsal"]
    lines = ["", "Rehearsals:"] if rehearsals else []
    for proof in rehearsals:
        mark = EXECUTION_MARKS[proof.status].shown(look)
        words = [f"{time_text(proof.started_at)} {mark} {proof.status} in {proof.place}"]
        words += [f"from {proof.storage}"] if proof.storage else []
        words += [f"{proof.rows:,} rows"] if proof.rows is not None else []
        words += [took_text(proof.duration_seconds)] if proof.duration_seconds is not None else []
        lines.append(f"  {one_line(', '.join(words))}")
        lines += [f"    difference: {one_line(difference)}" for difference in proof.differences]
        if proof.problem is not None:
            lines += [f"    {line}" for line in problem_lines(proof.problem, label="problem")]
    return lines


def _restore_lines(restores: tuple[Restore, ...], look: Look) -> list[str]:
    lines = ["", "Restores:"] if restores else []
    for restore in restores:
        mark = EXECUTION_MARKS[restore.status].shown(look)
        words = f"{time_text(restore.started_at)} {mark} {restore.status} into {restore.target}"
        words += f" by {restore.restored_by}" * bool(restore.restored_by) + f": {restore.reason}" * bool(restore.reason)
        lines.append(f"  {one_line(words)}")
        if restore.kept_as:
            lines.append(f"    the former content is kept as {one_line(restore.kept_as)}")
        lines += [f"    warning: {one_line(warning)}" for warning in restore.warnings]
        lines += [f"    difference: {one_line(difference)}" for difference in restore.differences]
        if restore.problem is not None:
            lines += [f"    {line}" for line in problem_lines(restore.problem, label="problem")]
    return lines
