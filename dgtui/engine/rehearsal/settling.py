"""Rehearsals whose worker died: how they ended is recorded, and what they left is removed."""

from datetime import timedelta

import msgspec

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.proofs import Leftover, Proof, Proofs
from dgtui.engine.datasources import datasource_adapter
from dgtui.engine.errors import DataGuardianError, JobBusy, RestoreError
from dgtui.engine.locks import take_lock
from dgtui.engine.messages import now
from dgtui.engine.model import ENDED, INTERRUPTED, Problem
from dgtui.engine.problems import WHY_IT_DIED
from dgtui.engine.rehearsal.names import is_own_name
from dgtui.engine.rehearsal.telling import tell_end
from dgtui.engine.run_follower import has_begun, last_status
from dgtui.engine.runs import RunPaths

_TRY_AGAIN_AFTER = timedelta(minutes=10)
"""A server that is away would hold up every command for the time that a connection may take."""


def settle_rehearsals(catalog: Catalog, config: Config, paths: RunPaths) -> list[str]:
    """Record what became of rehearsals whose worker is gone, and remove what they left; sentences for people."""
    if not any(_dead_and_left(catalog, paths)):
        return []
    # Several programs may find the same dead run at once; one of them tells of it.
    try:
        with take_lock(paths.locks / "rehearsals.lock", purpose="recording ended rehearsals", patience_seconds=2):
            told = [_end(catalog, paths, proof) for proof in _dead_and_left(catalog, paths)[0]]
            for proof in _dead_and_left(catalog, paths)[1]:
                told += _remove_leftover(Proofs(catalog), config, proof)
            return told
    except JobBusy:
        return []


def _dead_and_left(catalog: Catalog, paths: RunPaths) -> tuple[list[Proof], list[Proof]]:
    """The rehearsals whose workers are gone without a word of it here, and those that left something."""
    proofs = Proofs(catalog)
    dead = [proof for proof in proofs.unfinished() if _is_dead(paths, proof)]
    # A worker may have ended well since the rows were read: what it wrote last counts, now that it writes no more.
    newest = [found for proof in dead if (found := proofs.get(proof.proof_id)) is not None]
    left = [proof for proof in proofs.with_leftovers() if not paths.is_alive(proof.proof_id)]
    return [proof for proof in newest if proof.status not in ENDED], left


def _is_dead(paths: RunPaths, proof: Proof) -> bool:
    """What was claimed and not started yet has no worker either; the daemon knows of it."""
    begun = proof.status != "queued" or has_begun(paths, proof.proof_id)
    return begun and not paths.is_alive(proof.proof_id)


def _end(catalog: Catalog, paths: RunPaths, proof: Proof) -> str:
    paths.remove_scratch(proof.proof_id)
    last = last_status(paths, proof.proof_id)
    if last is not None:
        ended = msgspec.structs.replace(proof, status=last.status, problem=last.problem, finished_at=last.at)
    else:
        problem = Problem(
            kind=INTERRUPTED,
            message="The worker ended without notice",
            subject=proof.proof_id,
            hint=f"{WHY_IT_DIED} Nothing but the throw-away database was touched",
        )
        ended = msgspec.structs.replace(proof, status="interrupted", problem=problem, finished_at=now())
    Proofs(catalog).save(ended)
    tell_end(catalog, ended)
    return f"The rehearsal of {proof.job} from {proof.started_at:%Y-%m-%d %H:%M} UTC ended {ended.status}"


def _remove_leftover(proofs: Proofs, config: Config, proof: Proof) -> list[str]:
    leftover = proof.leftover
    assert leftover is not None
    if leftover.tried_at is not None and timedelta(0) <= now() - leftover.tried_at < _TRY_AGAIN_AFTER:
        return []
    names = ", ".join(leftover.names)
    try:
        _remove(config, proof, leftover)
    except DataGuardianError as error:
        tried = msgspec.structs.replace(leftover, tried_at=now())
        proofs.save(msgspec.structs.replace(proof, leftover=tried))
        return [f"The rehearsal {proof.proof_id[:8]} left {names}, which cannot be removed now: {error.message}"]
    proofs.save(msgspec.structs.replace(proof, leftover=None))
    return [f"{names}, left by the rehearsal {proof.proof_id[:8]}, was removed"]


def _remove(config: Config, proof: Proof, leftover: Leftover) -> None:
    if leftover.folders:
        datasource_adapter(leftover.kind).remove_private_server(leftover.folders)
    if not leftover.database:
        return
    if not is_own_name(leftover.database, proof.proof_id):
        raise RestoreError(f"{leftover.database} is not the name of a throw-away database", subject=leftover.database)
    config.datasource(leftover.datasource).drop_target(leftover.database)
