"""Why a safety backup failed, and what to do next: another storage helps only where it was the storage."""

import contextlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from dgtui.config import JobSettings
from dgtui.engine.backup import Backup
from dgtui.engine.errors import (
    Cancelled,
    CatalogError,
    DatabaseConnectionError,
    DataGuardianError,
    DiskSpaceError,
    RestoreError,
)
from dgtui.engine.safety_copy import take_safety_copy

_SOURCE = SimpleNamespace(name="shop", database="shop", kind="postgres")
_ORDER = SimpleNamespace(database="shop", run_id="run", undo_of="", execution_id="backup")


def _failing_task(monkeypatch: pytest.MonkeyPatch, error: DataGuardianError, record: Callable[[str], object]) -> Any:
    """A restore whose safety backup fails; `record` gets each status that the catalogue is told of."""

    def fail(_: Backup) -> None:
        raise error

    monkeypatch.setattr(Backup, "execute", fail)
    return SimpleNamespace(
        order=_ORDER,
        target=SimpleNamespace(name="shop", database="shop", for_database=lambda _: _SOURCE),
        safety_storages=(),
        safety_job=JobSettings(datasource="shop", storages=("disk",)),
        scratch="/nowhere",
        run=SimpleNamespace(log=lambda *_, **__: None),
        catalog=SimpleNamespace(save_execution=lambda execution: record(execution.status)),
        cancellation=SimpleNamespace(shield=contextlib.nullcontext),
    )


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

    task = _failing_task(monkeypatch, error, recorded.append)
    cancelled = isinstance(error, Cancelled)
    with pytest.raises(Cancelled if cancelled else RestoreError, match=message) as raised:
        take_safety_copy(task, SimpleNamespace(safety_execution_id="safety"))  # type: ignore[arg-type]
    assert raised.value.hint == hint + " STORAGE" * hint.endswith("--safety-to")
    assert recorded == ["running", "cancelled" if cancelled else "failed"]


def test_its_end_that_cannot_be_recorded_does_not_hide_why_it_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def record(status: str) -> None:
        if status == "failed":
            raise CatalogError("The catalogue is busy")

    task = _failing_task(monkeypatch, DiskSpaceError("No room"), record)
    with pytest.raises(RestoreError, match="No room; nothing was changed"):
        take_safety_copy(task, SimpleNamespace(safety_execution_id="safety"))  # type: ignore[arg-type]
