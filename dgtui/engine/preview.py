"""What a restore would do to its target, told before anything is started."""

import os
from pathlib import Path
from typing import Any

import msgspec

from dgtui.config import Config
from dgtui.engine.catalog import Catalog
from dgtui.engine.datasources.base import Datasource
from dgtui.engine.datasources.loading import Selection, TargetState
from dgtui.engine.errors import ConfigError, RestoreError
from dgtui.engine.model import Execution, Record
from dgtui.engine.own_places import refuse_own_places
from dgtui.engine.problems import problem_of
from dgtui.engine.restore_outlook import OutlookQuestion, RestoreOutlook, look_ahead
from dgtui.engine.restore_refusals import refuse_deep, refuse_nameless
from dgtui.engine.restore_way import ChosenWay, RestoreWay, beside_way, part_way, rows_way, way_of


class RestorePreview(Record, frozen=True):
    """The target of a restore as it is now."""

    datasource: str
    label: str
    """Kind of the datasource, for people."""
    target: str
    """The database, file or folder that would be restored into."""
    exists: bool
    object_count: int = 0
    size_bytes: int | None = None
    client_count: int = 0
    chosen: ChosenWay = ChosenWay(kind="swap")
    """How its content is replaced, and what that means for writers."""
    storages: tuple[str, ...] = ()
    """Those that hold a copy, in the order in which they are tried."""
    outlook: RestoreOutlook | None = None
    """What would change, how long it would take, and what stands against it."""

    @property
    def replaces(self) -> bool:
        """Whether the target holds data that a restore would replace."""
        return self.object_count > 0 and self.way not in ("rows", "beside")

    def loses(self, selection: Selection) -> bool:
        """Whether anything that is there now would be gone, as far as a look can tell; the restore looks again."""
        if self.object_count == 0 or self.way == "beside":
            return False
        objects = self.outlook.objects if self.outlook is not None else ()
        named = {entry.name for entry in objects}
        if self.way == "rows":
            return not objects or any(entry.side == "both" and entry.target_rows != 0 for entry in objects)
        if self.way == "part" and objects and all(table in named for table in selection.tables):
            return any(entry.side == "both" for entry in objects)
        return True

    @property
    def way(self) -> RestoreWay:
        """The kind of the way."""
        return self.chosen.kind

    @property
    def way_text(self) -> str:
        """How its content is replaced, and what others see meanwhile, for people; empty where nothing is."""
        return self.chosen.sentence


def preview_restore(
    config: Config,
    catalog: Catalog,
    state_folder: Path,
    execution: Execution,
    *,
    storage: str | None,
    datasource: str | None,
    database: str | None,
    selection: Selection,
    name_as: str | None,
    merge: bool,
    deep: bool,
    safety: bool,
    in_place: bool,
) -> RestorePreview:
    """Look at the target, changing nothing. Raises ConfigError, and what the datasource raises when it is asked."""
    if deep:
        refuse_deep(execution, selection)
    if name_as is not None:
        refuse_nameless(execution, selection, name_as, merge=merge)
    places = _places(execution, storage)
    name = datasource or execution.datasource
    adapter = _adapter(config, execution, name)
    target = _target(adapter, database)
    state = adapter.target_state(target)
    damaged = {copy.storage for copy in execution.copies if copy.status == "corrupt"}
    known = [name for name in config.storages if name in places and storage in (None, name)]
    question = OutlookQuestion(
        execution=execution,
        storages=tuple(sorted(known, key=damaged.__contains__)),
        database=target,
        selection=selection,
        name_as=name_as,
        merge=merge,
        safety=safety,
        in_place=in_place,
    )
    outlook = look_ahead(config, catalog, adapter, state, question)
    return RestorePreview(
        datasource=name,
        label=adapter.label,
        target=target,
        exists=state.exists,
        object_count=len(state.objects),
        size_bytes=state.size_bytes,
        client_count=len(state.clients),
        chosen=_way_of(adapter, state, question),
        storages=question.storages,
        outlook=_spare_own_places(config, state_folder, adapter, outlook, question),
    )


def _places(execution: Execution, storage: str | None) -> list[str]:
    """The storages with a copy, among them the one that is asked for."""
    places = [copy.storage for copy in execution.copies if copy.path]
    if storage is not None and storage not in places:
        raise ConfigError(
            f"There is no copy of this backup at {storage}",
            subject=storage,
            hint=f"It is at {', '.join(places) or 'no storage'}",
        )
    return places


def _not_configured(config: Config, execution: Execution) -> ConfigError:
    name, kind = execution.datasource, execution.datasource_type
    others = config.datasources_of(kind)
    return ConfigError(
        f"The datasource {name}, of which this backup is, is not configured any more",
        subject=name,
        hint=f"Restore it into another with --to ({', '.join(others)})"
        if others
        else f"Write [datasources.{name}] of type {kind} in the configuration again",
    )


def _adapter(config: Config, execution: Execution, name: str) -> Datasource[Any]:
    if name == execution.datasource and name not in config.datasources:
        raise _not_configured(config, execution)
    adapter = config.datasource(name)
    if adapter.kind != execution.datasource_type:
        raise ConfigError(
            f"A backup of kind {execution.datasource_type} cannot be restored into {name}, which is {adapter.kind}",
            subject=name,
            hint=f"Choose a datasource of kind {execution.datasource_type} with --to",
        )
    return adapter


def _target(adapter: Datasource[Any], database: str | None) -> str:
    target = database or adapter.database
    if adapter.settings.on_server:
        return target
    # What lives in the file system is named from where the person stands; the worker stands elsewhere.
    return os.path.abspath(Path(target).expanduser())  # noqa: PTH100  # links stay as they are named


def _spare_own_places(
    config: Config, state_folder: Path, adapter: Datasource[Any], outlook: RestoreOutlook, question: OutlookQuestion
) -> RestoreOutlook:
    try:
        refuse_own_places(config, state_folder, adapter, question.database, question.selection, merge=question.merge)
    except RestoreError as error:
        return msgspec.structs.replace(outlook, problem=problem_of(error))
    return outlook


def _way_of(adapter: Datasource[Any], state: TargetState, question: OutlookQuestion) -> ChosenWay:
    tables = question.selection.tables
    if "data_only" in (question.selection.backup_type, question.execution.backup_type):
        return rows_way(adapter, question.database, state, safety=question.safety)
    if question.name_as is not None and tables:
        return beside_way(adapter, tables[0], question.name_as)
    if tables or question.merge:
        return part_way(adapter, state, safety=question.safety)
    return way_of(adapter, question.database, state, in_place=question.in_place)
