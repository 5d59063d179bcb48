"""`validate`."""

from pathlib import Path
from typing import Annotated

import typer

from dgtui.cli.options import MessagesAsJson
from dgtui.cli.output import print_json, say
from dgtui.engine.errors import EXIT_DONE, ConfigError
from dgtui.wording.words import one_line


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
    """Read a backup to its last byte: is it good?"""
    from dgtui.cli.watch import open_engine, start_and_watch

    is_folder = "/" in backup or Path(backup).is_dir()
    if is_folder and storage is not None:
        raise ConfigError("--storage goes with an execution, not with a folder", hint="Leave --storage out")
    with open_engine(look_only=is_folder) as engine:
        if is_folder:
            engine.validate_folder(Path(backup))
            say(f"{one_line(backup)}: every byte was read and is good")
            if as_json:
                print_json({"folder": str(Path(backup).absolute()), "status": "completed"})
            raise typer.Exit(EXIT_DONE)
        wanted = engine.execution(backup)
        raise typer.Exit(
            start_and_watch(engine, lambda: engine.start_validate(wanted, storage=storage), as_json=as_json)
        )
