"""`undo`, `drop-replaced` and `cleanup-restore`."""

from typing import TYPE_CHECKING, Annotated

import typer

from dgtui.cli.asking import confirm, need_answer
from dgtui.cli.options import AsJson, InPlace, MessagesAsJson, Yes, refuse_both
from dgtui.cli.output import print_data, print_json, say
from dgtui.engine.errors import EXIT_DONE, EXIT_FAILED, ConfigError
from dgtui.wording.words import one_line, short_id, time_text

if TYPE_CHECKING:
    from dgtui.engine.replaced import Kept
    from dgtui.engine.restore_model import Restore as Row
    from dgtui.engine.undo_choice import UndoChoice

RestoreId = Annotated[
    str, typer.Argument(metavar="RESTORE", help="The first characters of a restore's id.", show_default=False)
]


def undo(
    restore: RestoreId,
    no_safety: Annotated[
        bool, typer.Option("--no-safety", help="Make no backup of what is there now; it is kept beside, if it can be.")
    ] = False,
    safety_to: Annotated[
        str | None,
        typer.Option("--safety-to", metavar="STORAGE", help="Back up what is there now to this.", show_default=False),
    ] = None,
    in_place: InPlace = False,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why, for the record.", show_default=False)
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what it would do; change nothing.")] = False,
    yes: Yes = False,
    as_json: MessagesAsJson = False,
) -> None:
    """Put back what a restore has replaced."""
    from dgtui.cli.watch import open_engine, start_and_watch

    refuse_both(no_safety, "--no-safety", safety_to is not None, "--safety-to")
    with open_engine(put_back=False) as engine:
        wanted = engine.restore(restore)
        if not dry_run:
            need_answer("undo a restore", yes=yes)
        choice = engine.undo_choice(wanted)
        if dry_run:
            raise typer.Exit(_tell_choice(wanted, choice, as_json=as_json))
        for line in undo_lines(wanted, choice):
            say(one_line(line))
        if not choice.possible:
            raise choice.refusal
        confirm(f"undo the restore into {wanted.target}", word=wanted.target, yes=yes)
        safety = False if no_safety else None

        def start() -> str:
            return engine.start_undo(wanted, reason=reason, safety=safety, safety_to=safety_to, in_place=in_place)

        raise typer.Exit(start_and_watch(engine, start, as_json=as_json))


def _tell_choice(restore: "Row", choice: "UndoChoice", *, as_json: bool) -> int:
    """Print what an undo would do; the exit code, which tells whether there is a way."""
    if as_json:
        print_json(choice)
    later = [f"Next     {choice.hint}"] if choice.hint else []
    for line in [] if as_json else [*undo_lines(restore, choice), *later, "", "Nothing was changed"]:
        print_data(one_line(line))
    return EXIT_DONE if choice.possible else EXIT_FAILED


def undo_lines(restore: "Row", choice: "UndoChoice") -> list[str]:
    """What an undo is going to do."""
    from dgtui.wording.preview_text import warning_facts
    from dgtui.wording.restored_text import replaced_too

    safety_warnings = warning_facts(choice.backup_warnings, "safety backup", choice.execution_id or "")
    lines = [
        f"Undo     restore {short_id(restore.restore_id)} of {time_text(restore.started_at)} into {restore.target}",
        f"How      {choice.text}",
        *(f"{name:<9}{text}" for name, text in safety_warnings),
    ]
    if choice.obstacle:
        lines.append(f"Note     {choice.obstacle}; it can only be emptied and filled in its own place, with --in-place")
    if choice.later:
        lines.append(f"Note     {replaced_too(choice.later, restore.target)}")
    return lines


def drop_replaced(
    restore: Annotated[
        str | None, typer.Argument(metavar="[RESTORE]", help="The first characters of a restore's id.")
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="Only list what restores have kept.")] = False,
    expired: Annotated[bool, typer.Option("--expired", help="Drop all whose time is over.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Drop the former content that a restore has kept."""
    from dgtui.cli.watch import open_engine

    if sum((restore is not None, listing, expired)) != 1:
        raise ConfigError("One of RESTORE, --list and --expired is needed", hint="dgtui drop-replaced --list")
    with open_engine() as engine:
        if listing:
            kept = engine.kept_replaced()
            if as_json:
                print_json(kept)
            for line in [] if as_json else kept_lines(kept):
                print_data(line)
            return
        if expired:
            dropped, failures = engine.drop_expired_replaced()
            for failure in failures:
                say(one_line(f"not dropped: {failure.subject}: {failure.message}"))
        else:
            wanted = engine.restore(str(restore))
            name = wanted.kept_as or wanted.part_kept_as
            say(one_line(f"Drop     {name or 'nothing: this restore keeps none'}"))
            if any(one.only_way_back for one in engine.kept_replaced() if one.restore_id == wanted.restore_id):
                say("Note     its safety backup is gone; once this is dropped, nothing can undo the restore")
            confirm("drop what a restore has kept", word=short_id(wanted.restore_id), yes=yes)
            dropped, failures = [engine.drop_replaced(wanted)], []
    if as_json:
        print_json(dropped)
    say(f"{len(dropped)} dropped")
    raise typer.Exit(EXIT_FAILED if failures else EXIT_DONE)


def kept_lines(kept: "list[Kept]") -> list[str]:
    """A line for each former content that is kept."""
    return [
        one_line(
            f"{short_id(one.restore_id)}  {one.kept_as}  was {one.target} ({one.datasource})"
            + (f", kept until {time_text(one.kept_until)}" if one.kept_until is not None else "")
            + (", and on: its safety backup is gone, nothing else can undo the restore" if one.only_way_back else "")
        )
        for one in kept
    ]


def cleanup_restore(
    restore: RestoreId,
    finish: Annotated[
        bool, typer.Option("--finish", help="Import once more, to its end, what was cut while it filled its target.")
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Clear up what an interrupted restore has left."""
    from dgtui.cli.watch import open_engine, start_and_watch

    with open_engine(put_back=False) as engine:
        wanted = engine.restore(restore)
        if finish:
            if wanted.partly_filled:
                say(one_line(f"Finish   restore {short_id(wanted.restore_id)} into {wanted.target}, now partly filled"))
                confirm(f"restore into {wanted.target} once more", word=wanted.target, yes=yes)
            raise typer.Exit(start_and_watch(engine, lambda: engine.finish_restore(wanted), as_json=as_json))
        left = wanted.placing
        # What an undo was about to put back is settled, and never removed.
        if left is not None and left.disposable:
            say(one_line(f"Remove   what restore {short_id(wanted.restore_id)} left: {left.beside}"))
            confirm("clean up after a restore", word=short_id(wanted.restore_id), yes=yes)
        sentences = engine.cleanup_restore(wanted)
    if as_json:
        print_json({"restore_id": wanted.restore_id, "done": sentences})
    for sentence in sentences:
        say(one_line(sentence))
