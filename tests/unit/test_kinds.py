"""The kinds of datasource: what is special to one stands in its adapter, and the rest of the program asks there."""

import ast
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import dgtui
from dgtui.config import Config
from dgtui.engine.datasources import DATASOURCE_TYPES, datasource_adapter
from dgtui.engine.datasources.kinds import Kind, kind_named
from dgtui.engine.model import Execution
from dgtui.screens.restore_offer import RestoreOffer
from dgtui.wording.terminal import Look

_PACKAGE = Path(dgtui.__file__).parent
_OTHER_MEANINGS = {
    ("engine/messages.py", "files"),  # a unit of progress
}


def test_no_kind_is_named_outside_the_adapters() -> None:
    """A check for a kind somewhere else would be forgotten when a kind is added."""
    found = {
        (str(path.relative_to(_PACKAGE)), node.value)
        for path in _PACKAGE.rglob("*.py")
        if not path.is_relative_to(_PACKAGE / "engine" / "datasources")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in DATASOURCE_TYPES
    }
    assert found == _OTHER_MEANINGS


def test_a_kind_that_is_not_known_goes_by_its_name() -> None:
    """Such backups are found on storages that others use too."""
    assert kind_named("papyrus") == Kind(label="papyrus")
    for name in DATASOURCE_TYPES:
        assert kind_named(name).label == datasource_adapter(name).label


@pytest.mark.parametrize(
    ("kind", "settings", "proposed", "offered"),
    [
        (
            "postgres",
            {"database": "web/shop"},
            "web/shop_restored",
            ["source, swapped in when complete", "new database", "everything", "schema only", "data only", "tables…"],
        ),
        (
            "mysql",
            {"database": "~shop"},
            "~shop_restored",
            ["source, replaced when complete", "new database", "everything", "schema only", "data only", "tables…"],
        ),
        (
            "sqlite",
            {"path": "/srv/shop.db"},
            "/srv/shop-restored.db",
            ["source, swapped in when complete", "new file", "everything", "schema only", "data only", "tables…"],
        ),
        (
            "files",
            {"path": "/srv/www"},
            "/srv/www-restored",
            ["source, swapped in when complete", "new folder", "everything", "files and folders…"],
        ),
    ],
)
def test_the_restore_dialog_speaks_of_a_kind_as_its_adapter_does(
    kind: str, settings: dict[str, Any], proposed: str, offered: list[str]
) -> None:
    """Also where a database has a name that looks like a path."""
    source = datasource_adapter(kind).settings_type(type=kind, **settings)
    execution = Execution(
        execution_id="1",
        job_id="2",
        job="nightly",
        datasource="source",
        datasource_type=kind,
        status="completed",
        backup_type="full",
        started_at=datetime(2026, 9, 1, tzinfo=UTC),
    )
    offer = RestoreOffer(execution=execution, config=Config(datasources={"source": source}), look=Look(unicode=True))
    same, new, other = offer.targets()
    assert [same.label, new.label, *(option.label for option in offer.what("source", None))] == offered
    assert other.why_not == f"there is no other {kind_named(kind).label} datasource"
    assert offer.proposed_name == proposed
