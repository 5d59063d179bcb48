"""Writing executions, copies and restores as part of a transaction, together with whatever else belongs to it."""

import msgspec

from dgtui.engine.catalog.connection import Connection
from dgtui.engine.catalog.database import time_text
from dgtui.engine.catalog.past import bring_back, move_to_past
from dgtui.engine.catalog.proofs import proof_of_restore, write_proof
from dgtui.engine.catalog.rows import columns_of
from dgtui.engine.messages import now
from dgtui.engine.model import Copy, Execution
from dgtui.engine.restore_model import Restore


def drop_copy(connection: Connection, execution_id: str, storage: str) -> None:
    """Forget a copy that was deleted; an execution that lies nowhere else is a past one."""
    values = {"execution_id": execution_id, "storage": storage}
    connection.execute("DELETE FROM copies WHERE execution_id = :execution_id AND storage = :storage", values)
    left = "SELECT count(*) FROM copies WHERE execution_id = :execution_id AND path != ''"
    if not connection.scalar(left, {"execution_id": execution_id}):
        move_to_past(connection, execution_id, at=now())


def write_restore(connection: Connection, restore: Restore) -> None:
    """Add a restore, or bring it up to date."""
    values = {
        "restore_id": restore.restore_id,
        "execution_id": restore.execution_id,
        "status": restore.status,
        "started_at": time_text(restore.started_at),
        "record": msgspec.json.encode(restore).decode(),
    }
    connection.upsert("restores", values, key="restore_id")
    proof = proof_of_restore(restore)
    if proof is not None:
        write_proof(connection, proof)


def write_execution(connection: Connection, execution: Execution) -> None:
    """Add an execution, or bring its row and its copies up to date."""
    values = {name: value for name, value in columns_of(execution).items() if name not in ("copies", "sequence")}
    connection.upsert("executions", values, key="execution_id")
    bring_back(connection, execution.execution_id)
    for copy in execution.copies:
        write_copy(connection, execution.execution_id, copy)


def write_copy(connection: Connection, execution_id: str, copy: Copy) -> None:
    """Add a copy of an execution, or bring it up to date."""
    connection.upsert("copies", {"execution_id": execution_id, **columns_of(copy)}, key="execution_id, storage")
