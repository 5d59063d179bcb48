"""Writing executions, copies and restores as part of a transaction, together with whatever else belongs to it."""

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from dgtui.engine.catalog import tables
from dgtui.engine.catalog.database import time_text
from dgtui.engine.catalog.past import bring_back, move_to_past
from dgtui.engine.catalog.proofs import proof_of_restore, write_proof
from dgtui.engine.catalog.rows import columns_of
from dgtui.engine.messages import now
from dgtui.engine.model import Copy, Execution
from dgtui.engine.restore_model import Restore


def drop_copy(connection: sa.Connection, execution_id: str, storage: str) -> None:
    """Forget a copy that was deleted; an execution that lies nowhere else is a past one."""
    columns = tables.copies.c
    connection.execute(sa.delete(tables.copies).where(columns.execution_id == execution_id, columns.storage == storage))
    left = sa.select(sa.func.count()).where(columns.execution_id == execution_id, columns.path != "")
    if not connection.scalar(left):
        move_to_past(connection, execution_id, at=now())


def write_restore(connection: sa.Connection, restore: Restore) -> None:
    """Add a restore, or bring it up to date."""
    values = {
        "restore_id": restore.restore_id,
        "execution_id": restore.execution_id,
        "status": restore.status,
        "started_at": time_text(restore.started_at),
        "record": msgspec.json.encode(restore).decode(),
    }
    statement = insert(tables.restores).values(**values)
    connection.execute(statement.on_conflict_do_update(index_elements=["restore_id"], set_=values))
    proof = proof_of_restore(restore)
    if proof is not None:
        write_proof(connection, proof)


def write_execution(connection: sa.Connection, execution: Execution) -> None:
    """Add an execution, or bring its row and its copies up to date."""
    values = {name: value for name, value in columns_of(execution).items() if name not in ("copies", "sequence")}
    statement = insert(tables.executions).values(**values)
    connection.execute(statement.on_conflict_do_update(index_elements=["execution_id"], set_=values))
    bring_back(connection, execution.execution_id)
    for copy in execution.copies:
        write_copy(connection, execution.execution_id, copy)


def write_copy(connection: sa.Connection, execution_id: str, copy: Copy) -> None:
    """Add a copy of an execution, or bring it up to date."""
    values = {"execution_id": execution_id, **columns_of(copy)}
    statement = insert(tables.copies).values(**values)
    connection.execute(statement.on_conflict_do_update(index_elements=["execution_id", "storage"], set_=values))
