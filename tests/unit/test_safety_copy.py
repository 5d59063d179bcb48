"""Why a safety backup failed, and what to do next: another storage helps only where it was the storage."""

import contextlib
from types import SimpleNamespace
from typing import Any

import pytest

from dgtui.config import JobSettings
from dgtui.engine.backup import Backup
from dgtui.engine.errors import Cancelled, DatabaseConnectionError, DataGuardianError, DiskSpaceError, RestoreError
from dgtui.engine.safety_copy import take_safety_copy

_SOURCE = SimpleNamespace(name="shop", database="shop", kind="postgres")
_ORDER = SimpleNamespace(database="shop", run_id="run", undo_of="", execution_id="backup")


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (DatabaseConnectionError("The line was lost: COPY failed.", hint="Look"), "lost: COPY failed; nothing", "Look"),
        (DiskSpaceError("No room", hint="Look"), "No room; nothing", "Look. Another storage takes it with --safety-to"),
        (DiskSpaceError("No room"), "No room; nothing", "Another storage takes it with --safety-to"),
        (Cancelled("Cancelled"), "Cancelled", ""),
    ],
)
def test_another_storage_is_advised_where_the_storage_was_the_trouble(
    monkeypatch: pytest.MonkeyPatch, error: DataGuardianError, message: str, hint: str
) -> None:
    """The catalogue, which knows the backup from its beginning, knows how it ended as well."""
    recorded: list[str] = []

    def fail(_: Backup) -> None:
        raise error

    monkeypatch.setattr(Backup, "execute", fail)
    task: Any = SimpleNamespace(
        order=_ORDER,
        target=SimpleNamespace(name="shop", database="shop", for_database=lambda _: _SOURCE),
        safety_storages=(),
        safety_job=JobSettings(datasource="shop", storages=("disk",)),
        scratch="/nowhere",
        run=SimpleNamespace(log=lambda _: None),
        catalog=SimpleNamespace(save_execution=lambda execution: recorded.append(execution.status)),
        cancellation=SimpleNamespace(shield=contextlib.nullcontext),
    )
    cancelled = isinstance(error, Cancelled)
    with pytest.raises(Cancelled if cancelled else RestoreError, match=message) as raised:
        take_safety_copy(task, SimpleNamespace(safety_execution_id="safety"))  # type: ignore[arg-type]
    assert raised.value.hint == hint + " STORAGE" * hint.endswith("--safety-to")
    assert recorded == ["running", "cancelled" if cancelled else "failed"]
