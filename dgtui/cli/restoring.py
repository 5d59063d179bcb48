"""`restore`."""

from typing import TYPE_CHECKING, Annotated

import typer

from dgtui.cli.asking import confirm, need_answer
from dgtui.cli.options import DataOnly, Execution, InPlace, MessagesAsJson, SchemaOnly, Yes, refuse_both
from dgtui.cli.output import print_data, print_json, say
from dgtui.engine.errors import EXIT_DONE, ConfigError, RestoreError
from dgtui.engine.sizes import counted
from dgtui.wording.words import one_line

if TYPE_CHECKING:
    from dgtui.engine.datasources.loading import Selection
    from dgtui.engine.preview import RestorePreview


def restore(
    execution: Execution,
    storage: Annotated[
        str | None,
        typer.Option("--from", metavar="STORAGE", help="The copy to use; else the first good one.", show_default=False),
    ] = None,
    into: Annotated[
        str | None,
        typer.Option(
            "--into",
            metavar="NAME",
            help="Another database, file or folder; also for what --table chose.",
            show_default=False,
        ),
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="DATASOURCE", help="Another datasource.", show_default=False)
    ] = None,
    table: Annotated[
        list[str] | None,
        typer.Option(
            "--table",
            metavar="T",
            help="Only this table, file or folder; may be given several times.",
            show_default=False,
        ),
    ] = None,
    name_as: Annotated[
        str | None,
        typer.Option(
            "--as", metavar="NAME", help="Put the one --table beside the live one, under this name.", show_default=False
        ),
    ] = None,
    schema_only: SchemaOnly = False,
    data_only: DataOnly = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a target that holds data.")] = False,
    no_safety: Annotated[
        bool,
        typer.Option("--no-safety", help="Make no backup of what is replaced; undo needs what is kept then."),
    ] = False,
    safety_to: Annotated[
        str | None,
        typer.Option(
            "--safety-to", metavar="STORAGE", help="Where that backup goes; else as the job's do.", show_default=False
        ),
    ] = None,
    in_place: InPlace = False,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", metavar="N", min=1, max=256, help="How many processes load.", show_default=False),
    ] = None,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why, for the record.", show_default=False)
    ] = "",
    without_roles: Annotated[
        bool, typer.Option("--without-roles", help="Leave out owners and grants whose roles are not there.")
    ] = False,
    merge: Annotated[
        bool, typer.Option("--merge", help="Put files over those that are there, and leave all others alone.")
    ] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="Compare the content of each table with the backup by a checksum.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what it would do; change nothing.")] = False,
    yes: Yes = False,
    as_json: MessagesAsJson = False,
) -> None:
    """Get data back, in its place or somewhere else."""
    from dgtui.cli.watch import open_engine, start_and_watch
    from dgtui.wording.preview_text import cannot_work_lines, preview_lines

    refuse_both(schema_only, "--schema-only", data_only, "--data-only")
    refuse_both(no_safety, "--no-safety", safety_to is not None, "--safety-to")
    _need_text("--into", into)
    _need_text("--as", name_as)
    with open_engine() as engine:
        wanted = engine.execution(execution)
        selection = _selection(table or [], schema_only=schema_only, data_only=data_only)
        if not dry_run:
            need_answer("restore", yes=yes)
        preview = engine.preview_restore(
            wanted,
            storage=storage,
            datasource=to,
            database=into,
            selection=selection,
            name_as=name_as,
            merge=merge,
            deep=deep,
            safety=not no_safety,
            in_place=in_place,
        )
        safety = one_line(safety_line(no_safety=no_safety, safety_to=safety_to))
        lines = [*preview_lines(wanted, preview, selection, storage=storage), *([safety] if preview.replaces else [])]
        if dry_run:
            options = {"--overwrite": overwrite or merge, "--without-roles": without_roles}
            given = [option for option, wanted_so in options.items() if wanted_so]
            raise typer.Exit(_tell_whole(preview, lines, given, as_json=as_json))
        for line in lines:
            say(line)
        if not overwrite and not merge:
            _refuse_replacing(preview, selection)
        for line in cannot_work_lines(preview):
            say(one_line(line))
        confirm(f"restore into {preview.target}", word=preview.target, yes=yes)

        def start() -> str:
            return engine.start_restore(
                wanted,
                storage=storage,
                datasource=to,
                database=preview.target,
                selection=selection,
                overwrite=overwrite,
                name_as=name_as,
                merge=merge,
                deep=deep,
                # Whoever confirmed it by hand was told which roles are missing.
                without_missing_roles=without_roles or not yes,
                jobs=jobs,
                reason=reason,
                safety=not no_safety,
                safety_to=safety_to,
                in_place=in_place,
            )

        raise typer.Exit(start_and_watch(engine, start, as_json=as_json))


def _replaces(preview: "RestorePreview", selection: "Selection") -> bool:
    """Whether something that is there would be replaced, as far as a look can tell; the restore itself looks again."""
    if not selection.tables or preview.outlook is None or preview.outlook.problem is not None:
        return preview.replaces
    objects = preview.outlook.objects
    return preview.replaces and (not objects or any(entry.side == "both" for entry in objects))


def _refuse_replacing(preview: "RestorePreview", selection: "Selection") -> None:
    from dgtui.engine.problems import error_of

    if _replaces(preview, selection):
        if preview.outlook is not None and preview.outlook.problem is not None:
            # To replace what is there would be of no help.
            raise error_of(preview.outlook.problem)
        raise RestoreError(
            f"{preview.target} holds {counted(preview.object_count, 'objects')}; nothing was changed",
            subject=preview.target,
            hint="Restore under another name with --into NAME, or replace it with --overwrite",
        )


def _tell_whole(preview: "RestorePreview", lines: list[str], given: list[str], *, as_json: bool) -> int:
    """Print the whole preview after these lines; the exit code, which tells whether the restore could work."""
    from dgtui.engine.problems import exit_code_of
    from dgtui.wording.preview_text import dry_run_lines

    if as_json:
        print_json(preview)
    else:
        for line in (*lines, *dry_run_lines(preview, given)):
            print_data(line)
    problem = preview.outlook.problem if preview.outlook is not None else None
    return EXIT_DONE if problem is None else exit_code_of(problem)


def _need_text(option: str, name: str | None) -> None:
    if name is not None and (shown := _as_listed(name)) != name:
        raise ConfigError(
            f"{option}: {shown} is no text in UTF-8, which the name of a target has to be", hint="Give another name"
        )


def _as_listed(name: str) -> str:
    """A name as the list of a backup's content has it: bytes that are no text, as a shell may give them, as `\\xNN`."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _selection(tables: list[str], *, schema_only: bool, data_only: bool) -> "Selection":
    from dgtui.engine.datasources.loading import Selection

    names = tuple(map(_as_listed, tables))
    if schema_only:
        return Selection(backup_type="schema_only", tables=names)
    return Selection(backup_type="data_only" if data_only else "full", tables=names)


def safety_line(*, no_safety: bool, safety_to: str | None) -> str:
    """Whether what is replaced is backed up first, and what it means where it is not."""
    if no_safety:
        return (
            "Safety   no backup of what is there now: only what is kept beside the target can bring it back, and "
            "nothing can once that is dropped"
        )
    return f"Safety   what is there now is backed up first, {f'to {safety_to}' if safety_to else 'as the job does'}"
