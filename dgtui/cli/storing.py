"""`delete` and `scan`."""

from typing import Annotated

import typer

from dgtui.cli.asking import confirm
from dgtui.cli.options import AsJson, Execution, Yes
from dgtui.cli.output import print_data, print_json, say
from dgtui.engine.errors import EXIT_DAMAGED, EXIT_DONE, EXIT_FAILED
from dgtui.wording.words import one_line, short_id, size_text, time_text


def delete(
    execution: Execution,
    storage: Annotated[
        str | None, typer.Option(metavar="S", help="Only the copy at this storage.", show_default=False)
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Also a pinned one, one in use, a job's last good one, a restore's only way back."
        ),
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Delete a backup, or one copy of it."""
    from dgtui.cli.watch import open_engine

    with open_engine() as engine:
        wanted = engine.execution(execution)
        if not force:
            # Nobody is asked about what is refused afterwards.
            engine.refuse_needed(wanted, storage=storage)
        copies = [copy for copy in wanted.copies if copy.path and storage in (None, copy.storage)]
        say(one_line(f"Delete   {wanted.job} of {time_text(wanted.started_at)}  [{short_id(wanted.execution_id)}]"))
        for copy in copies:
            say(one_line(f"At       {copy.storage}: {copy.path}"))
        confirm("delete a backup", word=short_id(wanted.execution_id), yes=yes)
        freed = engine.delete(wanted, storage=storage, force=force)
    if as_json:
        print_json({"execution_id": wanted.execution_id, "freed_bytes": freed})
    say(f"Deleted, {size_text(freed)} freed")


def forget_storage(
    storage: Annotated[str, typer.Argument(metavar="STORAGE", help="Name of the storage.", show_default=False)],
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Forget copies at a storage no longer configured.

    Nothing is deleted there.
    """
    from dgtui.cli.watch import open_engine

    with open_engine() as engine:
        known = engine.known_at(storage)
        say(one_line(f"Forget   {known.copies} copies at {storage}; {known.backups} backups lie nowhere else"))
        confirm("forget a storage", word=storage, yes=yes)
        known = engine.forget_storage(storage)
    if as_json:
        print_json(known)
    say(one_line(f"Forgotten. What lies there comes back with the storage and: dgtui scan {storage}"))


def scan(
    storage: Annotated[str, typer.Argument(metavar="STORAGE", help="Name of the storage.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Read the backups at a storage into the catalogue."""
    from dgtui.cli.watch import open_engine

    with open_engine() as engine:
        report = engine.scan(storage)
    if as_json:
        print_json(report)
    else:
        print_data(f"{one_line(report.storage)}: {report.added} added, {report.known} known, {report.gone} gone")
        for folder in report.damaged:
            print_data(f"damaged: {one_line(folder.path)}: {one_line(folder.reason)}")
        for folder in report.unread:
            print_data(f"cannot be read: {one_line(folder.path)}: {one_line(folder.reason)}")
        for leftover in report.leftovers:
            print_data(f"unfinished: {one_line(leftover.path)}, {size_text(leftover.bytes)}")
    if report.damaged:
        raise typer.Exit(EXIT_DAMAGED)
    raise typer.Exit(EXIT_FAILED if report.unread else EXIT_DONE)
