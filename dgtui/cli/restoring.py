"""`validate` and `restore`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dgtui.cli.asking import confirm, need_answer
from dgtui.cli.options import DataOnly, Execution, MessagesAsJson, SchemaOnly, Yes, refuse_both
from dgtui.cli.output import print_json, say
from dgtui.engine.errors import EXIT_DONE, ConfigError, RestoreError
from dgtui.wording.words import known_size, one_line, short_id, time_text

if TYPE_CHECKING:
    from dgtui.engine.datasources.base import Selection
    from dgtui.engine.model import Execution as Row
    from dgtui.engine.preview import RestorePreview


def validate(
    backup: Annotated[
        str,
        typer.Argument(
            metavar="EXECUTION|FOLDER", help="A backup as `list` names it, or a backup folder.", show_default=False
        ),
    ],
    storage: Annotated[
        str | None, typer.Option(metavar="S", help="Only the copy at this storage.", show_default=False)
    ] = None,
    as_json: MessagesAsJson = False,
) -> None:
    """Read a backup to its last byte and tell whether it is good."""
    from dgtui.cli.watch import open_engine, watch

    with open_engine() as engine:
        if "/" in backup or Path(backup).is_dir():
            if storage is not None:
                raise ConfigError("--storage goes with an execution, not with a folder", hint="Leave --storage out")
            engine.validate_folder(Path(backup))
            say(f"{one_line(backup)}: every byte was read and is good")
            if as_json:
                print_json({"folder": str(Path(backup).absolute()), "status": "completed"})
            raise typer.Exit(EXIT_DONE)
        raise typer.Exit(
            watch(engine, engine.start_validate(engine.execution(backup), storage=storage), as_json=as_json)
        )


def restore(
    execution: Execution,
    storage: Annotated[
        str | None,
        typer.Option("--from", metavar="STORAGE", help="The copy to use; else the first good one.", show_default=False),
    ] = None,
    into: Annotated[
        str | None,
        typer.Option("--into", metavar="NAME", help="Another database, file or folder.", show_default=False),
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="DATASOURCE", help="Another datasource.", show_default=False)
    ] = None,
    table: Annotated[
        list[str] | None,
        typer.Option("--table", metavar="T", help="Only this table; may be given several times.", show_default=False),
    ] = None,
    schema_only: SchemaOnly = False,
    data_only: DataOnly = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a target that holds data.")] = False,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", metavar="N", min=1, help="How many processes load.", show_default=False),
    ] = None,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why, for the record.", show_default=False)
    ] = "",
    yes: Yes = False,
    as_json: MessagesAsJson = False,
) -> None:
    """Get data back: into its place, a new name, another datasource."""
    from dgtui.cli.watch import open_engine, watch

    refuse_both(schema_only, "--schema-only", data_only, "--data-only")
    with open_engine() as engine:
        wanted = engine.execution(execution)
        need_answer("restore", yes=yes)
        selection = _selection(table or [], schema_only=schema_only, data_only=data_only)
        preview = engine.preview_restore(wanted, storage=storage, datasource=to, database=into)
        for line in preview_lines(wanted, preview, selection, storage=storage):
            say(line)
        if preview.replaces and not overwrite:
            raise RestoreError(
                f"{preview.target} holds {preview.object_count} objects; nothing was changed",
                subject=preview.target,
                hint="Restore under another name with --into NAME, or replace it with --overwrite",
            )
        confirm(f"restore into {preview.target}", word=preview.target, yes=yes)
        run_id = engine.start_restore(
            wanted,
            storage=storage,
            datasource=to,
            database=preview.target,
            selection=selection,
            overwrite=overwrite,
            jobs=jobs,
            reason=reason,
        )
        raise typer.Exit(watch(engine, run_id, as_json=as_json))


def _selection(tables: list[str], *, schema_only: bool, data_only: bool) -> "Selection":
    from dgtui.engine.datasources.base import Selection

    kind = "schema_only" if schema_only else "data_only" if data_only else "full"
    return Selection(backup_type=kind, tables=tuple(tables))  # type: ignore[arg-type]  # the three words it takes


def preview_lines(
    execution: "Row", preview: "RestorePreview", selection: "Selection", *, storage: str | None
) -> list[str]:
    """What a restore is going to do."""
    copies = ", ".join(copy.storage for copy in execution.copies if copy.path)
    what = {"full": "everything", "schema_only": "schema only", "data_only": "data only"}[selection.backup_type]
    if selection.tables:
        what += f" of {', '.join(selection.tables)}"
    if preview.replaces:
        size = "" if preview.size_bytes is None else f", {known_size(preview.size_bytes)}"
        fate = f"holds {preview.object_count} objects{size}: everything in it will be replaced"
    else:
        fate = "exists and is empty" if preview.exists else "will be made"
    lines = [
        f"Restore  {execution.job} of {time_text(execution.started_at)}  [{short_id(execution.execution_id)}]",
        f"From     {storage or f'the first good copy of {copies}'}",
        f"Into     {preview.target} ({preview.label}, datasource {preview.datasource}), which {fate}",
        f"What     {what}",
    ]
    if preview.way_text:
        lines.append(f"How      {preview.way_text}")
    if preview.client_count:
        lines.append(f"Now      {preview.client_count} connected")
    return [one_line(line) for line in lines]
