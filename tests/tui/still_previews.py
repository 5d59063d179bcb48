"""What restores would do, in pictures."""

from typing import TYPE_CHECKING, Any, cast

from dgtui.engine.datasources.dumping import Client
from dgtui.engine.datasources.loading import MissingRoles, TargetState
from dgtui.engine.model import Execution, ObjectInfo
from dgtui.engine.preview import RestorePreview
from dgtui.engine.problems import problem_of
from dgtui.engine.restore_outlook import ObjectChange, RestoreOutlook
from dgtui.engine.restore_refusals import swap_needed
from dgtui.engine.restore_way import ChosenWay, way_of
from tests.tui.still_records import NOON

if TYPE_CHECKING:
    from dgtui.engine.datasources.base import Datasource

GB = 10**9
_OBSTACLE = "foreign keys to or from billing, which may not be made anew there"


class _Bound:
    """A datasource whose database others refer to."""

    def swap_obstacles(self, _database: str) -> tuple[str, ...]:
        return (_OBSTACLE,)


def still_preview(execution: Execution) -> RestorePreview:
    """A database that is swapped."""
    before = ("public.customers", 84_210, 84_733), ("public.orders", 1_200_000, 1_208_114)
    objects = [
        ObjectChange(
            name=name,
            side="both",
            backup_rows=backup,
            backup_rows_exact=True,
            target_rows=target,
            target_rows_exact=True,
        )
        for name, backup, target in before
    ]
    objects.append(ObjectChange(name="public.coupons", side="only in the target", target_rows=12))
    outlook = RestoreOutlook(
        execution_id=execution.execution_id,
        taken_at=execution.started_at,
        looked_at=NOON,
        size_bytes=execution.total_size_bytes,
        storage="disk",
        objects=tuple(objects),
        newest_execution_id="00000001-0000-4000-8000-000000000000",
        newest_taken_at=NOON.replace(hour=6, second=1),
        expected_seconds=44,
        expected_from="restores",
        clients=(
            Client(user="shop", program="gunicorn", address="10.0.0.7"),
            Client(user="anna", program="psql", address="10.0.0.12"),
        ),
        missing_roles=MissingRoles(owners=("reporting",)),
    )
    return RestorePreview(
        datasource="shop",
        label="PostgreSQL",
        target="shop",
        exists=True,
        object_count=48,
        size_bytes=int(3.4 * GB),
        client_count=2,
        chosen=ChosenWay(
            kind="swap",
            text="loaded beside it and compared, then swapped in by renaming both databases in one transaction; "
            "the former content is kept",
            writers="all sessions are ended at the swap and may come back a moment later; what they wrote is in "
            "the kept database",
        ),
        outlook=outlook,
    )


def still_preview_in_place(execution: Execution, *, in_place: bool) -> RestorePreview:
    """A database that its user may not swap."""
    grant = "GRANT ALTER ON `billing`.* TO 'backup'@'%';"
    refusal = swap_needed("crm", f"crm cannot be swapped: that would not carry over {_OBSTACLE}", [grant])
    objects = (("customers", 51_200, 51_377), ("invoices", 310_000, 402_113), ("notes", 1_204, 1_204))
    state = TargetState(exists=True, objects=tuple(ObjectInfo(name=name, rows=rows) for name, _, rows in objects))
    return RestorePreview(
        datasource="crm",
        label="MariaDB or MySQL",
        target="crm",
        exists=True,
        object_count=112,
        size_bytes=310 * 10**6,
        client_count=1,
        chosen=way_of(cast("Datasource[Any]", _Bound()), "crm", state, in_place=in_place),
        outlook=RestoreOutlook(
            execution_id=execution.execution_id,
            taken_at=execution.started_at,
            looked_at=NOON,
            size_bytes=execution.total_size_bytes,
            storage="disk",
            objects=tuple(
                ObjectChange(name=name, side="both", backup_rows=backup, backup_rows_exact=True, target_rows=target)
                for name, backup, target in objects
            ),
            clients=(Client(user="crm", program="php-fpm", address="10.0.0.9"),),
            problem=None if in_place else problem_of(refusal),
        ),
    )
