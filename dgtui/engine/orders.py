"""What a worker can be asked to do; written as JSON beside the run's messages, without any secret."""

from datetime import datetime

import msgspec

from dgtui.config import JobSettings
from dgtui.engine.datasources.loading import Selection
from dgtui.engine.restore_model import Part
from dgtui.engine.runs import RunInfo


class Order(msgspec.Struct, frozen=True, kw_only=True, tag_field="operation"):
    """Base of all orders."""

    run_id: str
    config_path: str | None = None
    """The configuration file to use; the usual one where empty."""
    config_kept: str | None = None
    """The copy of the configuration to use in the place of its files."""
    ordered_at: datetime


class BackupOrder(Order, frozen=True, kw_only=True, tag="backup"):
    """Back up a datasource to storages, as a job says."""

    job_id: str
    job_name: str
    job: JobSettings
    description: str = ""


class RestoreOrder(Order, frozen=True, kw_only=True, tag="restore"):
    """Restore an execution's backup into a target."""

    execution_id: str
    """The backup; empty where what was kept is put back and there is no backup of it."""
    storage: str | None = None
    """The storage to restore from; `automatic` where empty: the copies in order until one is good."""
    datasource: str
    """The datasource to restore into."""
    database: str
    """The database, file or folder to restore into."""
    selection: Selection = Selection()
    overwrite: bool = False
    """Whether a target that holds data may be replaced."""
    name_as: str | None = None
    """The name under which the one chosen table is put beside what is there."""
    merge: bool = False
    """Whether files are put over what is there, which keeps its other files."""
    deep: bool = False
    """Whether the content of every table is compared with the backup by a checksum."""
    without_missing_roles: bool = True
    """Whether owners and grants are left out whose roles the target does not have; else nothing is restored."""
    safety: bool = True
    """Whether a target that holds data is backed up before it is replaced."""
    safety_to: str | None = None
    """The storage that takes the safety backup; those of the backup's job where empty."""
    in_place: bool = False
    """Whether a target that cannot be swapped may be emptied and filled in its own place."""
    undo_of: str | None = None
    """The restore that is taken back by this one."""
    kept_as: str | None = None
    """The kept former content that is swapped in; an undo of a swap restores no backup."""
    part: Part | None = None
    """What the restore changed that is taken back, where that was not the whole target."""
    jobs: int | None = None
    reason: str = ""
    restored_by: str = ""
    origin: str = ""


class ValidateOrder(Order, frozen=True, kw_only=True, tag="validate"):
    """Check the copies of an execution to their last byte."""

    execution_id: str
    storage: str | None = None


class RehearseOrder(Order, frozen=True, kw_only=True, tag="rehearse"):
    """Restore an execution's backup into a throw-away database, compare, and remove it again."""

    execution_id: str
    job_id: str
    job: str
    datasource: str
    """The datasource that was backed up."""
    storage: str | None = None
    """The storage to restore from; the copies in order until one is good where empty."""
    place: str | None = None
    """The datasource to do it at, or `private`; where the backup comes from, where empty."""
    deep: bool = False
    ordered_by: str = ""
    origin: str = ""


AnyOrder = BackupOrder | RestoreOrder | ValidateOrder | RehearseOrder


def encode_order(order: AnyOrder) -> bytes:
    """The order as JSON, without any secret; the worker asks the configuration for those."""
    from dgtui.engine.settings import encode_setting

    if isinstance(order, BackupOrder):
        order = msgspec.structs.replace(order, job=msgspec.structs.replace(order.job, heartbeat=None))
    return msgspec.json.encode(order, enc_hook=encode_setting)


def decode_order(text: bytes) -> AnyOrder:
    """Read an order; raises msgspec.ValidationError."""
    from dgtui.engine.settings import decode_setting

    return msgspec.json.decode(text, type=AnyOrder, dec_hook=decode_setting)  # type: ignore[no-any-return]  # a union is no type to mypy here


def run_info(order: AnyOrder) -> RunInfo:
    """What a run was asked to do, for people."""
    match order:
        case BackupOrder():
            title = f"{order.job_name} · {order.job.datasource}"
            return RunInfo(run_id=order.run_id, operation="backup", title=title)
        case RestoreOrder():
            what = f"undoing {order.undo_of[:8]}" if order.undo_of else order.execution_id[:8]
            return RunInfo(run_id=order.run_id, operation="restore", title=f"{what} into {order.database}")
        case ValidateOrder():
            return RunInfo(run_id=order.run_id, operation="validate", title=order.execution_id[:8])
        case RehearseOrder():
            where = f" at {order.place}" if order.place else ""
            title = f"{order.job} {order.execution_id[:8]}{where}"
            return RunInfo(run_id=order.run_id, operation="rehearse", title=title)
