"""What executions have in common: kept beside each by the catalogue itself, whoever changes it and however."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dgtui.engine.catalog import Catalog
from dgtui.engine.catalog.backups import save_states
from dgtui.engine.model import OWN_FOLDERS, Alike, Copy, CopyStatus, Problem
from tests.unit.test_catalog_listing import MOMENT, ODD, an_execution

Change = Callable[[sqlite3.Connection], object]
IDS = st.sampled_from(["0000", "0001", "0002"])
STORAGES = st.sampled_from(["disk", "nas", ODD])
STATES = st.sampled_from(["available", "missing", "unknown", "corrupt"])
PATHS = st.sampled_from(["", "/srv/job-id/of the night", "/srv/elsewhere", ODD])
OWN = ("job_id", "job", "datasource", "status", "backup_type", "purpose", "protected_until", "pin")


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    """A catalogue of its own."""
    catalog = Catalog(tmp_path)
    yield catalog
    catalog.close()


def need_what_is_kept_to_be_right(connection: sqlite3.Connection) -> None:
    """Compare what is kept beside each execution with its row and its copies."""
    own = connection.execute(f"SELECT execution_id, folder, alike, {', '.join(OWN)} FROM executions")
    for execution_id, folder, alike, *values in own.fetchall():
        *kept, where = json.loads(alike)
        assert dict(zip(OWN, kept, strict=True)) == dict(zip(OWN, values, strict=True))
        copies = connection.execute(
            "SELECT storage, status, problem, path FROM copies WHERE execution_id = ? ORDER BY storage", (execution_id,)
        )
        assert json.loads(f"[{where}]") == [
            [
                storage,
                status,
                int(status == "corrupt" or (status == "unknown" and problem is not None)),
                path.replace(f"{values[0]}/{folder}", OWN_FOLDERS) if folder else path,
            ]
            for storage, status, problem, path in copies
        ]


@st.composite
def changes(draw: st.DrawFn) -> Change:
    """A change of an execution or of a copy, as a statement of anybody's."""
    execution_id, other, storage, status, path = (draw(one) for one in (IDS, IDS, STORAGES, STATES, PATHS))
    column, value = draw(st.sampled_from([*OWN[1:], "folder", "expires_at"])), draw(st.sampled_from(["a", ODD]))
    problem = draw(st.sampled_from([None, "{}"]))
    found: tuple[str, tuple[object, ...]] = draw(
        st.sampled_from(
            [
                (
                    "INSERT OR REPLACE INTO copies VALUES (?, ?, ?, ?, NULL, ?)",
                    (execution_id, storage, status, path, problem),
                ),
                ("UPDATE copies SET status = ?, problem = ? WHERE execution_id = ?", (status, problem, execution_id)),
                ("UPDATE copies SET path = ? WHERE storage = ?", (path, storage)),
                ("UPDATE OR REPLACE copies SET storage = ? WHERE execution_id = ?", (storage, execution_id)),
                ("UPDATE OR REPLACE copies SET execution_id = ? WHERE execution_id = ?", (other, execution_id)),
                ("DELETE FROM copies WHERE execution_id = ? AND storage = ?", (execution_id, storage)),
                (f"UPDATE executions SET {column} = ? WHERE execution_id = ?", (value, execution_id)),
                ("UPDATE executions SET job_id = ?", (value,)),
                ("DELETE FROM executions WHERE execution_id = ?", (execution_id,)),
            ]
        )
    )
    return lambda connection: connection.execute(*found)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(changes(), max_size=8))
def test_whatever_is_changed_what_is_kept_tells_of_the_executions_as_they_are(
    catalog: Catalog, several: list[Change]
) -> None:
    for number in range(3):
        catalog.save_execution(an_execution(number, folder="of the night" if number else None))
    with closing(sqlite3.connect(catalog.path)) as connection:
        need_what_is_kept_to_be_right(connection)
        for change in several:
            change(connection)
            need_what_is_kept_to_be_right(connection)


def test_the_catalogue_itself_changes_what_is_kept(catalog: Catalog) -> None:
    problem = Problem(kind="IntegrityError", message="damaged")
    copies = (
        Copy(storage="disk", status="unknown", path="/x", problem=problem),
        Copy(storage="nas", status="unknown", path=""),
    )
    catalog.save_execution(an_execution(0, pin=ODD, protected_until=MOMENT, copies=copies))
    states: dict[str, CopyStatus] = {"0000": "missing"}
    save_states(catalog, "disk", states, MOMENT)
    catalog.remove_copy("0000", "nas")
    with closing(sqlite3.connect(catalog.path)) as connection:
        need_what_is_kept_to_be_right(connection)
        text = connection.execute("SELECT alike FROM executions").fetchone()[0]
    alike = msgspec.json.decode(text, type=Alike)
    assert (alike.pin, alike.protected_until, alike.where) == (ODD, MOMENT, '["disk","missing",0,"/x"]')


def test_a_catalogue_of_before_is_told_what_its_executions_have_in_common(tmp_path: Path, catalog: Catalog) -> None:
    for number in range(3):
        catalog.save_execution(an_execution(number))
    catalog.close()
    with closing(sqlite3.connect(catalog.path)) as connection, connection:
        forget_what_is_kept(connection)
    again = Catalog(tmp_path)
    again.save_execution(an_execution(3))
    again.close()
    with closing(sqlite3.connect(catalog.path)) as connection:
        assert connection.execute("SELECT count(alike) FROM executions").fetchone() == (4,)
        need_what_is_kept_to_be_right(connection)


def forget_what_is_kept(connection: sqlite3.Connection) -> None:
    """Make of a catalogue one of schema 6."""
    triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for (name,) in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    connection.execute("ALTER TABLE executions DROP COLUMN alike")
    connection.execute("UPDATE meta SET value = '6' WHERE key = 'schema_version'")
